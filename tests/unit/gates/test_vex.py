"""OpenVEX documents by rule alone: what is refused in them, which are read, and which statements are of no use."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from build.config.manifest import Gates, Manifest
from build.errors import ManifestError
from build.gates.scan import vex
from tests.support.project import Project

PRODUCT = {"@id": "pkg:oci/web?repository_url=r.example%2Fweb", "subcomponents": [{"@id": "pkg:pypi/a"}]}
GOOD: dict[str, Any] = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "https://example.invalid/vex/1",
    "author": "A",
    "timestamp": "2026-01-01T00:00:00Z",
    "version": 1,
    "statements": [
        {
            "vulnerability": {"name": "CVE-1", "aliases": ["GHSA-1"]},
            "products": [{"@id": "pkg:pypi/a@1"}, PRODUCT],
            "status": "not_affected",
            "impact_statement": "never called",
        },
        {
            "vulnerability": {"name": "CVE-2"},
            "products": [{"identifiers": {"purl": "pkg:pypi/a"}}],
            "status": "affected",
        },
    ],
}


def _with(*changes: tuple[tuple[Any, ...], Any]) -> bytes:
    document = copy.deepcopy(GOOD)
    for (*path, key), value in changes:
        part: Any = document
        for name in path:
            part = part[name]
        if value is None:
            del part[key]
        else:
            part[key] = value
    return json.dumps(document).encode()


def _of(project: Project, *patterns: str) -> Manifest:
    return replace(project.load(), gates=Gates(vex=patterns))


def test_a_document_is_read() -> None:
    """Vulnerability, other names, status and reason of each statement."""
    _, statements = vex.parse(json.dumps(GOOD).encode(), "a.json")

    assert statements == (
        vex.Statement(vulnerability="CVE-1", aliases=("GHSA-1",), status="not_affected", reason="never called"),
        vex.Statement(vulnerability="CVE-2", aliases=(), status="affected", reason=""),
    )


FIRST = ("statements", 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[]", "@context: expected https://openvex.dev/ns/v0.2.0, found 'list'"),
        (
            _with((("@context",), "https://openvex.dev/ns/v9")),
            "@context: expected .*, found 'https://openvex.dev/ns/v9'",
        ),
        (_with((("author",), " ")), "author: expected a text"),
        (_with((("statements",), [])), "statements: expected a list of statements"),
        (_with((FIRST, "x")), r"statements\[0\]: expected an object, found 'x'"),
        (_with(((*FIRST, "vulnerability"), "CVE-1")), r"statements\[0\].vulnerability: expected an object such as"),
        (_with(((*FIRST, "vulnerability", "name"), None)), r"statements\[0\].vulnerability.name: expected a text"),
        (_with(((*FIRST, "vulnerability", "aliases"), "x")), r"vulnerability.aliases: expected a list of texts"),
        (
            _with(((*FIRST, "status"), "notaffected")),
            r"statements\[0\].status: expected one of .*'notaffected' \(did you mean 'not_affected'\?\)",
        ),
        (_with(((*FIRST, "status"), None)), r"statements\[0\].status: expected one of .*, found None"),
        (_with(((*FIRST, "justification"), "because")), r"statements\[0\].justification: expected one of"),
        (_with(((*FIRST, "impact_statement"), None)), r"statements\[0\] \(CVE-1\): not_affected needs a justification"),
        (_with(((*FIRST, "products"), None)), r"statements\[0\].products: expected a list of products"),
        (_with(((*FIRST, "products", 0, "@id"), "web:1.4.0")), r"products\[0\]: expected a package URL .*'web:1.4.0'"),
        (_with(((*FIRST, "products", 1, "subcomponents"), {})), r"products\[1\].subcomponents: expected a list"),
        (
            _with(((*FIRST, "products", 1, "subcomponents", 0), "a")),
            r"products\[1\].subcomponents\[0\]: expected a package",
        ),
    ],
)
def test_a_malformed_document_is_refused_by_its_path(content: bytes, words: str) -> None:
    """What Trivy would pass over in silence names the file and the place in it, and ends with the code of a setting."""
    with pytest.raises(ManifestError, match=f"vex/a\\.json: .*{words}") as refusal:
        vex.parse(content, "vex/a.json")
    assert refusal.value.exit_code == 2


def test_the_documents_are_those_of_the_setting(project: Project) -> None:
    """Files and globs, each document once, in the order of their names and with the digest of their bytes."""
    content = json.dumps(GOOD)
    for name in ("vex/b.openvex.json", "vex/a.openvex.json", "vex/notes.json", "more.json"):
        project.write(name, content)

    documents = vex.load(_of(project, "vex/*.openvex.json", "more.json", "vex/a.openvex.json"))

    assert [document.name for document in documents] == ["more.json", "vex/a.openvex.json", "vex/b.openvex.json"]
    assert {document.digest for document in documents} == {"sha256:" + hashlib.sha256(content.encode()).hexdigest()}
    assert all(document.content == GOOD for document in documents)


def test_without_documents_there_are_none(project: Project) -> None:
    """A glob may match nothing; a file that is named must be there."""
    assert vex.load(project.load()) == ()
    with pytest.raises(ManifestError, match=r"gates\.vex: vex/none\.json: no such file"):
        vex.load(_of(project, "vex/none.json"))


@pytest.mark.parametrize(
    ("used", "names"),
    [
        ([], ["CVE-1"]),
        ([("CVE-1", "/p/vex/a.json")], []),
        ([("GHSA-1", "C:\\p\\vex\\a.json")], []),
        ([("CVE-1", "/p/vex/b.json")], ["CVE-1"]),
    ],
)
def test_a_statement_of_no_use_is_known(project: Project, used: list[tuple[str, str]], names: list[str]) -> None:
    """One that should let a finding through and matches none, by any of its names, in its own document."""
    project.write("vex/a.json", json.dumps(GOOD))

    unused = vex.unused(vex.load(_of(project, "vex/a.json")), used)

    assert [statement.vulnerability for _, statement in unused] == names
