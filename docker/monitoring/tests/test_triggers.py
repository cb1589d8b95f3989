"""triggers.toml: good files are taken while running, bad ones are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest
from monitor_rig import Rules, Start, Target, eventually
from monitor_service.pattern import compile_globs
from monitor_service.rules_table import RulesError
from monitor_service.triggers import parse

TARGET = '[targets.t]\nurl = "http://t:1"\n\n'
TRIGGER = '[[triggers]]\nname = "a"\ntarget = "t"\n'


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("[targets.t]\nurl = http", 2, "not valid TOML"),
        ("[target.t]\nurl = 'http://t'", 1, "perhaps you meant 'targets'"),
        (TARGET + TRIGGER + "[[trigger]]", 7, "perhaps you meant 'triggers'"),
        ('[targets.t]\nurl = "ftp://t"', 2, "no http(s) address"),
        ('[targets.t]\nurl = "${UNSET_URL}"', 2, "no http(s) address"),
        ('[targets.t]\nurl = "http://[::1"', 2, "no http(s) address"),
        ('[targets.t]\nurl = "http://t:99999"', 2, "no http(s) address"),
        ('[targets.t]\nurl = "http://t:x"', 2, "no http(s) address"),
        ('[targets.t]\nurl = "http://t\\u0001"', 2, "no http(s) address"),
        ("[targets.t]\n\na = " + "[" * 3000, 3, "nested too deeply"),
        ("[targets.t]\n\n\ntimeout = " + "1" * 5000 + '\nurl = "http://t"', 4, "not valid TOML: Exceeds the limit"),
        ('[targets.t]\nurl = "http://me:pw@t"', 2, "no credentials"),
        ('[targets.t]\nurl = "http://t"\nauth = "bearer"', 1, "needs the name of a secret file"),
        ('[targets.t]\nurl = "http://t"\nauth = "bearer"\nsecret = "../x"', 4, "needs the name of a secret file"),
        ('[targets.t]\nurl = "http://t"\n\ntimeout = 0', 4, "'timeout' must be a number from 0.1 to 300"),
        (TARGET + '[[triggers]]\nname = "a"\ntarget = "x"', 6, "expected one of t"),
        (TARGET + '[[triggers]]\ntarget = "t"', 4, "'name' is missing"),
        (TARGET + TRIGGER + TRIGGER, 8, "a second trigger named 'a'"),
        (TARGET + TRIGGER + "debounse = 1", 7, "perhaps you meant 'debounce'"),
        (TARGET + TRIGGER + 'kinds = ["moved"]', 7, "expected one of added, modified, deleted"),
        (TARGET + TRIGGER + 'path = "/x/{event.name}"', 7, "unknown placeholder {event.name}"),
        (TARGET + TRIGGER + '[triggers.template]\ntext = "see {event}"', 8, "stands alone"),
        (TARGET + TRIGGER + "[triggers.template]\nlimit = 1\nsince = 2026-01-01", 9, "write it as a text"),
        (TARGET + TRIGGER + "[triggers.template]\nat = 10:00:00", 8, "write it as a text"),
        (TARGET + TRIGGER + "[triggers.template]\nlimit = inf", 8, "write it as a text"),
        (TARGET + TRIGGER + "[triggers.template]\nlist = [1, {of = nan}]", 8, "write it as a text"),
        (TARGET + TRIGGER + f"[triggers.template]\nlong = 0x{'f' * 5000}", 8, "write it as a text"),
        (TARGET + TRIGGER + f"[triggers.template]\ndeep = {'[' * 60}{']' * 60}", 8, "nested more than 50 deep"),
        (TARGET + TRIGGER + f"[triggers.template]\n{'.'.join('a' * 3000)} = 1", 8, "nested"),
        (TARGET + TRIGGER + "\n" + TRIGGER.replace('"a"', '"b"') + "glob = 3", 11, "must be a string or a list"),
    ],
)
def test_each_mistake_is_named_with_its_line(text: str, line: int, reason: str) -> None:
    """A mistake in the file is refused with the line it stands on and what was expected."""
    with pytest.raises(RulesError) as refused:
        parse(text, {})

    assert reason in refused.value.reason
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("**", "a/b.txt", True),
        ("*.log", "a/b/c.log", True),
        ("*.log", "a/c.log.txt", False),
        ("src/*.cs", "src/a.cs", True),
        ("src/*.cs", "src/x/a.cs", False),
        ("src/**/*.cs", "src/a.cs", True),
        ("src/**/*.cs", "src/x/y/a.cs", True),
        ("src/**", "src/x/y", True),
        ("src/**", "srcx/y", False),
        ("[!a]?.md", "d/bc.md", True),
        ("[!a]?.md", "ac.md", False),
        ("a.b", "axb", False),
    ],
)
def test_globs_mean_what_the_reference_says(glob: str, path: str, expected: bool) -> None:
    """`*` stays in a folder, `**` crosses folders, a glob without a slash matches a name at any depth."""
    assert bool(compile_globs([glob]).match(path)) is expected


def test_the_address_comes_from_the_environment() -> None:
    """${NAME:-default} in a url takes the variable, else the default."""
    text = '[targets.t]\nurl = "${T_URL:-http://t:1}/v1/"'

    assert parse(text, {}).targets["t"].url == "http://t:1/v1"
    assert parse(text, {"T_URL": "http://other"}).targets["t"].url == "http://other/v1"


def test_a_changed_file_is_taken_and_a_bad_one_refused(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """New rules hold without a restart; a mistake leaves the old ones in force and shows its line in log and health."""
    file = home / "config" / "triggers.toml"
    rules(glob="*.one")
    monitor = start()
    rules(glob="*.two")
    eventually(lambda: monitor.get("/triggers").json()["triggers"][0]["glob"] == ["*.two"])

    good = file.read_text()
    file.write_text(good.replace("debounce", "debounse"))
    refused = eventually(lambda: monitor.health()["triggers"]["refused"])
    (workspace / "f.one").write_text("x")
    (workspace / "f.two").write_text("x")
    eventually(lambda: target.told() == [("added", "f.two")])

    assert refused == {"file": str(file), "line": 7, "reason": "unknown key 'debounse': perhaps you meant 'debounce'"}
    assert monitor.health()["status"] == "healthy"
    assert monitor.metric("monitoring_triggers_refused") == 1
    assert [line["line"] for line in monitor.logs() if line["event"] == "triggers_refused"] == [7]
    file.write_text(good)
    eventually(lambda: monitor.health()["triggers"]["refused"] is None)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('url = "', 'url = "http://[::1"\n#'),
        ("target =", "template = {since = 2026-01-01}\ntarget ="),
        ("target =", "template = {limit = inf}\ntarget ="),
        ("[[triggers]]", f"a = {'[' * 3000}\n[[triggers]]"),
    ],
    ids=["address", "date", "inf", "nesting"],
)
def test_no_file_ends_the_service(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path, good: str, bad: str
) -> None:
    """What a library chokes on is refused like any mistake: the rules before it stay, now and over a restart."""
    file = home / "config" / "triggers.toml"
    monitor = start()
    file.write_text(file.read_text().replace(good, bad))
    eventually(lambda: monitor.health()["triggers"]["refused"])
    assert monitor.get("/triggers").status_code == 200
    (workspace / "before").write_text("x")
    eventually(lambda: target.told() == [("added", "before")])
    monitor.terminate()

    again = start()
    assert again.health()["triggers"]["refused"]["line"] > 0
    (workspace / "after").write_text("x")
    eventually(lambda: target.told() == [("added", "before"), ("added", "after")])


def test_a_bad_file_at_the_start_leaves_the_last_accepted_one(
    start: Start, rules: Rules, target: Target, workspace: Path, home: Path
) -> None:
    """After a restart onto a broken file the rules accepted before it stay; without a file, the shipped ones."""
    file = home / "config" / "triggers.toml"
    start().terminate()
    file.write_text("[[triggers")

    monitor = start()
    assert monitor.get("/triggers").json()["triggers"][0]["name"] == "hook"
    assert monitor.health()["triggers"]["refused"]["line"] == 1
    file.unlink()

    eventually(lambda: monitor.get("/triggers").json()["triggers"][0]["name"] == "triage")


def test_secrets_are_shown_by_name_alone(start: Start, home: Path) -> None:
    """GET /triggers names the secret file and holds no value of it."""
    shown = start().get("/triggers")

    assert shown.json()["targets"][0]["secret"] == "langgraph_api_key"
    assert "first-key" not in shown.text
