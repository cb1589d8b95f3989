"""Which images are reused and which tags move, and what a plan depends on: a table of worlds, and nothing is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from semver import Version

from build.config.manifest import Manifest
from build.errors import VersionTaken
from build.images.image import Image
from build.release import plan
from build.release.candidates import Staged
from build.release.record import Record, RecordedService
from build.release.request import Request
from build.release.world import World
from tests.support.plans import HEAD, SERVICES, moved, only, planned, tags, two_services, version_set, world
from tests.support.project import Project
from tests.support.records import record as record_of

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def lockstep(empty_project: Project) -> Manifest:
    """Two services with one version."""
    return two_services(empty_project)


# Which images --------------------------------------------------------------------------------------------------------


def previous(fingerprint: str = "of one") -> Record:
    """The record of 1.4.0, with the first service of this fingerprint."""
    service = RecordedService(digest=OLD, fingerprint=fingerprint, origin="built")
    return replace(record_of("1.4.0"), services={"one": service, "two": replace(service, fingerprint="another")})


def image(**fields: Any) -> Image:
    """An image of the first service that was built and pushed from HEAD."""
    built = Image(
        service="one", name="127.0.0.1:5000/test/one", tag="1.4.1-dev.1.gc0ffee0", digest=NEW, fingerprint="of one",
        size=1, pushed=True,
    )  # fmt: skip
    return replace(built, **fields)


def first(before: World, *, present: tuple[str, ...] = (OLD, NEW), record: Record | None = None) -> tuple[str, ...]:
    """What is planned for the first service when the registry has these digests: action, reason, digest.

    Its fingerprint is that of the sources in any case: the next release compares with it.
    """
    line = next(iter(before.history.lines.values()))
    proven = frozenset(origin for origin in before.origins(line, "one", record) if origin.digest in present)
    service = only(planned(before, previous=record, proven=proven)).services[0]
    assert service.fingerprint == "of one"
    return service.action, service.why, service.digest


STAGED = {"one": Staged(digest=NEW, fingerprint="of one")}


@pytest.mark.parametrize(
    ("record", "more", "present", "expected"),
    [
        (previous(), {}, (OLD,), ("reuse", "unchanged since 1.4.0", OLD)),
        (previous(), {"staged": STAGED}, (OLD, NEW), ("reuse", "unchanged since 1.4.0", OLD)),
        (previous(), {"staged": STAGED}, (NEW,), ("reuse", "staged by an earlier try", NEW)),
        (previous("older"), {"staged": STAGED}, (NEW,), ("reuse", "staged by an earlier try", NEW)),
        (None, {"built": {"one": image()}}, (NEW,), ("reuse", "built as 1.4.1-dev.1.gc0ffee0", NEW)),
        (None, {"built": {"one": image(pushed=False)}}, (NEW,), ("build", "not in the registry yet", "")),
        (None, {"built": {"one": image(fingerprint="older")}}, (NEW,), ("build", "not in the registry yet", "")),
        (None, {"built": {"one": image(name="elsewhere/one")}}, (NEW,), ("build", "not in the registry yet", "")),
        (
            None, {"built": {"one": image(tag="1.4.1-dev.1.gc0ffee0.dirty")}}, (NEW,),
            ("build", "not in the registry yet", ""),
        ),
        (None, {"staged": {"one": Staged(digest=NEW, fingerprint="older")}}, (NEW,),
         ("build", "not in the registry yet", "")),
        (previous("older"), {}, (OLD,), ("build", "changed since 1.4.0", "")),
        (previous(), {}, (), ("build", "not in the registry yet", "")),
        (None, {}, (), ("build", "not in the registry yet", "")),
    ],
)  # fmt: skip
def test_an_image_is_reused_or_built(
    lockstep: Manifest, record: Record | None, more: dict[str, Any], present: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """An equal fingerprint is reused from the last release, an earlier run or a pushed build; else it is built."""
    assert first(world(lockstep, "1.4.0", "fix: x", **more), present=present, record=record) == expected


def test_unproven_images_are_not_reused(lockstep: Manifest) -> None:
    """An image that git or the registry does not vouch for is built again, whatever this checkout remembers."""
    before = world(lockstep, "1.4.0", "fix: x", staged=STAGED, built={"one": image()})

    service = only(planned(before, previous=previous("of one"))).services[0]

    assert (service.action, service.digest) == ("build", "")


# Which tags ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "released", "branch", "request_", "expected"),
    [
        ("", (), "main", Request(), {"0.1.0", "0.1", "0"}),
        ("1.4.0", ("1.4.0",), "main", Request(bump="patch"), {"1.4.1", "1.4", "1"}),
        ("1.4.0", ("1.4.0",), "main", Request(bump="major"), {"2.0.0", "2.0", "2"}),
        ("1.4.0", ("1.4.0",), "main", Request(bump="minor", pre="rc"), {"1.5.0-rc.1"}),
        ("1.3.4", ("1.3.4", "1.4.0"), "1.3.x", Request(bump="patch"), {"1.3.5", "1.3"}),
        ("1.3.4", ("1.3.4", "1.3.9", "1.4.0"), "main", Request(version="1.3.8"), {"1.3.8"}),
        ("1.4.0", ("1.4.0", "1.5.0-rc.1"), "main", Request(bump="patch"), {"1.4.1", "1.4", "1"}),
    ],
)
def test_the_tags_that_move(
    lockstep: Manifest, last: str, released: tuple[str, ...], branch: str, request_: Request, expected: set[str]
) -> None:
    """The version's own tag, and those floats that it is the highest stable release of; a pre-release moves none."""
    assert set(moved(planned(world(lockstep, last, "fix: x", released=released, branch=branch), request_))) == expected


def test_a_withdrawn_release_holds_no_float(lockstep: Manifest) -> None:
    """A float that only a yanked release is above of moves to the new one, although its version is lower."""
    before = world(lockstep, "1.4.0", "fix: x", released=("1.4.0", "1.5.0"), branch="1.4.x")
    known = {name: replace(base, yanked=version_set("1.5.0")) for name, base in before.known.items()}

    assert set(moved(planned(before))) == {"1.4.1", "1.4"}
    assert set(moved(planned(replace(before, known=known)))) == {"1.4.1", "1.4", "1"}


def test_a_tag_is_planned_with_its_digests(lockstep: Manifest) -> None:
    """Before: what the registry says; after: the digest of a reused image, nothing yet for one that is built."""
    before = world(lockstep, "1.4.0", "fix: x", staged=STAGED)
    (line,) = before.history.lines.values()
    digests = dict.fromkeys(tags(before, line.line.name, Version(1, 4, 1)), "")
    digests["test/one", "1.4"] = OLD

    made = planned(before, before=digests, proven=frozenset(before.origins(line, "one", None)))

    assert moved(made) == {"1.4.1": ("", NEW), "1.4": (OLD, NEW), "1": ("", NEW)}
    assert {tag.after for tag in only(made).tags if tag.repository == "test/two"} == {""}


@pytest.mark.parametrize(("pre", "hint"), [("", "--version 1.4.2"), ("rc", "--version 1.4.1-rc.2")])
def test_a_burned_version_stops_the_plan(lockstep: Manifest, pre: str, hint: str) -> None:
    """A version's tag that names another digest is named with it, and the next version is suggested."""
    before = world(lockstep, "1.4.0", "fix: x")
    name = next(iter(before.history.lines))
    request_ = Request(bump="patch", pre=pre)
    version = plan.due(before, request_)[name].version

    with pytest.raises(VersionTaken, match=f"test/one:{version} is in the registry already, as {OLD}") as caught:
        planned(before, request_, before=dict.fromkeys(tags(before, name, version), OLD))

    assert caught.value.hint.endswith(hint)


def test_a_version_that_is_there_with_the_same_digest_is_not_burned(lockstep: Manifest) -> None:
    """An equal tag is what a killed release left: it is planned as it is."""
    before = world(lockstep, "1.4.0", "fix: x", staged=STAGED | {"two": Staged(digest=NEW, fingerprint="of two")})
    (line,) = before.history.lines.values()
    proven = frozenset(origin for name in SERVICES for origin in before.origins(line, name, None))
    digests = dict.fromkeys(tags(before, line.line.name, Version(1, 4, 1)), NEW)

    assert moved(planned(before, before=digests, proven=proven))["1.4.1"] == (NEW, NEW)


# What it depends on --------------------------------------------------------------------------------------------------


def test_the_basis_names_what_changed(lockstep: Manifest) -> None:
    """Each part of the world has a hash of its own in the plan's basis; where the checkout lies has none."""
    before = world(lockstep, "1.4.0", "fix: x")
    name = next(iter(before.known))
    known = before.known[name]
    changes = {
        "HEAD": replace(before, history=replace(before.history, commit="d" * 40)),
        "the remote's tags": replace(before, claims={**before.claims, "anything": "object"}),
        "the registry": replace(before, known={name: replace(known, yanked=version_set("1.4.0"))}),
        "the manifest": replace(before, manifest=replace(lockstep, gates=replace(lockstep.gates, severity=("LOW",)))),
        "the images' sources": replace(before, fingerprints={**before.fingerprints, "one": "changed"}),
    }
    basis = plan.basis(before)

    for part, after in changes.items():
        assert {key for key, value in plan.basis(after).items() if value != basis[key]} == {part}
    assert plan.basis(replace(before, manifest=replace(lockstep, root=lockstep.root / "elsewhere"))) == basis


@pytest.mark.parametrize(
    "change",
    [{"foreign": version_set("1.9.0")}, {"complete": version_set("1.4.0", "1.4.1", "1.5.0-rc.1")},
     {"yanked": version_set("1.4.1")}, {"yanked": version_set("1.3.0")}],
    ids=["a stranger", "a pre-release", "a float falls back", "one that is only withdrawn"],
)  # fmt: skip
def test_everything_in_the_registry_is_in_the_basis(lockstep: Manifest, change: dict[str, Any]) -> None:
    """Releases, withdrawn ones, strangers and where the floats stand: a plan is refused when one of them changed."""
    before = world(lockstep, "1.4.0", "fix: x", released=("1.4.0", "1.4.1"))
    known = {name: replace(base, **change) for name, base in before.known.items()}

    assert plan.basis(replace(before, known=known))["the registry"] != plan.basis(before)["the registry"]


def test_the_basis_is_the_same_on_every_machine(lockstep: Manifest) -> None:
    """A plan is applied by another machine: the hashes don't depend on the order in which lines were read."""
    independent = replace(lockstep, release=replace(lockstep.release, mode="independent"))
    before = world(independent, "1.4.0", "fix: x")
    turned = replace(before, known=dict(reversed([*before.known.items()])))

    assert plan.basis(turned) == plan.basis(before)
    assert plan.basis(before)["the remote's tags"] == "e6a022f7ee177c9d"


def test_a_version_is_lost_when_the_remote_has_it_by_now(lockstep: Manifest) -> None:
    """Right before the claim the same request would give another version: the planned tag is named."""
    before = world(lockstep, "1.4.0", "fix: x")
    made = planned(before)

    assert plan.lost(before, made, before.claims) == []
    assert plan.lost(before, made, {**before.claims, "v1.4.1": "another commit"}) == ["v1.4.1"]
    assert plan.lost(before, made, {**before.claims, "v1.4.0-x": "another commit"}) == []


@pytest.mark.parametrize(
    ("rival", "asked", "lost"),
    [
        ("v1.5.0", Request(), ["this commit is released as v1.5.0"]),
        ("v1.5.0-rc.1", Request(), []),
        ("v1.5.0", Request(version="1.4.1"), []),
        ("v1.5.0-rc.1", Request(pre="rc"), ["this commit is released as v1.5.0-rc.1"]),
    ],
)
def test_c6_a_rival_s_release_of_the_commit_is_seen(
    lockstep: Manifest, rival: str, asked: Request, lost: list[str]
) -> None:
    """Right before the claim, another number of the same commit and channel stops this one; a given version does not."""
    before = world(lockstep, "1.4.0", "fix: x")
    made = planned(before, asked)

    assert plan.lost(before, made, {**before.claims, rival: HEAD}) == lost
