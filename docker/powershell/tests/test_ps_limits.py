"""Time limits, a full queue, a lost critical module, and how the service ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psserver import Service, running, write_module
from pstrees import PROBE, PROBE_EXPORTS


@pytest.mark.parametrize(("command", "word"), [("Start-Spin", "stopped"), ("Start-Blocking", "left behind")])
def test_a_call_past_its_time_is_504_and_the_next_one_works(service: Service, command: str, word: str) -> None:
    """A busy script is stopped; a blocking .NET call can't be, and costs no worker: all four still answer at once."""
    with ThreadPoolExecutor(4) as pool:
        slow = list(pool.map(lambda _: service.invoke("Probe", command), range(4)))
        assert [answer.status_code for answer in slow] == [504] * 4
        assert all(word in answer.json()["detail"] for answer in slow)
        quick = list(pool.map(lambda _: service.invoke("Probe", "Get-Nothing"), range(8)))
    assert [answer.json().get("ok") for answer in quick] == [True] * 8
    assert service.request("GET", "/health").status_code == 200


def test_a_slow_call_under_its_limit_is_answered(service: Service) -> None:
    """The limit is a limit, not a length."""
    assert service.result("Probe", "Start-Sleepy", Seconds=1) == ["awake"]


def test_a_full_queue_answers_503_a_stuck_one_unhealthy_and_a_lost_module_too(pwsh: str, tmp_path: Path) -> None:
    """One worker and one place: the third caller is refused at once; then health follows the critical module's file,
    and at last too many calls that can't be stopped make the service unhealthy, so that something restarts it."""
    tree = tmp_path / "Modules"
    place = write_module(tree, "Probe", PROBE, manifest=PROBE_EXPORTS)
    limits = {"UC_WORKERS": 1, "UC_QUEUE": 1, "UC_CALL_TIMEOUT_SECONDS": 3}
    with running(pwsh, tree, tmp_path, ["Probe"], **limits) as service, ThreadPoolExecutor(6) as pool:
        assert service.request("GET", "/health").status_code == 200
        started = time.monotonic()
        answers = list(pool.map(lambda _: service.invoke("Probe", "Start-Sleepy", Seconds=1.5), range(6)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503, 503]
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert (refused.json()["error"], refused.headers["retry-after"]) == ("busy", "1")
        assert refused.elapsed.total_seconds() < time.monotonic() - started
        manifest = place / "Probe.psd1"
        kept = manifest.read_bytes()
        manifest.unlink()
        assert wait_for_health(service, 503, 10)["modules"][0]["reason"] == "its file is gone"
        manifest.write_bytes(kept)
        wait_for_health(service, 200, 10)
        for _ in range(4):
            assert service.invoke("Probe", "Start-Blocking").status_code == 504
        assert wait_for_health(service, 503, 10)["stuck_calls"] == 4
        assert service.stop()[0] == 0


def wait_for_health(service: Service, status: int, seconds: float) -> dict[str, Any]:
    """The health body once it has this status; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = service.request("GET", "/health")
        if answer.status_code == status:
            return dict(answer.json())
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def test_sigterm_finishes_what_is_in_flight_and_refuses_the_rest(pwsh: str, tmp_path: Path) -> None:
    """Any Host is served; then the running call is answered, a new one gets 503, the process ends with 0 soon after."""
    write_module(tmp_path / "Modules", "Probe", PROBE, manifest=PROBE_EXPORTS)
    with (
        running(pwsh, tmp_path / "Modules", tmp_path, ["Probe"], UC_WORKERS=2, UC_HOST="*") as service,
        ThreadPoolExecutor(2) as pool,
    ):
        for host in (
            "localhost",
            "powershell-modules:5985",
            "127.0.0.1:1",
        ):  # the peers' name, the probe's, a port mapping's
            assert service.request("GET", "/health", headers={"Host": host}).status_code == 200
        service.result("Probe", "Get-Nothing")
        running_call = pool.submit(service.invoke, "Probe", "Start-Sleepy", Seconds=1.5)
        time.sleep(0.5)
        ending = pool.submit(service.stop)
        service.event("stopping", in_flight=1)
        late = service.invoke("Probe", "Get-Nothing")
        assert (late.status_code, late.json()["error"]) == (503, "stopping")
        assert running_call.result().json()["result"] == ["awake"]
        code, seconds = ending.result()
        assert code == 0
        assert seconds < 6
        assert service.events("stopped")[0]["unanswered"] == 0


def test_a_wrong_setting_is_named_and_ends_the_start(pwsh: str, tmp_path: Path) -> None:
    """UC_WORKERS=many is exit code 2 and one sentence, not a stack trace."""
    (tmp_path / "Modules").mkdir()
    with (
        pytest.raises(AssertionError, match="UC_WORKERS: expected a whole number from 1 to 64, not 'many'"),
        running(pwsh, tmp_path / "Modules", tmp_path, [], UC_WORKERS="many"),
    ):
        pass
