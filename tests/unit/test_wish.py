"""What a person asks for, and the version that it is on a line."""

from __future__ import annotations

import pytest
from semver import Version

from build.errors import RepositoryError
from build.manifest import Manifest
from build.tags import YANKED, Versions
from build.version import LONGEST_TAG, Line, LineHistory
from build.wish import Wish, version_for
from tests.conftest import Project


def line(last: str = "") -> LineHistory:
    """A line that is at `last`, with nothing after it."""
    return LineHistory(
        line=Line(name="uct", prefix="v", services=("web",)), last=Version.parse(last) if last else None,
        last_tag=f"v{last}" if last else "", taken=Versions(), distance=0, commits=(),
    )  # fmt: skip


@pytest.fixture
def manifest(empty_project: Project) -> Manifest:
    """A manifest whose first version is 0.1.0."""
    return empty_project.load()


@pytest.mark.parametrize("version", ["1.4.0-" + "a" * 115, "v1.4.0-" + "a" * 115])
def test_a_version_that_leaves_room_for_its_withdrawal(manifest: Manifest, version: str) -> None:
    """The longest version that is taken can still be marked as withdrawn within an image tag's 128 characters."""
    found, _ = version_for(Wish(version=version), line(), taken=Versions(), manifest=manifest, branch="main")

    assert len(f"{found}{YANKED}") == LONGEST_TAG


@pytest.mark.parametrize("version", ["1.4.0-" + "a" * 116, "1.4.0-" + "a" * 140])
def test_a_version_that_does_not_is_refused(manifest: Manifest, version: str) -> None:
    """Claimed, it could be neither published nor withdrawn, and every later release would stop at it."""
    with pytest.raises(RepositoryError, match="the version of a release 121 at most"):
        version_for(Wish(version=version), line(), taken=Versions(), manifest=manifest, branch="main")
