"""A registry that fails: passing faults are overcome, lasting ones told plainly, and after them the next run completes."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable

import pytest

from tests.fault.invariants import assert_invariants, assert_nothing_new
from tests.fault.policies import ALWAYS
from tests.fault.proxy import Answer, Proxy, Request, Rule, lose_answer, pretend, reset, slow, status
from tests.fault.world import World, clean

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
    "500 to anything": [Rule(r" /v2/", status(500), times=3, after=4)],
    "502 to every third": [Rule(r" /v2/", status(502), times=1, after=number) for number in range(0, 90, 3)],
    "503 to the listing of tags": [Rule(r"/tags/list", status(503), times=2)],
    "a reset of a blob's upload": [Rule(BLOB, reset, times=2)],
    "a reset of a candidate": [Rule(CANDIDATE, reset, times=2)],
    "a reset of a tag": [Rule(IMAGE_TAG, reset, times=2)],
    "a slow blob": [Rule(BLOB, slow(1.5), times=1)],
    "a blob that arrived, its answer lost": [Rule(BLOB, lose_answer, times=2)],
    "a candidate that arrived, its answer lost": [Rule(CANDIDATE, lose_answer, times=2)],
    "a tag that arrived, its answer lost": [Rule(IMAGE_TAG, lose_answer, times=2)],
    "a record that arrived, its answer lost": [Rule(RECORD, lose_answer), Rule(RECORD_BLOB, lose_answer)],
    "a float that arrived, its answer lost": [Rule(IMAGE_FLOAT, lose_answer, times=2)],
    "a tag acknowledged and lost": [Rule(IMAGE_TAG, pretend, times=2)],
    "a record acknowledged and lost": [Rule(RECORD, pretend, times=2)],
    "a float acknowledged and lost": [Rule(IMAGE_FLOAT, pretend, times=2)],
    "404 to an upload that the next server does not know": [Rule(BLOB, status(404), times=2)],
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_overcome(faulty: World, proxy: Proxy, name: str) -> None:
    """The release succeeds, and all invariants hold."""
    proxy.rules = [Rule(one.pattern, one.act, one.times, one.after) for one in PASSING[name]]

    ran = faulty.clone.release()

    assert ran.code == 0, ran.text
    assert any(rule.taken for rule in proxy.rules), "the fault did not happen"
    assert_invariants(faulty)


def _date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("where", [BLOB, CANDIDATE, IMAGE_TAG, IMAGE_FLOAT], ids=["blob", "candidate", "tag", "float"])
@pytest.mark.parametrize("asked", ["3", "date"])
def test_429_waits_as_long_as_it_is_asked_to(faulty: World, proxy: Proxy, where: str, asked: str) -> None:
    """Retry-After is obeyed, in seconds and as a date, for each kind of write."""

    def busy(_request: Request) -> Answer:
        return Answer(429, {"Retry-After": _date(4) if asked == "date" else asked})

    proxy.rules = [Rule(where, busy)]

    ran = faulty.clone.release()

    assert ran.code == 0, ran.text
    (refused,) = (one for one in proxy.seen if one.status == 429)
    # An upload begins again under another name: what it is, its digest says.
    same = refused.path.partition("digest=")[2] or refused.path
    again = [one for one in proxy.seen if one.at > refused.at and one.method == "PUT" and one.path.endswith(same)]
    assert again[0].at - refused.at >= 2.9
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
    "401 for ever": (r"^(PUT|POST) ", status(401), False),
    "403 to uploads": (r"^POST .*/blobs/uploads/", status(403), False),
    "502 to every tag": (IMAGE_TAG, status(502), True),
    "tags acknowledged and lost": (IMAGE_TAG, pretend, True),
    "403 to every tag": (IMAGE_TAG, status(403), True),
    "500 to the record": (RECORD, status(500), True),
    "the record acknowledged and lost": (RECORD, pretend, True),
    "403 to the record's blobs": (RECORD_BLOB, status(403), True),
    "500 to every float": (IMAGE_FLOAT, status(500), True),
    "floats acknowledged and lost": (IMAGE_FLOAT, pretend, True),
    "403 to every float": (IMAGE_FLOAT, status(403), True),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_is_told_and_the_next_run_completes(faulty: World, proxy: Proxy, name: str) -> None:
    """Exit 10 with a reason and no traceback; before the claim nothing is public, after it the error says what
    finishes the release; once the fault is gone, the next run does."""
    pattern, act, claimed = LASTING[name]
    before = faulty.public()
    proxy.rules = [Rule(pattern, act, times=ALWAYS)]

    ran = faulty.clone.release()

    assert ran.code == 10, ran.text
    assert clean(ran.stderr), ran.text
    assert bool(faulty.public().git) == claimed
    if claimed:
        assert "./inv release --resume" in ran.stderr, ran.text
        assert re.search(r"^error: v0\.1\.0 is (claimed|complete)", ran.stderr, re.M), ran.text
    else:
        assert_nothing_new(faulty, before)
    assert_invariants(faulty, settled=False)
    proxy.heal()
    again = faulty.clone.release()
    assert again.code == 0, again.text
    assert set(faulty.public().git) == {"v0.1.0"}
    assert_invariants(faulty)


@pytest.mark.parametrize("code", [400, 403, 404, 405, 409])
def test_a_refusal_is_not_asked_again(faulty: World, proxy: Proxy, code: int) -> None:
    """A 4xx is final: each tag is put once."""
    proxy.rules = [Rule(IMAGE_TAG, status(code), times=ALWAYS)]

    ran = faulty.clone.release()

    assert ran.code == 10, ran.text
    assert {name: proxy.count(rf"^PUT .*/{name}{VERSION[:-1]} → {code}") for name in ("one", "two")} == {
        "one": 1,
        "two": 1,
    }


def test_a_registry_that_is_away_after_the_claim(faulty: World, proxy: Proxy) -> None:
    """A registry that dies between claim and publish leaves a claim that another clone finishes."""
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
    """No blob of an unchanged service is uploaded or mounted again, and no manifest of it put by digest."""
    assert faulty.clone.release().code == 0
    faulty.clone.commit("one")
    proxy.heal()

    ran = faulty.clone.release()

    assert ran.code == 0, ran.text
    assert proxy.count(r"^PUT .*/two/blobs/") == 0
    assert proxy.count(r"^POST .*/two/blobs/.*mount=") == 0
    assert proxy.count(r"^PUT .*/two/manifests/sha256") == 0
    assert proxy.count(r"^PUT .*/one/blobs/") > 0
    assert_invariants(faulty)


def test_each_tag_is_asked_put_and_read_back_once(faulty: World, proxy: Proxy) -> None:
    """From the claim on: one question, one PUT and one read-back for each tag, and not more."""
    claimed: list[int] = []
    running = faulty.clone.start("release", "--skip-scan", "--skip-smoke")
    running.when("» publish the immutable tags", lambda: claimed.append(len(proxy.seen)))

    assert running.wait().code == 0
    proxy.seen = proxy.seen[claimed[0] :]
    for repository in ("one", "two"):
        for tag in ("0.1.0", "0.1", "0"):
            asked = proxy.count(rf"^(HEAD|GET) .*/{repository}/manifests/{tag} →")
            put = proxy.count(rf"^PUT .*/{repository}/manifests/{tag} →")
            assert (asked, put) == (2, 1), f"{repository}:{tag}"
    assert proxy.count(r"^PUT .*/(one|two)/blobs/") == 0


def test_a_finished_release_is_not_put_again(faulty: World, proxy: Proxy) -> None:
    """Running it again writes nothing into the registry, nor does --resume."""
    assert faulty.clone.release().code == 0
    proxy.heal()

    assert faulty.clone.release().code == 0
    assert faulty.clone.inv("release", "--resume").code == 0
    assert proxy.count(r"^(PUT|POST|DELETE) ") == 0


def test_a_resumed_release_puts_only_what_is_missing(faulty: World, proxy: Proxy) -> None:
    """A tag that was put before the release died is not put again."""
    proxy.rules = [Rule(r"^PUT .*/two" + VERSION, status(403), times=ALWAYS)]
    assert faulty.clone.release().code == 10
    proxy.heal()

    assert faulty.clone.release().code == 0
    assert proxy.count(r"^PUT .*/one" + VERSION[:-1]) == 0
    assert proxy.count(r"^PUT .*/two" + VERSION[:-1]) == 1
    assert_invariants(faulty)
