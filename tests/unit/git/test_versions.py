"""The next version by rule alone: bumps, channels, what is taken elsewhere, and the range of a branch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from build.errors import RepositoryError
from build.git.commits import BUMPS, Bump
from build.git.tags import Key, Versions, of_key
from build.git.versions import next_version
from tests.support.versions import CHANNEL, FIRST, IMAGE_TAG, KEYS


@pytest.mark.parametrize(
    ("last", "bump", "pre", "expected"),
    [
        ("", "patch", "", "0.1.0"),
        ("", "major", "rc", "0.1.0-rc.1"),
        ("1.4.2", "patch", "", "1.4.3"),
        ("1.4.2", "minor", "", "1.5.0"),
        ("1.4.2", "major", "", "2.0.0"),
        ("1.4.2", "patch", "rc", "1.4.3-rc.1"),
        ("1.4.2", "minor", "rc", "1.5.0-rc.1"),
        ("1.5.0-rc.1", "patch", "rc", "1.5.0-rc.2"),
        ("1.5.0-rc.9", "minor", "rc", "1.5.0-rc.10"),
        ("1.5.0-rc.1", "patch", "", "1.5.0"),
        ("1.5.0-rc.1", "minor", "", "1.5.0"),
        ("1.5.0-rc.1", "none", "", "1.5.0"),
        ("1.5.0-rc.1", "major", "", "2.0.0"),
        ("1.5.0-rc.1", "major", "rc", "2.0.0-rc.1"),
        ("1.4.3-rc.1", "minor", "rc", "1.5.0-rc.1"),
        ("2.0.0-rc.1", "major", "", "2.0.0"),
        ("2.0.0-rc.1", "minor", "rc", "2.0.0-rc.2"),
        ("1.5.0-alpha.3", "patch", "rc", "1.5.0-rc.1"),
        ("0.3.1", "minor", "", "0.4.0"),
        ("0.3.1", "major", "", "0.4.0"),
        ("0.4.0-rc.1", "major", "rc", "0.4.0-rc.2"),
    ],
)
def test_next_version(last: str, bump: Bump, pre: str, expected: str) -> None:
    """Bumps, pre-release channels, the first release, and 0.y.z, where a breaking change bumps the minor."""
    assert str(next_version(Version.parse(last) if last else None, bump, pre=pre, first=FIRST)) == expected


@pytest.mark.parametrize(("rule", "expected"), [("major_on_zero", "1.0.0"), ("explicit", "1.0.0"), ("", "0.4.0")])
def test_zero_is_left_by_setting_or_by_hand(rule: str, expected: str) -> None:
    """0.y.z becomes 1.0.0 when the setting lets a breaking change do it, or a person asks for major."""
    assert str(next_version(Version(0, 3, 1), "major", first=FIRST, **({rule: True} if rule else {}))) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "bump", "pre", "taken", "expected"),
    [
        ("1.4.0", "patch", "", ["1.4.1", "1.4.2"], "1.4.3"),
        ("1.4.0", "patch", "", ["1.4.7"], "1.4.8"),
        ("1.4.0", "minor", "", ["1.5.0"], "1.6.0"),
        ("1.4.0", "minor", "", ["1.5.3"], "1.6.0"),
        ("1.4.0", "minor", "", ["2.0.0"], "1.5.0"),
        ("1.4.0", "major", "", ["2.1.0"], "3.0.0"),
        ("1.3.4", "patch", "", ["1.4.0", "1.4.1"], "1.3.5"),
        ("1.4.0", "minor", "", ["1.5.0-rc.3"], "1.5.0"),
        ("1.4.0", "minor", "rc", ["1.5.0-rc.3"], "1.5.0-rc.4"),
        ("1.4.0", "minor", "rc", ["1.5.0"], "1.6.0-rc.1"),
        ("1.5.0-rc.1", "patch", "", ["1.5.0"], "1.5.1"),
        ("2.0.0-rc.1", "minor", "", ["2.0.0"], "2.1.0"),
        ("", "minor", "", ["0.1.0"], "0.1.1"),
        ("", "major", "", ["0.1.0"], "0.1.1"),
    ],
)
def test_a_version_that_is_taken_elsewhere_is_skipped(
    last: str, bump: Bump, pre: str, taken: list[str], expected: str
) -> None:
    """A version tagged on a branch that HEAD does not reach is never given again: the next goes above it."""
    found = next_version(
        Version.parse(last) if last else None, bump, pre=pre, taken=frozenset(map(Version.parse, taken)), first=FIRST
    )  # fmt: skip

    assert str(found) == expected


@pytest.mark.parametrize(
    ("branch", "last", "bump", "expected"),
    [
        ("1.3.x", "1.3.4", "patch", "1.3.5"),
        ("1.x", "1.3.4", "minor", "1.4.0"),
        ("web/1.3.x", "1.3.4", "patch", "1.3.5"),
        ("1.3.x", "1.3.4", "minor", None),
        ("1.3.x", "1.4.0", "patch", None),
        ("1.x", "1.3.4", "major", None),
        ("main", "1.3.4", "major", "2.0.0"),
        (None, "1.3.4", "major", "2.0.0"),
    ],
)
def test_a_maintenance_branch_keeps_to_its_range(
    branch: str | None, last: str, bump: Bump, expected: str | None
) -> None:
    """1.3.x releases 1.3.* only, 1.x releases 1.* only; any other branch, or none, has no range."""
    if expected:
        assert str(next_version(Version.parse(last), bump, first=FIRST, branch=branch)) == expected
    else:
        with pytest.raises(RepositoryError, match=rf"branch {branch} releases"):
            next_version(Version.parse(last), bump, first=FIRST, branch=branch)


LETTERS = "expected letters, digits and -, with a letter"
REFUSALS = [
    ("", "none", "", None, "nothing to release: no commit in this history bumps a version", "--bump patch"),
    ("1.4.0", "none", "", None, "nothing to release: no commit since 1.4.0 bumps a version", "--bump patch"),
    ("1.5.0-rc.1", "none", "rc", None, "nothing to release: no commit since 1.5.0-rc.1 bumps a version", "--bump patch"),
    ("1.5.0-rc.1", "patch", "beta", None,
     "1.5.0-beta.1 would rank below 1.5.0-rc.1, which is released already", "--pre rc, or release without --pre"),
    ("1.4.0", "patch", "1", None, f"'1' can't be a pre-release channel: {LETTERS}", "--pre rc"),
    ("1.4.0", "patch", "r c", None, f"'r c' can't be a pre-release channel: {LETTERS}", "--pre rc"),
    ("1.4.0", "patch", "rc.1", None, f"'rc.1' can't be a pre-release channel: {LETTERS}", "--pre rc"),
    ("1.4.0", "patch", "dev", None, "'dev' can't be a pre-release channel: it is reserved for snapshots", "--pre rc"),
    ("1.4.0", "patch", "a" * 114, None,
     f"1.4.1-{'a' * 114}.1 has 122 characters, and the version of a release 121 at most",
     "a shorter --version, or a shorter --pre"),
    ("1.3.4", "minor", "", "web/1.3.x", "branch web/1.3.x releases 1.3.* only, and the next version would be 1.4.0",
     "release from main, or with a smaller --bump"),
    ("1.3.4", "major", "", "team/web/1.x", "branch team/web/1.x releases 1.* only, and the next version would be 2.0.0",
     "release from main, or with a smaller --bump"),
]  # fmt: skip


@pytest.mark.parametrize(("last", "bump", "pre", "branch", "message", "hint"), REFUSALS)
def test_no_version_fits(last: str, bump: Bump, pre: str, branch: str | None, message: str, hint: str) -> None:
    """What can't be released is refused with its reason and a way on."""
    with pytest.raises(RepositoryError) as caught:
        next_version(Version.parse(last) if last else None, bump, pre=pre, first=FIRST, branch=branch)

    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_the_longest_version_of_a_release_fits() -> None:
    """121 characters are allowed: with the mark of its withdrawal, that is an image tag's 128."""
    longest = next_version(Version(1, 4, 0), "patch", pre="a" * 113, first=FIRST)

    assert len(str(longest)) == 121


@given(
    last=st.none() | KEYS,
    taken=st.frozensets(KEYS, max_size=12),
    bump=st.sampled_from(BUMPS[1:]),
    pre=CHANNEL,
    major_on_zero=st.booleans(),
)
def test_the_next_version_is_new_and_higher(
    last: Key | None, taken: frozenset[Key], bump: Bump, pre: str, major_on_zero: bool
) -> None:
    """Whatever is taken: the next version is above the last, not taken, an image tag, and of the channel asked for."""
    before = of_key(last) if last else None
    try:
        found = next_version(
            before, bump, pre=pre, taken=Versions(keys=taken), first=FIRST, major_on_zero=major_on_zero
        )  # fmt: skip
    except RepositoryError as error:
        assert pre, str(error)  # only a channel may fail to fit
        assert "would rank below" in str(error)
        return

    assert before is None or found > before
    assert found not in Versions(keys=taken)
    assert IMAGE_TAG.fullmatch(str(found))
    assert (found.prerelease or "").rpartition(".")[0] == pre


@given(last=KEYS, bump=st.sampled_from(BUMPS[1:]), releases=st.integers(min_value=1, max_value=4))
def test_a_channel_climbs_until_its_release(last: Key, bump: Bump, releases: int) -> None:
    """rc.1, rc.2, … of one version rank in that order, below the final version that then follows them."""
    final = of_key((*last[:3], ""))
    seen = [next_version(final, bump, pre="rc", first=FIRST)]
    for _ in range(releases):
        seen.append(next_version(seen[-1], "patch", pre="rc", first=FIRST, taken=seen))
    seen.append(next_version(seen[-1], "none", first=FIRST, taken=seen))

    assert seen == sorted(seen)
    assert {one.finalize_version() for one in seen} == {seen[-1]}
