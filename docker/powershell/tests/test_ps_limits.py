"""Time limits, a full queue, a lost critical module, and how the service ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psserver import DEADLINE, TOKEN, Service, running, write_module
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


def test_a_full_queue_answers_503_and_a_lost_critical_module_makes_it_unhealthy(pwsh: str, tmp_path: Path) -> None:
    """One worker and one place: the third caller is refused at once; and health follows the critical module's file."""
    place = write_module(tmp_path / "Modules", "Probe", PROBE, manifest=PROBE_EXPORTS)
    gate = tmp_path / "gate"
    limits = {"UC_WORKERS": 1, "UC_QUEUE": 1}
    with (
        running(pwsh, tmp_path / "Modules", tmp_path, ["Probe"], **limits) as service,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(service.invoke, "Probe", "Wait-File", Path=str(gate))
        wait_for_metric(service, "http_requests_in_flight 2")  # the call and this question
        wait_for_metric(service, "powershell_queue_depth 0")
        second = pool.submit(service.invoke, "Probe", "Wait-File", Path=str(gate))
        wait_for_metric(service, "powershell_queue_depth 1")
        third = service.invoke("Probe", "Get-Nothing")
        assert (third.status_code, third.json()["error"], third.headers["retry-after"]) == (503, "busy", "1")
        assert service.request("GET", "/health").status_code == 200
        gate.touch()
        assert [first.result().status_code, second.result().status_code] == [200, 200]
        manifest = place / "Probe.psd1"
        kept = manifest.read_bytes()
        manifest.unlink()
        assert wait_for_health(service, 503)["modules"][0]["reason"] == "its file is gone"
        manifest.write_bytes(kept)
        wait_for_health(service, 200)


def test_too_many_calls_that_cannot_be_stopped_end_it(pwsh: str, tmp_path: Path) -> None:
    """Each holds a thread for good: below the limit calls go on, at the limit the service says why and exits with 1, to be restarted."""
    write_module(tmp_path / "Modules", "Probe", PROBE, manifest=PROBE_EXPORTS)
    limits = {"UC_WORKERS": 1, "UC_CALL_TIMEOUT_SECONDS": 1}
    with running(pwsh, tmp_path / "Modules", tmp_path, ["Probe"], **limits) as service:
        for _ in range(3):
            assert service.invoke("Probe", "Start-Blocking").status_code == 504
        assert service.result("Probe", "Get-Nothing") == []
        assert service.request("GET", "/health").json()["stuck_calls"] == 3
        assert service.invoke("Probe", "Start-Blocking").status_code == 504
        assert service.process.wait(timeout=DEADLINE) == 1
        assert service.event("too_many_stuck", stuck_calls=4, limit=4)["level"] == "error"
        assert service.event("stopped")["unanswered"] == 0


def wait_for_metric(service: Service, line: str) -> None:
    """Until /metrics has this line."""
    deadline = time.monotonic() + DEADLINE
    while line not in service.request("GET", "/metrics").text.splitlines():
        assert time.monotonic() < deadline, line
        time.sleep(0.02)


def wait_for_health(service: Service, status: int, seconds: float = 10) -> dict[str, Any]:
    """The health body once it has this status; a verdict may be 10 s old, not more."""
    deadline = time.monotonic() + seconds
    while True:
        answer = service.request("GET", "/health")
        if answer.status_code == status:
            return dict(answer.json())
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def test_sigterm_finishes_requests_in_flight_and_refuses_new_ones(pwsh: str, tmp_path: Path) -> None:
    """Any Host is served; then the running call is answered, a new one gets 503, and the process ends with 0."""
    write_module(tmp_path / "Modules", "Probe", PROBE, manifest=PROBE_EXPORTS)
    with (
        running(
            pwsh, tmp_path / "Modules", tmp_path, ["Probe"], UC_WORKERS=2, UC_DRAIN_SECONDS=60, UC_HOST="*"
        ) as service,
        ThreadPoolExecutor(2) as pool,
    ):
        for host in (
            "localhost",
            "powershell-modules:5985",
            "127.0.0.1:1",
        ):  # the peers' name, the probe's, a port mapping's
            assert service.request("GET", "/health", headers={"Host": host}).status_code == 200
        gate = tmp_path / "gate"
        running_call = pool.submit(service.invoke, "Probe", "Wait-File", Path=str(gate))
        wait_for_metric(service, "http_requests_in_flight 2")
        ending = pool.submit(service.stop)
        service.event("stopping", in_flight=1)
        late = service.invoke("Probe", "Get-Nothing")
        assert (late.status_code, late.json()["error"]) == (503, "stopping")
        gate.touch()
        assert running_call.result().json()["result"] == ["found"]
        assert ending.result()[0] == 0
        assert service.events("stopped")[0]["unanswered"] == 0


def test_an_answered_request_is_no_longer_in_flight(service: Service) -> None:
    """The count is exact for a caller that has its answer, even while a worker cleans up after the call."""
    assert service.invoke("Probe", "Start-Spin").status_code == 504
    assert "http_requests_in_flight 1" in service.request("GET", "/metrics").text.splitlines()


def test_sigterm_ends_calls_that_do_not_end(pwsh: str, tmp_path: Path) -> None:
    """After the drain time a spinning, a blocked, a waiting and a half-sent request are answered 503 by name; then the process ends well."""
    write_module(tmp_path / "Modules", "Probe", PROBE, manifest=PROBE_EXPORTS)
    limits = {"UC_WORKERS": 3, "UC_DRAIN_SECONDS": 1, "UC_BODY_TIMEOUT_SECONDS": 60}
    with (
        running(pwsh, tmp_path / "Modules", tmp_path, ["Probe"], **limits) as service,
        ThreadPoolExecutor(4) as pool,
    ):
        head = (
            f"POST /invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 50\r\n\r\n{{"
        )
        half = pool.submit(service.raw, head.encode())
        calls = [pool.submit(service.invoke, "Probe", name) for name in ("Start-Spin", "Start-Blocking")]
        wait_for_metric(service, "http_requests_in_flight 4")
        calls.append(pool.submit(service.invoke, "Probe", "Get-Nothing"))
        wait_for_metric(service, "powershell_queue_depth 1")
        code, _ = service.stop()
        answers = [call.result() for call in calls]
        assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(503, "stopping")] * 3
        assert half.result().startswith(b"HTTP/1.1 503 ")
        assert code == 0
        assert service.events("stopped")[0]["unanswered"] == 0


def test_each_event_of_a_call_bears_its_request_id(service: Service) -> None:
    """The refusal and the runspace that it cost are found by the id that the caller has."""
    body = {"module": "Probe", "command": "Start-Spin"}
    answer = service.request("POST", "/invoke", json=body, headers={"X-Request-Id": "spin-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (504, "spin-1")
    service.event("request", request_id="spin-1", status=504, outcome="timeout", call="Probe\\Start-Spin")
    service.event("runspace_replaced", request_id="spin-1", call="stopped")


def test_a_wrong_setting_is_named_and_ends_the_start(pwsh: str, tmp_path: Path) -> None:
    """UC_WORKERS=many is exit code 2 and one sentence, not a stack trace."""
    (tmp_path / "Modules").mkdir()
    with (
        pytest.raises(AssertionError, match="UC_WORKERS: expected a whole number from 1 to 64, not 'many'"),
        running(pwsh, tmp_path / "Modules", tmp_path, [], UC_WORKERS="many"),
    ):
        pass
