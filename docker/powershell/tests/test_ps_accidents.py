"""What a module's author does by accident: each has its defined answer, the service goes on, and its neighbours are served."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psserver import DEADLINE, START, Service, running, write_module
from test_ps_limits import wait_for_metric

MISHAP = r"""
function Get-Ready { 'ready' }
function Invoke-Recursion { Invoke-Recursion }
function Invoke-PipedRecursion { [CmdletBinding()] param() 1 | ForEach-Object { Invoke-PipedRecursion } }
function Get-Depth { param([int] $Levels) if ($Levels) { 1 + (Get-Depth ($Levels - 1)) } else { 0 } }
function Get-Hoard { $hoard = [Collections.Generic.List[object]]::new(); while ($true) { $hoard.Add([byte[]]::new(1MB)) } }
function Get-CaughtHoard {
    $hoard = [Collections.Generic.List[object]]::new()
    while ($true) { try { $hoard.Add([byte[]]::new(1MB)) } catch { } }
}
function Get-Flood { $line = 'x' * 1MB; foreach ($n in 1..1024) { $line } }
function Get-FloodOfErrors { foreach ($n in 1..300) { Write-Error "error $n" }; Write-Error ('x' * 10000); 'the end' }
function Get-FloodOfWarnings { foreach ($n in 1..300) { Write-Warning "warning $n" }; 'the end' }
function Get-LongError { Write-Error ('x' * 10000); 'the end' }
function Get-LongWarning { Write-Warning ('x' * 10000); 'the end' }
function Get-LongText { 'x' * 100000; 'the end' }
function Get-FloodOfProgram { & /bin/sh -c 'yes $(head -c 200 /dev/zero | tr "\0" x) | head -c 10000000' }
function Get-Cyclic { $table = @{ name = 'cyclic' }; $table.self = $table; 'before'; $table; 'after' }
function Get-Deeper { 'before'; @{ a = @{ b = @{ c = @{ d = @{ e = @{ f = @{ g = 1 } } } } } } }; @{ flat = 1 }; 'after' }
function Get-Note { & /bin/sh -c 'echo a note >&2; echo output' }
function Get-Problem { & /bin/sh -c 'echo a problem >&2; echo output; exit 3' }
function Start-Threads {
    foreach ($n in 1..8) {
        $shell = [powershell]::Create([initialsessionstate]::CreateDefault2())
        $null = $shell.AddScript('while ($true) { [Threading.Thread]::Sleep(1000) }').BeginInvoke()
    }
    'started'
}
function Wait-File { param([string] $Path) while (-not (Test-Path $Path)) { Start-Sleep -Milliseconds 20 }; 'found' }
function Stop-Everything { [Environment]::Exit(7) }
function Stop-Own { Stop-Process -Id $PID -Force; Start-Sleep -Milliseconds 200; 'still here' }
function Set-Everything {
    Set-Location /
    $global:ErrorActionPreference = 'Stop'
    $global:PSDefaultParameterValues['*:ErrorAction'] = 'Stop'
    $global:PSDefaultParameterValues = @{ 'Join-Path:ChildPath' = 'astray' }
    $global:ConfirmPreference = 'None'; $global:OFS = '-'
    'set'
}
function Get-Everything { "$PWD|$ErrorActionPreference|$($PSDefaultParameterValues.Count)|$ConfirmPreference|$(1, 2)" }
function Remove-Others { Remove-Module Neighbour, Frame, Envelope -Force -ErrorAction Ignore; Get-Module | Remove-Module -Force -ErrorAction Ignore; 'removed' }
"""


@pytest.fixture(scope="module")
def mishap(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a small heap and short limits, shared by all accidents that it must survive."""
    folder = tmp_path_factory.mktemp("mishap")
    tree = folder / "Modules"
    write_module(tree, "Mishap", MISHAP)
    write_module(tree, "Neighbour", "function Get-Neighbour { 'here' }")
    limits = {"UC_CALL_TIMEOUT_SECONDS": 20, "DOTNET_GCHeapHardLimit": hex(384 << 20)}
    with running(pwsh, tree, folder, ["Mishap"], **limits) as service:
        yield service


def call(service: Service, command: str, **parameters: Any) -> dict[str, Any]:
    """Call a command, its neighbour meanwhile and afterwards; the body of the command's 200."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(service.invoke("Mishap", command, **parameters)))
    thread.start()
    while thread.is_alive():
        assert service.result("Neighbour", "Get-Neighbour") == ["here"]
    assert service.process.poll() is None, service.stdout()
    assert service.result("Neighbour", "Get-Neighbour") == ["here"]
    assert service.result("Mishap", "Get-Ready") == ["ready"]
    (answer,) = answers
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("command", ["Invoke-Recursion", "Invoke-PipedRecursion"])
def test_p1_an_endless_recursion_is_an_error_of_its_call(mishap: Service, command: str) -> None:
    """The engine's own refusal by depth reaches the caller; no thread is left behind, nothing is replaced."""
    body = call(mishap, command)
    assert body["ok"] is False
    assert "call depth overflow" in body["errors"][0]
    assert mishap.request("GET", "/health").json()["stuck_calls"] == 0


def test_p1_a_recursion_of_a_hundred_levels_is_no_accident(mishap: Service) -> None:
    """Real trees are walked recursively."""
    assert call(mishap, "Get-Depth", Levels=100)["result"] == [100]


@pytest.mark.parametrize("command", ["Get-Hoard", "Get-CaughtHoard"])
def test_p1_a_loop_that_allocates_ends_alone(mishap: Service, command: str) -> None:
    """By the runtime's limit or by the service's watch, also where the module ignores every error."""
    body = call(mishap, command)
    assert body["ok"] is False
    assert "memory" in body["errors"][0].lower()


WATCH = r"""
$out = [Console]::Out
foreach ($file in 'Log', 'Metrics', 'Guard') { Import-Module "$env:SERVER/$file.psm1" }
$stop, $asked = 1..2 | ForEach-Object { [Threading.ManualResetEventSlim]::new($false) }
$calls = 1..3 | ForEach-Object { @{ Since = [long] $_; Call = "call $_"; Halt = [Threading.CancellationTokenSource]::new() } }
$shared = @{ Log = Open-Log @{ LogLevel = 'info' }; Running = $calls; Counters = @(); Stop = $stop; Gate = @{ Asked = $asked } }
$hoard = [Collections.Generic.List[object]]::new()
while ([GC]::GetTotalMemory($false) -lt 0.9 * [GC]::GetGCMemoryInfo().TotalAvailableMemoryBytes) { $hoard.Add([byte[]]::new(1MB)) }
$seen = foreach ($ended in $null, $null, $null, 0, 1) {
    if ($null -ne $ended) { $calls[$ended].Since = [long] 0 }
    Watch-Calls $shared
    "$($calls.Where({ $_.Halt.IsCancellationRequested }).Count) $($stop.IsSet)"
    Start-Sleep -Milliseconds 1100
}
$out.WriteLine($seen -join ',')
"""


def test_p1_a_call_that_takes_its_time_to_end_is_waited_for(pwsh: str) -> None:
    """While memory is short the next call is stopped, and the service ends, only after the last one has ended."""
    environment = os.environ | {"SERVER": str(START.parent), "DOTNET_GCHeapHardLimit": hex(256 << 20)}
    command = [pwsh, "-NoProfile", "-NonInteractive", "-Command", WATCH]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=240)
    seen = done.stdout.splitlines()[-1].split(",")
    assert seen == ["1 False", "1 False", "1 False", "2 False", "3 True"], done.stdout


@contextlib.contextmanager
def accepting(pwsh: str, place: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> Iterator[Service]:
    """A service whose accepting thread also runs `fails` each time that it looks after the calls."""
    server = shutil.copytree(START.parent, place / "server")
    guard = server / "Guard.psm1"
    guard.write_text(guard.read_text().replace("    $now = ", f"    {fails}\n    $now = "))
    monkeypatch.setattr("psserver.START", server / "start")
    write_module(place / "Modules", "Neighbour", "function Get-Neighbour { 'here' }")
    with running(pwsh, place / "Modules", place, ["Neighbour"]) as service:
        yield service


def test_p1_memory_that_is_short_for_the_watch_itself_costs_one_look(
    pwsh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accepting thread goes on, and the health says that it could not look."""
    file = tmp_path / "short"
    fails = f"if (Test-Path '{file}') {{ throw [OutOfMemoryException]::new() }}"
    with accepting(pwsh, tmp_path, monkeypatch, fails) as service:
        file.touch()
        while "no memory was left" not in service.request("GET", "/health").text:
            assert service.process.poll() is None
        assert service.result("Neighbour", "Get-Neighbour") == ["here"]
        file.unlink()
        while service.request("GET", "/health").status_code != 200:
            assert service.process.poll() is None


def test_p1_without_its_accepting_thread_the_process_ends(
    pwsh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 1 and the reason in the log: what starts it anew sees no end while it hangs."""
    file = tmp_path / "fails"
    with accepting(pwsh, tmp_path, monkeypatch, f"if (Test-Path '{file}') {{ throw 'as never before' }}") as service:
        file.touch()
        assert service.process.wait(timeout=DEADLINE) == 1
        assert service.event("ended")["reason"] == "as never before"


def test_p1_output_without_end_is_cut(mishap: Service) -> None:
    """1 GB of text, and a program's 10 MB: below the cap, valid, and marked."""
    for command in ("Get-Flood", "Get-FloodOfProgram"):
        body = call(mishap, command)
        assert body["truncated"] is True
        assert len(json.dumps(body)) < 1_200_000


def test_p1_threads_that_never_end_hold_nobody_up(mishap: Service) -> None:
    """They are the module's affair; the process's end does not wait for them (see the ending of this file's service)."""
    assert call(mishap, "Start-Threads")["result"] == ["started"]


def test_p1_what_a_call_sets_is_gone_at_the_next(mishap: Service) -> None:
    """Location, preferences, defaults of parameters, in every worker."""
    (before,) = call(mishap, "Get-Everything")["result"]
    for _ in range(6):
        assert call(mishap, "Set-Everything")["result"] == ["set"]
    assert {call(mishap, "Get-Everything")["result"][0] for _ in range(6)} == {before}


def test_p1_a_module_that_unloads_the_others_harms_nobody(mishap: Service) -> None:
    """Even the service's own part of the session: the session is replaced, and the next call finds everything."""
    for _ in range(3):
        call(mishap, "Remove-Others")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")
def test_p1_a_process_that_kills_itself_lives_on_as_process_1(pwsh: str, tmp_path: Path) -> None:
    """In a container the service is process 1 of its namespace, which the kernel does not let it kill: the call is answered."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may make no process namespace")
    write_module(tmp_path / "Modules", "Mishap", MISHAP)
    write_module(tmp_path / "Modules", "Neighbour", "function Get-Neighbour { 'here' }")
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with running(pwsh, tmp_path / "Modules", tmp_path, ["Mishap"], namespace) as service:
        assert call(service, "Stop-Own")["result"] == ["still here"]


def test_p1_an_exit_of_the_process_waits_for_the_neighbours(pwsh: str, tmp_path: Path) -> None:
    """[Environment]::Exit is a drain: the call in flight is answered, the one that asked gets 503, and the code is 1, not the module's 7."""
    write_module(tmp_path / "Modules", "Mishap", MISHAP)
    gate = tmp_path / "gate"
    with (
        running(pwsh, tmp_path / "Modules", tmp_path, ["Mishap"], UC_DRAIN_SECONDS=5) as service,
        ThreadPoolExecutor(2) as pool,
    ):
        neighbour = pool.submit(service.invoke, "Mishap", "Wait-File", Path=str(gate))
        wait_for_metric(service, "http_requests_in_flight 2")
        asking = pool.submit(service.invoke, "Mishap", "Stop-Everything")
        assert service.event("exit_asked")["level"] == "error"
        gate.touch()
        assert neighbour.result().json()["result"] == ["found"]
        assert (asking.result().status_code, asking.result().json()["error"]) == (503, "stopping")
        assert service.process.wait(timeout=DEADLINE) == 1


@pytest.mark.parametrize("command", ["Get-Cyclic", "Get-Deeper"])
def test_p2_a_value_too_deep_is_cut_alone(mishap: Service, command: str) -> None:
    """What comes after it is there, and truncated says that something was cut."""
    body = call(mishap, command)
    assert (body["result"][0], body["result"][-1], body["truncated"]) == ("before", "after", True)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ("Get-FloodOfErrors", "errors"),
        ("Get-FloodOfWarnings", "warnings"),
        ("Get-LongError", "errors"),
        ("Get-LongWarning", "warnings"),
        ("Get-LongText", "result"),
    ],
)
def test_p3_whatever_is_cut_says_so(mishap: Service, command: str, field: str) -> None:
    """Too many messages, too long ones, too long a text: cut, marked, and the result after them is whole."""
    body = call(mishap, command)
    assert body["truncated"] is True
    assert body["result"][-1] == "the end"
    assert len(json.dumps(body[field])) < 100_000


def test_p4_a_programs_notes_are_no_failure(mishap: Service) -> None:
    """What a program writes to stderr is a warning when it exits with 0, an error otherwise."""
    body = call(mishap, "Get-Note")
    assert (body["ok"], body["result"], body["errors"], body["warnings"]) == (True, ["output"], [], ["a note"])
    body = call(mishap, "Get-Problem")
    assert (body["ok"], body["result"], body["errors"]) == (False, ["output"], ["a problem"])
