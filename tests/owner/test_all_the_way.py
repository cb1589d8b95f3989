"""doctor, sources, build, scan, up, smoke, release --dry-run: on a rough tree, with words that its owner understands."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.owner.conftest import Owner
from tests.support import rough_tree
from tests.support.project import Ran


def _examined(owner: Owner) -> dict[str, dict[str, object]]:
    return {each["key"]: each for each in owner.inv("sources", "--json").result}


def test_s6_the_doctor_says_what_the_sources_have(owner: Owner) -> None:
    """A row for the sources; the tree itself is no reason to fail."""
    rows = {row["check"]: row for row in owner.inv("doctor", "--json").result}

    assert rows["sources"]["state"] == "warn"
    assert "agents" in rows["sources"]["found"]


def test_s5_each_module_is_listed_and_the_broken_ones_are_explained(owner: Owner) -> None:
    """Before any build: what an engine lists, and why the others are no modules or won't import."""
    modules = {each["name"]: each for each in _examined(owner)["modules"]["declared"]}  # type: ignore[attr-defined]

    assert owner.tree.listed <= modules.keys()
    assert [name for name, each in modules.items() if each["state"] == "failed" and not each["reason"]] == []


def test_s6_every_conflict_is_listed_before_the_build(owner: Owner) -> None:
    """Three pins, each with both sides, and which one is installed."""
    problems = _examined(owner)["agents"]["problems"]
    conflicts = [each for each in problems if each["kind"] == "requirements"]  # type: ignore[attr-defined]

    assert len(conflicts) == 3
    assert all("the service has" in each["text"] for each in conflicts)


def test_s8_an_mkdocs_yml_sends_only_what_its_site_needs(owner: Owner) -> None:
    """The megabyte beside the documentation stays where it is."""
    docs = _examined(owner)["docs"]

    assert 10 < int(str(docs["files"])) < 200
    assert int(str(docs["bytes"])) < 500_000


def test_s2_each_secret_is_left_out_with_its_rule(owner: Owner, built: Ran) -> None:
    """The report has a line for each file."""
    assert built
    lines = (owner.project.root / ".uc/reports/left-out.txt").read_text()
    sent = ("Modules/", "agents/", "docs/")
    expected = [secret.path for secret in rough_tree.secrets() if secret.path.startswith(sent)]

    assert expected
    assert [path for path in expected if not any(part in lines for part in _leading(path))] == []


def _leading(path: str) -> Iterator[str]:
    """The path, and each folder above it, as the report may name it."""
    parts = path.split("/")
    yield from (f"{'/'.join(parts[:count])}:" for count in range(2, len(parts) + 1))


def test_s2_no_secret_is_in_any_layer(layers: dict[str, Path]) -> None:
    """Every file of every layer and every config, unpacked and searched for each value."""
    leaks = {
        (name, secret.path)
        for name, path in layers.items()
        for data in _blobs(path)
        for secret in rough_tree.leaks(data)
    }

    assert layers
    assert leaks == set()


def _blobs(path: Path) -> Iterator[bytes]:
    """The content of everything in a saved image: configs, and each file of each layer."""
    with tarfile.open(path) as image:
        for member in image:
            if not member.isfile():
                continue
            stream = image.extractfile(member)
            data = stream.read() if stream else b""
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            if b"ustar" not in data[257:263]:
                yield data
                continue
            with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                for entry in layer:
                    if entry.isfile() and (file := layer.extractfile(entry)):
                        yield file.read()


def test_the_scan_passes(owner: Owner, built: Ran) -> None:
    """The owner's tree is scanned as any other."""
    assert built
    ran = owner.inv("scan")

    assert ran.code == 0, ran.text


def test_s1_the_smoke_checks_pass_on_any_tree(owner: Owner, running: Ran) -> None:
    """What the tree declares is there; the checks of the samples are listed as not checked."""
    assert running
    ran = owner.inv("smoke", "--json")
    results = {(each["container"], each["check"]): each for each in ran.result}

    assert ran.code == 0, ran.text
    assert results["langgraph-api", "graphs"]["note"].startswith("graph: 2 of 2 ready")
    assert not results["stack", "journey"]["applies"]
    if "powershell-modules" in owner.available:
        assert f"of {len(owner.tree.modules)} ready" in results["powershell-modules", "modules"]["note"]
        assert not results["powershell-modules", "invokes a function"]["applies"]


def test_s1_a_release_of_the_tree_can_be_planned(owner: Owner, running: Ran) -> None:
    """The dry run goes to its end: nothing about the tree refuses a release."""
    assert running
    ran = owner.inv("release", "--bump", "minor", "--dry-run", "--json")

    assert ran.code == 0, ran.text
    assert "0." in json.dumps(ran.result)


@pytest.fixture
def broken(owner: Owner, running: Ran) -> Iterator[None]:
    """An image with a graph that no longer loads, for a reason of this run: an engine keeps what it has built before."""
    assert running
    graph = owner.tree.root / "agents/ledger/graph.py"
    text = graph.read_text()
    try:
        graph.write_text(f"{text}\nraise RuntimeError('the orchard burned down')  # {uuid4().hex}\n")
        assert owner.inv("build", "langgraph-api", "--push").code == 0
        yield
    finally:
        graph.write_text(text)


def test_s4_the_build_says_which_graph_does_not_load(owner: Owner, broken: None) -> None:
    """In its log, with the reason; the build goes on."""
    log = (owner.project.root / ".uc/reports/build.log").read_text()

    assert "the orchard burned down" in log
    assert "a declared graph does not load" in log


@pytest.mark.deep
def test_s4_a_graph_that_is_gone_fails_by_name(owner: Owner, broken: None) -> None:
    """The service becomes unhealthy, and smoke names the graph with its reason; `up` waits minutes for a recovery."""
    ran = owner.inv("up", "langgraph-api")

    assert ran.code != 0
    assert "the orchard burned down" in ran.text + owner.inv("smoke", "langgraph-api").text
