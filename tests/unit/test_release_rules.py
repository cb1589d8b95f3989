"""Where each rule of releasing that peers are known to break is tested: the rule, and the tests that hold it.

P: partial releases. R: running again. F: floating tags. C: races. V: versions from git.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
RULES = {
    "P1": "a service that fails to build: no version tag, no git tag, no float of any",
    "P2": "a push that dies between tags: floats still name one set, resuming finishes",
    "P3": "a service that can't be published is found in preflight",
    "P4": "login and push right are proven before anything irreversible",
    "P5": "the release counts last, after all manifests are read back",
    "P6": "branch and tag go together; a rejected branch leaves no tag",
    "P7": "nothing is deleted that this run did not make",
    "P8": "an incomplete release is seen and finished before the next",
    "P9": "a dry run, a plan and a build without --push send nothing",
    "R1": "the tag exists with the same digest: success, no PUT",
    "R2": "it exists with another digest: stop, both named, the version is burned",
    "R3": "resuming never builds",
    "R4": "a stale local record is not published, and not built is not the same as not pushed",
    "R5": "what was pushed is asked of the registry, not of the last run",
    "R6": "a half-published tag is repaired without a fix in it",
    "R7": "several platforms in an immutable repository: children by digest",
    "F1": "a backfill moves its own minor alone",
    "F2": "a repair moves no float",
    "F3": "a release candidate does not hold back a patch",
    "F4": "a pre-release moves nothing",
    "F5": "numbers as numbers; a sha or a date is no version",
    "F6": "a float is the digest of its release",
    "F7": "latest is refused",
    "F8": "a registry that moves floats itself is left to it",
    "C1": "one of two racers wins, the loser publishes nothing",
    "C2": "the version is derived from the remote's tags, right before the claim",
    "C3": "every tag is read back after its PUT",
    "C4": "an image is taken by digest, not by a tag that may move",
    "V1": "a shallow or tagless clone is refused",
    "V2": "a dirty tree is not released",
    "V3": "build metadata never reaches an image tag",
    "V4": "each service is tagged with the version that was computed",
}


@functools.cache
def _tests() -> list[str]:
    """The names of all test functions of all suites."""
    texts = [path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")]
    return [name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)]


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_test_of_its_name(rule: str) -> None:
    """A rule's number is in the name of a test: test_p1_…, or test_p3_p4_… for two at once."""
    wanted = rule.lower()
    named = [name for name in _tests() if wanted in name.split("_")[1:3]]

    assert named != [], f"no test is named for {rule}: {RULES[rule]}"
