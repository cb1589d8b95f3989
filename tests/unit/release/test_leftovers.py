"""What of a repository goes: rules without a registry."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from build.release import leftovers
from build.release.inventory import Inventory
from build.release.leftovers import Sorted
from build.release.stored import UNREADABLE

_OLD, _NEW = "1.0.1-dev.9.g1234567", "1.0.1-dev.10.g1234567"


def _digest(digit: str) -> str:
    return f"sha256:{digit * 64}"


def _sorted(
    tags: Mapping[str, str], parts: Mapping[str, str] | None = None, *, releases: Collection[str] = (),
    needed: Collection[str] = (), candidates: Collection[str] = (), keep: int = 0,
) -> Sorted:  # fmt: skip
    """A repository in which each digit is a digest; `parts` has the digits below some of them."""
    below = {_digest(digit): tuple(map(_digest, names)) for digit, names in (parts or {}).items()}
    named = {tag: _digest(digit) if len(digit) == 1 else digit for tag, digit in tags.items()}
    present = dict.fromkeys({*named.values(), *(each for names in below.values() for each in names)}, ())
    inventory = Inventory(repository="r", tags=named, parts=present | below)
    why = dict.fromkeys(map(_digest, needed), "1.0.0")
    return leftovers.sort(inventory, releases, why, [*map(_digest, candidates)], keep=keep)


def _going(result: Sorted) -> list[str]:
    """The digits that are deleted, in order."""
    return [digest[-1] for each in result.leftovers for digest in result.manifests(each)]


def _kept(result: Sorted) -> dict[str, str]:
    return {each.tag: each.why for each in result.kept}


def test_the_newest_by_precedence_stay() -> None:
    """Builds are ordered as SemVer orders them, dirty ones too: dev.10 is newer than dev.9."""
    tags = {_OLD: "1", _NEW: "2", f"{_OLD}.dirty": "3", "1.0.0-dev.99.g1234567": "4"}

    assert _going(_sorted(tags, keep=1)) == ["3", "1", "4"]
    assert _going(_sorted(tags, keep=4)) == []


def test_what_is_not_understood_stays() -> None:
    """Only tags of exactly the form of a development build are one: whatever else has a name of its own stays."""
    names = [
        "latest",
        "1.0",
        "main",
        "1.0.1-dev",
        "1.0.1-dev.x.g1234567",
        "v1.0.1-dev.1.g1234567",
        f"sha256-{'1' * 64}",
    ]

    result = _sorted(dict.fromkeys(names, "1"))

    assert (_going(result), {*_kept(result).values()}) == ([], {"not ours"})


def test_a_release_by_the_name_of_a_build_stays() -> None:
    """What a claim or a record names is a release, whatever the form of its tag."""
    assert _going(_sorted({_OLD: "1"}, releases=[_OLD])) == []


def test_parts_go_before_the_whole_and_shared_ones_stay() -> None:
    """An index goes after the platforms that it alone has."""
    result = _sorted({_OLD: "1", "mine": "2"}, {"1": "34", "2": "4"})

    assert _going(result) == ["3", "1"]


def test_what_is_needed_by_digest_stays_with_all_below_it() -> None:
    """A build or a candidate whose digest a release needs stays, and so do its parts, whoever else has them."""
    result = _sorted({_OLD: "1", _NEW: "2"}, {"1": "3", "2": "3"}, needed="1", candidates="1")

    assert _going(result) == ["2"]
    assert _kept(result) == {_OLD: "needed by 1.0.0"}


def test_a_candidate_that_a_tag_names_is_none() -> None:
    """A candidate goes by its digest, and that of a tag goes or stays with the tag."""
    result = _sorted({"mine": "1", _OLD: "4"}, {"2": "3"}, candidates="124")

    assert _going(result) == ["4", "3", "2"]


def test_attachments_go_before_what_they_are_attached_to() -> None:
    """What a killed clean has left can still be found: by its own tag, or by that of its image."""
    signature, of_signature = (f"sha256-{digit * 64}.{kind}" for digit, kind in (("3", "sig"), ("4", "att")))

    result = _sorted({of_signature: "5", signature: "4", _OLD: "1"}, {"1": "3"})

    assert _going(result) == ["4", "5", "3", "1"]


def test_attachments_of_what_stays_or_is_needed_stay() -> None:
    """A signature of an image without a tag stays, and so does that of an image which a claim names and which is lost."""
    tags = {f"sha256-{digit * 64}.sig": "9" for digit in "12"}

    assert _going(_sorted(tags, {"1": "3"}, needed="2")) == []


def test_an_orphan_that_a_kept_tag_names_stays() -> None:
    """Deleting it by digest would take the kept tag along."""
    tag = f"sha256-{'1' * 64}.sig"

    result = _sorted({tag: "2", "mine": "2"})

    assert (_going(result), _kept(result)[tag]) == ([], "mine names the same")


def test_a_tag_that_cannot_be_read_stays() -> None:
    """There is no digest to delete, and a release may put the tag again."""
    assert _kept(_sorted({_OLD: UNREADABLE})) == {_OLD: "it can't be read"}
