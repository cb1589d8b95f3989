"""Tags by rule alone: which are versions, of which line, and how they rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from build.config.manifest import Manifest
from build.git.tags import Key, Versions, of_key, precedence, tags_of
from build.git.versions import Line, built_from, lines, parse_tag
from tests.support.project import REPOSITORY, Project
from tests.support.versions import KEYS


@pytest.mark.parametrize(
    ("prefix", "tag", "expected"),
    [
        ("v", "v1.4.0", "1.4.0"),
        ("v", "v1.4.0-rc.1+build.5", "1.4.0-rc.1+build.5"),
        ("v", "v1.10.0", "1.10.0"),
        ("", "1.4.0", "1.4.0"),
        ("web/v", "web/v1.4.0", "1.4.0"),
        ("v", "1.4.0", None),
        ("v", "web/v1.4.0", None),
        ("v", "v1.4", None),
        ("v", "v1", None),
        ("v", "v01.4.0", None),
        ("v", "v1.4.0-", None),
        ("v", "v1.4.0-rc..1", None),
        ("v", "v1.4.0-01", None),
        ("v", "v1.4.0+", None),
        ("v", "v١.4.0", None),
        ("", "sha-6943991", None),
        ("", "6943991", None),
        ("", "20261122", None),
        ("", "2026-11-22", None),
        ("v", "v2banana", None),
    ],
)
def test_foreign_tags_are_no_versions(prefix: str, tag: str, expected: str | None) -> None:
    """Only SemVer 2.0 behind the line's own prefix is a version: no sha, no date, no other line's tag."""
    assert parse_tag(prefix, tag) == (Version.parse(expected) if expected else None)
    assert [name for _, name in tags_of(prefix, f"refs/tags/{tag}")] == ([tag] if expected else [])


@given(st.lists(KEYS, min_size=1, max_size=12))
def test_f5_versions_rank_as_semver_says(keys: list[Key]) -> None:
    """F5: the order of plain values is that of the semver package: 1.10 above 1.9, rc.10 above rc.2, final above rc."""
    assert [of_key(key) for key in sorted(keys, key=precedence)] == sorted(map(of_key, keys))


def test_numeric_identifiers_rank_below_words() -> None:
    """SemVer 2.0, section 11.4.3: 1.0.0-7 ranks below 1.0.0-a, and rc.7 below rc.a, whatever the number."""
    keys: list[Key] = [(1, 0, 0, "a"), (1, 0, 0, "7"), (1, 0, 0, "rc.a"), (1, 0, 0, "rc.7")]

    assert [key[3] for key in sorted(keys, key=precedence)] == ["7", "a", "rc.7", "rc.a"]


def test_versions_are_printed_in_their_order() -> None:
    """A failing test shows the versions of a set as people write and rank them."""
    versions = Versions([Version(1, 10, 0), Version(1, 9, 0), Version(1, 9, 0, "rc.1")])

    assert repr(versions) == "Versions(1.9.0-rc.1, 1.9.0, 1.10.0)"


def test_versions_are_a_set_without_build_metadata() -> None:
    """Versions compare, join and contain as a set of versions does; +meta does not make another one."""
    one = Versions([Version(1, 0, 0), Version.parse("1.0.0+a")])

    assert list(one) == [Version(1, 0, 0)]
    assert Version.parse("1.0.0+b") in one
    assert (one | {Version(2, 0, 0)}) == Versions([Version(1, 0, 0), Version(2, 0, 0)])
    assert len({one, Versions([Version(1, 0, 0)])}) == 1


def test_lockstep_is_one_line(shipped: Manifest) -> None:
    """In lockstep all services share one line, and every path counts."""
    assert lines(shipped) == (Line(name="unity-claude", prefix="v", services=tuple(shipped.services)),)


def test_independent_lines_follow_what_an_image_is_built_from(independent: Manifest) -> None:
    """A service's line counts its folder, its shared stages, its sources, and no path of another service."""
    found = {line.name: line for line in lines(independent)}

    assert found["langgraph-api"].prefix == "langgraph-api/v"
    assert found["langgraph-api"].paths == ("docker/langgraph", "docker/python", "agents")
    assert found["powershell-modules"].paths == ("docker/powershell", "Modules")
    assert all(line.services == (name,) for name, line in found.items())


def test_paths_outside_the_project_are_no_part_of_a_line(project: Project) -> None:
    """Of a service's folder, sources and paths, those that git can't see in this project are left out, doubles too."""
    (project.root.parent / "elsewhere").mkdir()
    project.append('[stages.shared]\nfolder = "docker/web"\ntarget = "x"\n')
    project.service(
        "api", 18981, contexts='{ shared = "stage:shared", tree = "source:watched" }',
        paths='["docs", "../elsewhere", "docker/api"]',
    )  # fmt: skip
    manifest = project.load(UC_SOURCES_WATCHED="../elsewhere")

    assert built_from(manifest, manifest.services["api"]) == ("docker/api", "docker/web", "docs")


def test_a_source_that_is_not_configured_is_no_path(project: Project) -> None:
    """An empty source adds nothing to a line."""
    project.service("api", 18981, contexts='{ tree = "source:watched" }')
    manifest = project.load()

    assert built_from(manifest, manifest.services["api"]) == ("docker/api",)


@pytest.fixture
def shipped() -> Manifest:
    """The manifest of this repository."""
    from build.config.load import load

    return load(REPOSITORY, {}, local=False)


@pytest.fixture
def independent() -> Manifest:
    """The same in independent mode."""
    from build.config.load import load

    return load(REPOSITORY, {"UC_RELEASE_MODE": "independent"}, local=False)
