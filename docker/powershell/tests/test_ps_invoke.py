"""POST /invoke: what may be called, with what, and what comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from psserver import Service


def test_a_call_is_splatted_and_answered(service: Service) -> None:
    """Strings, numbers, switches, lists and tables arrive as what they are; defaults stay."""
    answer = service.invoke("Probe", "Get-Echo", Text="häß", Loud=True, List=["a", "b"], Table={"x": [1, 2]})
    assert answer.status_code == 200
    body = answer.json()
    assert body["ok"] is True
    assert body["result"] == [
        {"text": "häß", "number": 5, "loud": True, "list": ["a", "b"], "table": {"x": [1, 2]}},
    ]
    assert (body["errors"], body["truncated"]) == ([], False)
    assert body["ms"] > 0


def test_names_ignore_case_and_aliases_count(service: Service) -> None:
    """As in PowerShell itself; a parameter's alias is the parameter."""
    assert service.result("probe", "get-echo", words="x")[0]["text"] == "x"


def test_a_null_is_a_parameter_left_out(service: Service) -> None:
    """The language would turn null into 0; the default is what a caller means."""
    assert service.result("Probe", "Get-Echo", Text="x", Number=None)[0]["number"] == 5


@pytest.mark.parametrize(
    ("module", "command", "code"),
    [
        ("Absent", "Get-Echo", "unknown-module"),
        ("Probe", "Get-Private", "unknown-command"),
        ("Probe", "Get-Absent", "unknown-command"),
        ("Probe", "Invoke-Expression", "unknown-command"),
        ("Probe", "Get-ChildItem", "unknown-command"),
        ("Microsoft.PowerShell.Utility", "Invoke-Expression", "unknown-module"),
        ("Probe", "Probe\\Get-Echo", "unknown-command"),
        ("Probe", "Get-Echo; Get-Process", "unknown-command"),
    ],
)
def test_only_the_catalog_can_be_called(service: Service, module: str, command: str, code: str) -> None:
    """The engine's own commands, private ones and declared but absent ones are 403, whatever a manifest exports."""
    answer = service.invoke(module, command)
    assert (answer.status_code, answer.json()["error"]) == (403, code)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Text": "x", "Volume": 1}, "unknown-parameter"),
        ({"Text": "x", "ErrorAction": "Ignore"}, "unknown-parameter"),
        ({"Text": "x", "OutVariable": "y"}, "unknown-parameter"),
        ({}, "missing-parameter"),
        ({"Text": "x", "Words": "y"}, "bad-request"),
        ({"Text": "x", "Number": "seven"}, "bad-parameter"),
        ({"Text": "x", "Loud": "false"}, "bad-parameter"),
        ({"Text": "x", "Loud": 1}, "bad-parameter"),
        ({"Text": "x", "Number": 7.6}, "bad-parameter"),
        ({"Text": "x", "Number": "7.6"}, "bad-parameter"),
        ({"Text": "x", "Number": True}, "bad-parameter"),
        ({"Text": "x", "Number": 2**40}, "bad-parameter"),
        ({"Text": {"a": 1}}, "bad-parameter"),
        ({"Text": ["a", "b"]}, "bad-parameter"),
        ({"Text": True}, "bad-parameter"),
        ({"Text": "x", "List": {"a": 1}}, "bad-parameter"),
        ({"Text": "x", "List": ["a", None]}, "bad-parameter"),
        ({"Text": "x", "Table": [1]}, "bad-parameter"),
    ],
)
def test_parameters_are_checked(service: Service, parameters: dict[str, object], code: str) -> None:
    """Unknown, common, missing, doubled parameters and values that the language would mangle are 400 instead of the command's work."""
    answer = service.invoke("Probe", "Get-Echo", **parameters)
    assert (answer.status_code, answer.json()["error"]) == (400, code)


def test_output_errors_and_warnings_are_separate(service: Service) -> None:
    """A command that fails half way keeps what it gave, and ok is false."""
    body = service.invoke("Probe", "Get-Mixed").json()
    assert body["ok"] is False
    assert body["result"] == ["before", "after"]
    assert body["errors"] == ["not so bad", "the end"]
    assert body["warnings"] == ["careful"]


def test_errors_come_without_stacks(service: Service) -> None:
    """Where in whose code it happened stays inside; the sentences stay whole."""
    errors = service.invoke("Probe", "Get-Stacks").json()["errors"]
    assert not any(word in "".join(errors) for word in (" at ", ".psm1", "--- End"))
    assert "The input string 'x' was not in a correct format." in errors[0]
    assert errors[1:] == ["it failed\nand that is all", "a line\n+ another"]


def test_awkward_values_become_strings(service: Service) -> None:
    """Files, types, errors and processes are told in a word; lists of one stay lists; the JSON is always valid."""
    (value,) = service.result("Probe", "Get-Awkward")
    assert value["file"] == "/etc/hostname"
    assert (value["type"], value["error"], value["nan"]) == ("System.Int32", "inner", "NaN")
    assert (value["one"], value["none"]) == (["a"], [])
    assert value["process"].startswith("process ")
    assert value["half"].endswith("x")


@pytest.mark.parametrize("command", ["Get-Endless", "Get-Deep", "Get-Large"])
def test_results_are_capped(service: Service, command: str) -> None:
    """Too many, too deep, too large: the answer is cut, valid, below 1.2 MB, and says that it is cut."""
    answer = service.invoke("Probe", command)
    assert answer.status_code == 200
    assert answer.json()["truncated"] is True
    assert len(answer.content) < 1_200_000


def test_exit_and_a_stray_break_end_the_call_alone(service: Service) -> None:
    """`exit` is an error of the call, a `break` without a loop ends it early; the worker goes on."""
    for _ in range(5):
        assert service.invoke("Probe", "Stop-Session").json()["errors"]
        assert service.invoke("Probe", "Get-Stray").json()["result"] == [1]
    assert service.result("Probe", "Get-Nothing") == []


def test_nothing_leaks_from_one_call_to_the_next(service: Service) -> None:
    """Globals, preferences and the location are as before, in every worker."""
    before = service.result("Probe", "Get-Leaks")
    for _ in range(6):
        service.result("Probe", "Set-Leaks")
    assert [service.result("Probe", "Get-Leaks") for _ in range(6)] == [before] * 6
    assert before == ["|Continue|workspace"]


def test_32_parallel_calls_all_succeed(service: Service) -> None:
    """More callers than workers wait in the queue; none is lost, none gets another's answer."""
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda n: service.invoke("Probe", "Get-Echo", Text=f"caller {n}"), range(32)))
    assert [answer.status_code for answer in answers] == [200] * 32
    assert [answer.json()["result"][0]["text"] for answer in answers] == [f"caller {n}" for n in range(32)]


def test_commands_are_described(service: Service) -> None:
    """Owner, synopsis and parameters come from the module's own help; an unknown module is 404."""
    body = service.request("GET", "/modules/Unity-Claude-CompileLog/commands").json()
    (command,) = body["commands"]
    assert (command["name"], command["owner"]) == ("ConvertFrom-UnityCompileLog", "Unity-Claude-CompileLog")
    assert command["synopsis"].startswith("The compiler errors")
    path, text, severity = command["parameters"]
    assert (path["name"], path["type"], text["name"]) == ("Path", "String", "Text")
    assert path["help"].startswith("The log file")
    assert severity["values"] == ["error", "warning"]
    assert (path["accepts"], path["list"]) == ("text", False)
    assert service.request("GET", "/modules/Absent/commands").status_code == 404
