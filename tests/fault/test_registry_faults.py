"""A failing registry: transient faults are retried, lasting ones reported plainly, and then the next run completes."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable

import pytest

from tests.support.invariants import assert_invariants, assert_nothing_new
from tests.support.policies import ALWAYS
from tests.support.proxy import Answer, Proxy, Request, Rule, lose_answer, pretend, reset, slow, status
from tests.support.steps import begins
from tests.support.world import World, clean

VERSION = r"/manifests/\d+\.\d+\.\d+$"
FLOAT = r"/manifests/\d+(\.\d+)?$"
BLOB = r"^PUT .*/(one|two)/blobs/uploads/"
CANDIDATE = r"^PUT .*/(one|two)/manifests/sha256"
IMAGE_TAG = rf"^PUT .*/(one|two){VERSION}"
RECORD = rf"^PUT .*/release{VERSION}"
RECORD_BLOB = r"^PUT .*/release/blobs/uploads/"
IMAGE_FLOAT = rf"^PUT .*/(one|two){FLOAT}"
Act = Callable[[Request], Answer]

PASSING: dict[str, list[Rule]] = {
    "errors": [
        Rule(r" /v2/", status(500), times=3, after=4),
        Rule(r"/tags/list", status(503), times=2),
        Rule(BLOB, status(404), times=2),
        *(Rule(r" /v2/", status(502), after=number) for number in range(0, 90, 3)),
    ],
    "resets": [Rule(where, reset, times=2) for where in (BLOB, CANDIDATE, IMAGE_TAG, RECORD, IMAGE_FLOAT)],
    "lost answers": [
        Rule(where, lose_answer, times=2) for where in (BLOB, CANDIDATE, IMAGE_TAG, RECORD_BLOB, RECORD, IMAGE_FLOAT)
    ],
    "writes acknowledged and lost": [Rule(where, pretend, times=2) for where in (IMAGE_TAG, RECORD, IMAGE_FLOAT)],
    "slowness": [Rule(where, slow(1.5)) for where in (BLOB, IMAGE_TAG)],
}


@pytest.mark.parametrize("name", PASSING)
def test_passing_faults_are_overcome(faulty: World, proxy: Proxy, name: str) -> None:
    """The release succeeds despite the fault, and all invariants hold."""
    proxy.rules = [Rule(one.pattern, one.act, one.times, one.after) for one in PASSING[name]]

    ran = faulty.clone.release()

    assert ran.code == 0, ran.text
    assert [rule.pattern for rule in proxy.rules if not rule.taken and rule.after == 0] == []
    assert_invariants(faulty)


def _date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("asked", ["3", "date"])
def test_429_waits_as_long_as_it_is_asked_to(faulty: World, proxy: Proxy, asked: str) -> None:
    """Retry-After is honoured, in seconds and as a date, for each kind of write."""

    def busy(_request: Request) -> Answer:
        return Answer(429, {"Retry-After": _date(4) if asked == "date" else asked})

    proxy.rules = [Rule(where, busy) for where in (BLOB, CANDIDATE, IMAGE_TAG, RECORD, IMAGE_FLOAT)]

    ran = faulty.clone.release()

    assert ran.code == 0, ran.text
    refused = [attempt for attempt in proxy.seen if attempt.status == 429]
    assert len(refused) == 5
    for attempt in refused:
        # A retried upload has another URL: its digest identifies it.
        same = attempt.path.partition("digest=")[2] or attempt.path
        again = next(
            other
            for other in proxy.seen
            if other.at > attempt.at and other.method == "PUT" and other.path.endswith(same)
        )
        assert again.at - attempt.at >= 2.9, attempt
    assert_invariants(faulty)


LASTING: dict[str, tuple[str, Act, bool]] = {
    "500 to every blob": (BLOB, status(500), False),
    "resets of every candidate": (CANDIDATE, reset, False),
    "blobs acknowledged and lost": (BLOB, pretend, False),
    "candidates acknowledged and lost": (CANDIDATE, pretend, False),
    "500 to every listing": (r"/tags/list", status(500), False),
    "a listing that is a web page": (
        r"/tags/list",
        lambda _: Answer(200, {"Content-Type": "text/html"}, b"<html>"),
        False,
    ),
    "an upload without a location": (r"^POST .*/blobs/uploads/", status(202), False),
    "a permanent 401": (r"^(PUT|POST) ", status(401), False),
    "403 to uploads": (r"^POST .*/blobs/uploads/", status(403), False),
    "502 to every tag": (IMAGE_TAG, status(502), True),
    "tags acknowledged and lost": (IMAGE_TAG, pretend, True),
    "403 to every tag": (IMAGE_TAG, status(403), True),
    "403 to the record's blobs": (RECORD_BLOB, status(403), True),
    "500 to the record": (RECORD, status(500), True),
    "the record acknowledged and lost": (RECORD, pretend, True),
    "500 to every float": (IMAGE_FLOAT, status(500), True),
    "floats acknowledged and lost": (IMAGE_FLOAT, pretend, True),
    "403 to every float": (IMAGE_FLOAT, status(403), True),
}


def test_permanent_faults_before_the_claim(faulty: World, proxy: Proxy) -> None:
    """Exit 10 with a reason and no traceback, and nothing is public; once the fault is gone, the next run completes."""
    before = faulty.public()
    for name, (pattern, act, claimed) in LASTING.items():
        if claimed:
            continue
        proxy.rules = [Rule(pattern, act, times=ALWAYS)]
        ran = faulty.clone.release()
        assert ran.code == 10, f"{name}: {ran.text}"
        assert clean(ran.stderr), f"{name}: {ran.text}"
        assert_nothing_new(faulty, before)
    proxy.heal()

    ran = faulty.clone.release()

    assert ran.code == 0, ran.text
    assert_invariants(faulty)


def test_permanent_faults_after_the_claim(faulty: World, proxy: Proxy) -> None:
    """Exit 10, and the error says how far the release got and what finishes it; each further run continues where the
    last one stopped, until the release is complete."""
    for name, (pattern, act, claimed) in LASTING.items():
        if not claimed:
            continue
        proxy.rules = [Rule(pattern, act, times=ALWAYS)]
        ran = faulty.clone.release()
        assert ran.code == 10, f"{name}: {ran.text}"
        assert clean(ran.stderr), f"{name}: {ran.text}"
        assert "./inv release --resume" in ran.stderr, f"{name}: {ran.text}"
        progress = r"^error: (v0\.1\.0 is (claimed|complete)|the floats of )"
        assert re.search(progress, ran.stderr, re.M), f"{name}: {ran.text}"
        assert_invariants(faulty, settled=False)
    proxy.heal()

    ran = faulty.another().inv("release", "--resume")

    assert ran.code == 0, ran.text
    assert_invariants(faulty)


@pytest.mark.parametrize("code", [400, 403, 405])
def test_a_refusal_is_not_asked_again(faulty: World, proxy: Proxy, code: int) -> None:
    """A 4xx is final: each tag is written once."""
    proxy.rules = [Rule(IMAGE_TAG, status(code), times=ALWAYS)]

    ran = faulty.clone.release()

    assert ran.code == 10, ran.text
    put = {name: proxy.count(rf"^PUT .*/{name}{VERSION[:-1]} → {code}") for name in ("one", "two")}
    assert put == {"one": 1, "two": 1}


def test_a_registry_that_is_away_after_the_claim(faulty: World, proxy: Proxy) -> None:
    """If the registry goes down between claim and publish, another clone finishes the claim."""
    proxy.rules = [
        Rule(IMAGE_TAG, reset, times=ALWAYS),
        Rule(r"^HEAD .*/(one|two)" + VERSION, reset, times=ALWAYS, after=2),
    ]

    ran = faulty.clone.release()

    assert ran.code == 10, ran.text
    assert clean(ran.stderr), ran.text
    assert "./inv release --resume" in ran.stderr
    proxy.heal()
    other = faulty.another().inv("release", "--resume")
    assert other.code == 0, other.text
    assert_invariants(faulty)


def test_only_what_changed_is_sent(faulty: World, proxy: Proxy) -> None:
    """For an unchanged service no blob is uploaded or mounted again, and no manifest is written by digest; a mount of what
    it has, from itself, proves the right to push."""
    assert faulty.clone.release().code == 0
    faulty.clone.commit("one")
    proxy.heal()

    ran = faulty.clone.release()

    assert ran.code == 0, ran.text
    assert proxy.count(r"^PUT .*/two/blobs/") == 0
    assert proxy.count(r"^POST .*/two/blobs/.*mount=") == proxy.count(r"^POST .*/two/blobs/.*from=\S*/two →") == 1
    assert proxy.count("^DELETE ") == 0
    assert proxy.count(r"^PUT .*/two/manifests/sha256") == 0
    assert proxy.count(r"^PUT .*/one/blobs/") > 0
    assert_invariants(faulty)


def test_each_tag_is_asked_put_and_read_back_once(faulty: World, proxy: Proxy) -> None:
    """From the claim on, each tag takes one PUT, one read-back, and one lookup at most."""
    claimed: list[int] = []
    running = faulty.clone.start("release", "--skip-scan", "--skip-smoke")
    running.when(begins("publish"), lambda: claimed.append(len(proxy.seen)))

    assert running.wait().code == 0
    proxy.seen = proxy.seen[claimed[0] :]
    for repository in ("one", "two"):
        for tag in ("0.1.0", "0.1", "0"):
            asked = proxy.count(rf"^(HEAD|GET) .*/{repository}/manifests/{tag} →")
            put = proxy.count(rf"^PUT .*/{repository}/manifests/{tag} →")
            assert (asked in {1, 2}, put) == (True, 1), f"{repository}:{tag}"
    assert proxy.count(r"^PUT .*/(one|two)/blobs/") == 0


def test_a_finished_release_is_not_put_again(faulty: World, proxy: Proxy) -> None:
    """Neither a repeated release nor --resume writes anything to the registry."""
    assert faulty.clone.release().code == 0
    proxy.heal()

    assert faulty.clone.release().code == 0
    assert faulty.clone.inv("release", "--resume").code == 0
    assert proxy.count(r"^(PUT|POST|DELETE) ") == 0


def test_a_resumed_release_puts_only_missing_tags(faulty: World, proxy: Proxy) -> None:
    """A tag that was written before the release died is not written again."""
    proxy.rules = [Rule(r"^PUT .*/two" + VERSION, status(403), times=ALWAYS)]
    assert faulty.clone.release().code == 10
    proxy.heal()

    assert faulty.clone.release().code == 0
    assert proxy.count(r"^PUT .*/one" + VERSION[:-1]) == 0
    assert proxy.count(r"^PUT .*/two" + VERSION[:-1]) == 1
    assert_invariants(faulty)
