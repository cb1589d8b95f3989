"""What a deploy changes, and in which order; what counts as changed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from build.deploy import drift
from build.deploy.changes import changes, ordered
from build.deploy.target import DeployedSet, Observed, Spec


def _spec(name: str, *depends_on: str, digest: str = "1", value: int = 0) -> Spec:
    image = f"r/{name}@sha256:{digest * 64}"
    return Spec(service=name, image=image, document={"image": image, "value": value}, depends_on=depends_on)


def _running(spec: Spec) -> Observed:
    return Observed(spec=spec.hash, image=spec.image, state="running", health="healthy")


WEB, API = _spec("web", "api"), _spec("api")
SPECS = {"web": WEB, "api": API}
RUNNING = {name: _running(spec) for name, spec in SPECS.items()}


def test_what_runs_as_it_should_is_kept() -> None:
    """The same spec, running and healthy, is not touched."""
    assert {change.action for change in changes(SPECS, RUNNING)} == {"keep"}


@pytest.mark.parametrize(
    ("now", "action", "why"),
    [
        (None, "create", "is not there"),
        (replace(_running(_spec("api", digest="2"))), "update", "image sha256:222222222222 → sha256:111111111111"),
        (_running(_spec("api", value=1)), "update", "other settings or secrets, the same image"),
        (replace(_running(API), drift=("memory is 1, expected 2",)), "update", "differs: memory is 1, expected 2"),
        (replace(_running(API), health="unhealthy"), "update", "is unhealthy"),
        (replace(_running(API), state="exited", health=""), "update", "is exited"),
        (replace(_running(API), replicas=1, wanted=2), "update", "1 of 2 run"),
    ],
)
def test_whatever_is_not_as_it_should_be_is_brought_about(now: Observed | None, action: str, why: str) -> None:
    """One container in the way of what is wanted is changed, with the reason, and the other is kept."""
    observed = {name: each for name, each in (RUNNING | {"api": now}).items() if each}

    api, web = changes(SPECS, observed)

    assert (api.container, api.action, api.why) == ("api", action, why)
    assert web.action == "keep"


def test_what_is_not_wanted_any_more_goes_last() -> None:
    """It may be needed by what is replaced before it."""
    observed = {"old": _running(_spec("old"))} | RUNNING

    assert [(change.container, change.action) for change in changes(SPECS, observed)][-1] == ("old", "remove")


def test_what_others_depend_on_comes_first() -> None:
    """Otherwise the order is that of the manifest; a dependency that is left out is no obstacle."""
    specs = {"d": _spec("d", "c", "absent"), "c": _spec("c"), "b": _spec("b"), "a": _spec("a", "d")}

    assert ordered(specs) == ["c", "b", "d", "a"]


def test_what_was_changed_by_hand_is_drift_and_what_broke_is_not() -> None:
    """A set by hand, an absent or an additional container is drift; one that is down is brought up by any deploy."""
    current = DeployedSet(versions={"web": "1", "api": "1"}, records={}, specs=SPECS)
    by_hand = {
        "web": replace(RUNNING["web"], drift=("memory is 1, expected 2",)),
        "other": _running(_spec("other")),
    }

    assert drift.differences(current, by_hand) == [
        "api: was removed", "web: memory is 1, expected 2", "other: is not in 1"
    ]  # fmt: skip
    assert drift.differences(current, RUNNING | {"api": replace(RUNNING["api"], state="exited", health="")}) == []
    assert drift.differences(current, RUNNING | {"api": _running(_spec("api", digest="2"))}) == [
        f"api: runs r/api@sha256:{'2' * 64}"
    ]
    assert drift.differences(None, RUNNING) == ["web: no deploy made it", "api: no deploy made it"]
    assert drift.differences(None, {}) == []
