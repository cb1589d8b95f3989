"""The release record: one canonical form, one artifact, and a plain answer to what is none."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema  # type: ignore[import-untyped]
import pytest

from build.registry.oci import EMPTY, digest_of
from build.release.record import (
    NoRecord,
    decode,
    encode,
    of_record,
    of_yank,
)
from tests.support.project import REPOSITORY
from tests.support.records import record

SCHEMA = json.loads((REPOSITORY / "build" / "release" / "release-record.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("title", ["stand-in", "", 'a "quote" and a \n break', "Überprüfung ☃", "{", "\ud7ff"])
@pytest.mark.parametrize("skipped", [True, False])
@pytest.mark.parametrize("version", ["1.4.0", "1.4.0-rc.1"])
def test_what_was_written_is_read(version: str, skipped: bool, title: str) -> None:
    """Decoding gives the record back, and encoding that gives the same bytes."""
    made = record(version, skipped=skipped, source=title)

    assert decode(encode(made)) == made
    assert encode(decode(encode(made))) == encode(made)


def test_what_came_later_is_absent_where_it_is_empty() -> None:
    """A record without what later versions added has the bytes that earlier versions wrote; with it, it fits the schema."""
    plain = record()
    scan = replace(plain.gates["scan"], database_reference="r/db@sha256:1", unchecked_by="flag")
    full = replace(plain, gates=dict.fromkeys(("scan", "smoke"), scan))

    assert not [key for key in ("database_reference", "unchecked_by", '"data"') if key in encode(plain).decode()]
    assert '"notes": []' in encode(plain).decode()
    assert decode(encode(full)) == full
    for made in (plain, full):
        jsonschema.validate(json.loads(encode(made)), SCHEMA)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "schema None"),
        (b"{}", "schema None"),
        (b'{"schema": 2}', "schema 2, this toolkit reads 1"),
        (b'{"schema": 1}', "line"),
        (encode(record()).replace(b'"line"', b'"lime"'), "lime"),
        (encode(record()).replace(b'"passed"', b'"perhaps"'), "perhaps"),
        (encode(record()).replace(b'"services": {', b'"services": {"x": 3, '), "services"),
    ],
)
def test_a_malformed_record_is_an_error(content: bytes, reason: str) -> None:
    """Other bytes, a newer schema and a field of the wrong kind raise NoRecord with the reason."""
    with pytest.raises(NoRecord, match=reason):
        decode(content)


def test_the_artifact_is_a_function_of_the_record() -> None:
    """Any clone makes the same artifact of a record: it names the empty config and the record's bytes."""
    first, second = of_record(record()), of_record(decode(encode(record())))

    assert first == second
    body = json.loads(first.manifest.content)
    assert first.manifest.digest == digest_of(first.manifest.content)
    assert (body["config"]["digest"], body["layers"][0]["digest"]) == (digest_of(EMPTY), digest_of(encode(record())))
    assert body["artifactType"] == "application/vnd.unity-claude.release.v1+json"
    assert body["annotations"]["org.opencontainers.image.version"] == "1.4.0"


def test_a_yank_keeps_its_reason() -> None:
    """The mark of a yank has the version, the reason and when."""
    artifact = of_yank("web", "1.4.0", "loses „events“", "2026-01-02T00:00:00+00:00")

    document = json.loads(artifact.blobs[1])
    assert (document["version"], document["reason"]) == ("1.4.0", "loses „events“")


def test_a_record_lists_skipped_gates_and_stand_ins() -> None:
    """Skipped gates and stand-in bases are read off the record."""
    assert record(skipped=True).skipped == ("scan", "smoke")
    assert record().skipped == ()
    assert record().stand_ins == ("python",)
    assert record(source="upstream").stand_ins == ()
