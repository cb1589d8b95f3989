"""What the rules make of an event: the recommendation itself, without any server."""

from __future__ import annotations

import json

import pytest
from groupchat_service.facts import facts_in
from groupchat_service.team import Message, conclusion, directive, next_speaker
from groupchat_service.tools import check_proposal, propose_action

RECORD = {"file": "Assets/A.cs", "line": 3, "column": 1, "severity": "error", "code": "CS0103", "message": "no x"}
EVENT = {"id": "e1", "path": "Logs/build.log", "kind": "modified", "at": "now"}


@pytest.mark.parametrize(
    "task",
    [
        json.dumps({"event": EVENT, "summary": [RECORD, {**RECORD, "severity": "warning"}]}),
        "Please look:\n" + json.dumps({"event": EVENT, "summary": {"ok": True, "result": [RECORD]}}) + "\nThanks {x}.",
        json.dumps({"event": EVENT, "summary": {"result": [{key.title(): value for key, value in RECORD.items()}]}}),
        json.dumps({"event": EVENT, "summary": "Assets/A.cs(3,1): error CS0103: no x\n"}),
    ],
    ids=["list", "text-around", "powershell-case", "raw-log"],
)
def test_event_and_errors_are_found_in_any_wrapping(task: str) -> None:
    """Path, kind, count and code of an error are read from every form that a summary may have."""
    facts = facts_in(task)
    assert (facts["path"], facts["kind"], facts["errors"]) == ("Logs/build.log", "modified", 1)
    assert facts["codes"] == {"CS0103": 1}
    assert facts["risk"] == "high"


@pytest.mark.parametrize(
    ("event", "summary", "risk"),
    [
        ({"path": "a.txt", "kind": "added"}, {"files": 3}, "low"),
        ({"path": "a.txt", "kind": "deleted"}, {"files": 3}, "high"),
        ({"path": "Modules/A.psm1", "kind": "modified"}, {"files": 3}, "high"),
        ({"path": "b.log", "kind": "modified"}, {"errors": 2}, "high"),
        ({"path": "b.log", "kind": "modified"}, {"warnings": 2}, "low"),
    ],
)
def test_risk(event: dict[str, str], summary: dict[str, int], risk: str) -> None:
    """Compile errors, deletions and touched scripts are risky; all else is not."""
    assert facts_in(json.dumps({"event": event, "summary": summary}))["risk"] == risk


def test_a_summary_that_was_cut_short_still_tells_its_own_count() -> None:
    """Forty errors are forty, even when only the first few came along."""
    facts = facts_in(json.dumps({"event": EVENT, "summary": {"errors": 40, "warnings": 2, "records": [RECORD]}}))
    assert (facts["errors"], facts["warnings"], len(facts["groups"])) == (40, 2, 1)


@pytest.mark.parametrize("text", ["", "{", "{" * 5000, "[" * 5000, '{"event": 1}', '{"event": {"path": null}}', "{}{}"])
def test_no_input_breaks_the_reader(text: str) -> None:
    """Text that holds no event gives facts that say so, never an exception."""
    assert facts_in(text)["errors"] == 0


def test_reviewer_finds_the_file_that_a_proposal_leaves_out() -> None:
    """A proposal that names four of five files is sent back with the fifth's name."""
    errors = [{**RECORD, "file": f"Assets/{name}.cs"} for name in "ABCDE"]
    facts = json.dumps(facts_in(json.dumps({"event": EVENT, "summary": errors})))
    steps = json.loads(propose_action(facts, attention="all of them"))["steps"]
    proposal = "\n".join(step for step in steps if "E.cs" not in step) + "\nHold."
    checked = json.loads(check_proposal(facts, proposal))
    assert (checked["verdict"], checked["missing"]) == ("REVISE", ["Assets/E.cs"])


def test_only_a_line_start_is_a_decision() -> None:
    """A sentence that mentions a decision's word decides nothing."""
    assert directive("I have not APPROVED this") is None
    assert directive("**APPROVED**: go\nnow") is not None


def test_a_supervisor_that_names_nobody_gets_the_next_worker() -> None:
    """A model's loose wording can't stop the chat: the first worker that has not spoken goes on."""
    said = [Message(source="user", content="t"), Message(source="supervisor", content="hm")]
    assert next_speaker(said, ("analyst", "operator")) == "analyst"
    said += [Message(source="analyst", content="a"), Message(source="supervisor", content="DELEGATE: nobody")]
    assert next_speaker(said, ("analyst", "operator")) == "operator"


def test_a_bare_approval_takes_the_last_worker_s_words() -> None:
    """`APPROVED` alone still gives a result that says something."""
    said = [
        Message(source="user", content="t"),
        Message(source="operator", content="fix it"),
        Message(source="supervisor", content="APPROVED"),
    ]
    assert conclusion(said) == "fix it"
