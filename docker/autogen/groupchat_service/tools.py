"""The workers' tools: plain functions over text, whose docstrings and annotations are what a model reads."""

from __future__ import annotations

import json
from typing import Annotated, Any

from groupchat_service.advice import objections_to, steps_for
from groupchat_service.facts import facts_in

Facts = Annotated[str, "the JSON that read_event gave"]


def read_event(text: Annotated[str, "the task's text, unchanged"]) -> str:
    """Read the monitoring event and its compile errors out of the text; gives JSON facts with risk and reasons."""
    return _dump(facts_in(text))


def propose_action(
    facts: Facts, attention: Annotated[str, "the reviewer's words on the first proposal, if any"] = ""
) -> str:
    """Propose the steps that fix what the facts tell; gives JSON with steps, risk and whether to hold."""
    return _dump(steps_for(_object(facts), in_full=bool(attention.strip())))


def check_proposal(facts: Facts, proposal: Annotated[str, "the operator's proposal, unchanged"]) -> str:
    """Check a proposal against the facts; gives JSON with the verdict ACCEPT or REVISE and what is missing."""
    return _dump(objections_to(proposal, _object(facts)))


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"facts: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("facts: expected a JSON object")
    return value
