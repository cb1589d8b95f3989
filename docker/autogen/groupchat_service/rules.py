"""The team's brain when there is no model: one deterministic rule for each agent, blind to any framework."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from groupchat_service.facts import facts_in
from groupchat_service.team import HUMAN, directive

MAX_REVIEWS = 2
_FACTS = "FACTS: "
_YES = ("yes", "y", "ok", "okay", "approve", "approved", "go", "sure", "agreed", "ja")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an agent sees when it is its turn; `said` holds (source, text) since the user's last message.

    `outcomes` holds (tool, text) of the tools that it ran in this turn.
    """

    team: tuple[str, ...]
    tasks: tuple[str, ...]
    said: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, str], ...] = ()

    @property
    def tool_result(self) -> str | None:
        """What the first of the tools gave back, or None when none ran."""
        return self.outcomes[0][1] if self.outcomes else None

    def last(self, source: str) -> str:
        """What this source said last, or nothing."""
        return next((text for who, text in reversed(self.said) if who == source), "")

    def turns(self, source: str) -> int:
        """How often this source spoke."""
        return sum(1 for who, _ in self.said if who == source)


@dataclass(frozen=True, slots=True)
class Say:
    """End the turn with this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """Run this tool first, then look again."""

    tool: str
    arguments: Json


Rule = Callable[[View], Say | Use | tuple[Use, ...]]
OWN = ("analyst", "operator", "reviewer")
_LONGEST_PART = 1_000


def supervise(view: View) -> Say:
    """Send each worker in turn, send the operator back once when the reviewer says so, then decide.

    It can judge monitoring events alone: what the declared roles said stands below its decision.
    """
    following = _next_worker(view)
    if following:
        return Say(f"DELEGATE: {following} - {_errand(view, following)}")
    proposal = "\n".join(part for part in (view.last("operator"), *_contributions(view)) if part)
    facts = facts_of(view)
    if not facts.get("known"):
        return Say(f"REJECTED: {_headline(facts)}\n{_plain(proposal)}".strip())
    if HUMAN in view.team and facts.get("risk") == "high" and not view.turns(HUMAN):
        return Say(f"ASK: {_headline(facts)} Shall this go ahead? (yes or no)\n{_plain(proposal)}".strip())
    answer = view.last(HUMAN)
    if answer and answer.strip().lower().split(maxsplit=1)[0].strip(".,!") not in _YES:
        return Say(f"REJECTED: a person declined: {answer.strip()[:300]}\n{_plain(proposal)}".strip())
    if view.last("reviewer").startswith("REVISE"):
        return Say(f"REJECTED: the reviewer still objects. {view.last('reviewer')}\n{_plain(proposal)}")
    return Say(f"APPROVED: {_headline(facts)}\n{_plain(proposal)}".strip())


def _next_worker(view: View) -> str | None:
    workers = [name for name in view.team if name != HUMAN]
    spoken = [who for who, _ in view.said if who in workers]
    if HUMAN in {who for who, _ in view.said}:
        return None
    if not spoken:
        return workers[0] if workers else None
    revise = spoken[-1] == "reviewer" and view.last("reviewer").startswith("REVISE")
    if revise and "operator" in workers and view.turns("reviewer") < MAX_REVIEWS:
        return "operator"
    after = workers.index(spoken[-1]) + 1
    return workers[after] if after < len(workers) else None


def _contributions(view: View) -> list[str]:
    """What the declared roles said last, each under its name."""
    spoken = [(name, view.last(name)) for name in view.team if name not in (*OWN, HUMAN)]
    return [f"{name}: {text[:_LONGEST_PART]}" for name, text in spoken if text]


def _errand(view: View, worker: str) -> str:
    if worker == "operator" and view.last("reviewer"):
        return "revise the proposal: " + view.last("reviewer")
    return {
        "analyst": "say what happened and how risky it is.",
        "operator": "propose what to do.",
        "reviewer": "check the proposal against the facts.",
    }.get(worker, "do your part.")


def analyse(view: View) -> Say | Use:
    """Read the event with the tool, then tell it in a sentence and hand the facts on as JSON."""
    if view.tool_result is None:
        return Use("read_event", {"text": _task_with_event(view)})
    facts = _object(view.tool_result)
    if not facts:
        return Say(f"The event could not be read: {view.tool_result[:300]}")
    return Say(f"{_headline(facts)}\n{_FACTS}{json.dumps(facts, separators=(',', ':'))}")


def operate(view: View) -> Say | Use:
    """Ask the tool for the steps, then number them."""
    if view.tool_result is None:
        return Use("propose_action", {"facts": json.dumps(facts_of(view)), "attention": view.last("reviewer")})
    plan = _object(view.tool_result)
    steps = [f"{number}. {step}." for number, step in enumerate(plan.get("steps", ()), start=1)]
    if not steps:
        return Say("No rule applies to this task: it needs a person or a model.")
    if plan.get("hold"):
        steps.append("Hold merge and deployment until this is done and checked.")
    return Say("\n".join(steps))


def review(view: View) -> Say | Use:
    """Check the proposal with the tool; accept it, or name what is missing."""
    if view.tool_result is None:
        proposal = view.last("operator")
        return Use("check_proposal", {"facts": json.dumps(facts_of(view)), "proposal": proposal})
    checked = _object(view.tool_result)
    if checked.get("verdict") == "ACCEPT":
        return Say("ACCEPT: the proposal covers every fact.")
    lacks = [f"{name} is not covered" for name in checked.get("missing", ())] + list(checked.get("notes", ()))
    return Say("REVISE: " + ("; ".join(lacks) or "the check failed") + ".")


def without_a_model(tools: Sequence[Callable[..., Any]]) -> Rule:
    """The rule of a declared role: run each tool whose arguments the conversation holds, and say what they gave back.

    Such arguments are `facts`, `proposal` and `attention`, as the service's own tools have them, and a tool's only
    required text, which is the task.
    """
    needs = {tool.__name__: _required(tool) for tool in tools}

    def rule(view: View) -> Say | tuple[Use, ...]:
        if view.outcomes:
            return Say("\n".join(f"{name}: {text}" for name, text in view.outcomes))
        calls = [(name, _arguments(required, view)) for name, required in needs.items()]
        runnable = tuple(Use(name, arguments) for name, arguments in calls if arguments is not None)
        return runnable or Say("Nothing to add: this role needs a model.")

    return rule


def _required(tool: Callable[..., Any]) -> dict[str, bool]:
    """The parameters that a tool can't do without, and whether each is a text."""
    hints = typing.get_type_hints(tool)
    parameters = inspect.signature(tool).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty and one.name != "cancellation_token"]
    return {name: hints.get(name) is str for name in needed}


def _arguments(required: dict[str, bool], view: View) -> Json | None:
    known = {"facts": json.dumps(facts_of(view)), "proposal": view.last("operator"), "attention": view.last("reviewer")}
    if required.keys() <= known.keys():
        return {name: known[name] for name in required}
    if list(required.values()) == [True]:
        return dict.fromkeys(required, _task_with_event(view))
    return None


def facts_of(view: View) -> Json:
    """The analyst's facts, or one's own reading of the task when no analyst has spoken."""
    _, found, rest = view.last("analyst").partition(_FACTS)
    return (_object(rest) if found else {}) or facts_in(_task_with_event(view))


def _task_with_event(view: View) -> str:
    """The newest task that holds an event: a follow-up in plain words is about the event told before."""
    for task in reversed(view.tasks):
        if facts_in(task)["known"]:
            return task
    return view.tasks[-1] if view.tasks else ""


def _headline(facts: Json) -> str:
    if not facts.get("known"):
        return "The task holds no monitoring event and no compile errors."
    where = f"{facts['path']} was {facts['kind'] or 'reported'}" if facts["path"] else "A compile log was reported"
    reasons = ", ".join(facts["reasons"]) or "nothing speaks against it"
    codes = ", ".join(f"{code} x{count}" for code, count in list(facts["codes"].items())[:5])
    details = ", ".join(f"{key} {value}" for key, value in facts["details"].items())
    parts = f" ({codes})" if codes else f" ({details})" if details else ""
    return f"{where}: {facts['risk']} risk, {reasons}{parts}."


def _plain(text: str) -> str:
    """Text for a person: no machine-read line, and no line that reads as a decision of the supervisor."""
    kept = [line for line in text.splitlines() if not line.startswith(_FACTS)]
    return "\n".join(line for line in kept if directive(line) is None)


def _object(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
