"""Labels that state formats of data, and the record that has them."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema  # type: ignore[import-untyped]
import pytest

from build.errors import BuildError
from build.images.data_formats import LABEL, DataFormat, of_labels
from build.release import record as records
from tests.support.project import REPOSITORY
from tests.support.records import record

SCHEMA = json.loads((REPOSITORY / "build" / "release" / "release-record.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("value", "writes", "reads"), [("1", 1, 1), ("3", 3, 3), ("3 reads 1", 3, 1), ("12 reads 12", 12, 12)]
)
def test_a_label_states_what_is_written_and_read(value: str, writes: int, reads: int) -> None:
    """A number alone is all that is read; other labels are left alone; a format reads as its label."""
    formats = of_labels({f"{LABEL}notes": value, "org.opencontainers.image.title": "x"})

    assert formats == {"notes": DataFormat(writes=writes, reads=reads)}
    assert of_labels({f"{LABEL}notes": str(formats["notes"])}) == formats


@pytest.mark.parametrize(
    "value", ["", "0", "-1", "01", "1 reads 2", "2 reads", "2 reads 0", "v2", "2,1", "2  reads 1", "1\n"]
)
def test_another_label_is_refused_with_its_name(value: str) -> None:
    """What is no format is not guessed at."""
    with pytest.raises(BuildError, match=f"{LABEL}notes") as refused:
        of_labels({f"{LABEL}notes": value})
    assert "Dockerfile" in refused.value.hint


def test_what_can_be_read() -> None:
    """Data from the first format that is read up to that which is written."""
    assert [number for number in range(6) if DataFormat(writes=4, reads=2).can_read(number)] == [2, 3, 4]


def test_a_record_has_formats_only_where_an_image_states_them() -> None:
    """A record without formats has the bytes that earlier versions wrote; one with them is decoded as it was."""
    plain = record()
    assert b'"data"' not in records.encode(plain)
    service = replace(plain.services["web"], data={"notes": DataFormat(writes=3, reads=1)})
    stated = replace(plain, services={"web": service})

    content = records.encode(stated)

    assert json.loads(content)["services"]["web"]["data"] == {"notes": {"writes": 3, "reads": 1}}
    assert (records.decode(content), records.decode(records.encode(plain))) == (stated, plain)
    for document in (plain, stated):
        jsonschema.validate(json.loads(records.encode(document)), SCHEMA)
