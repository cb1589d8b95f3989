"""Turns facts into steps, and checks that a proposal leaves none of them out."""

from __future__ import annotations

from typing import Any

FIRST_DRAFT, FULL_DRAFT = 3, 12
_CODES = {
    "CS0006": "restore the missing assembly: reimport the package or fix its path",
    "CS0012": "add the assembly reference (asmdef) that the type comes from",
    "CS0019": "convert one side: the operator doesn't take these two types",
    "CS0029": "convert the value, or change the variable's type",
    "CS0101": "remove or rename one of the two definitions; look for a file copied by a merge",
    "CS0103": "declare the name, correct its spelling, or add the missing using",
    "CS0111": "remove the second member with this signature; look for a merge that kept both sides",
    "CS0117": "use a member that the type has; the package's API may have changed with its version",
    "CS0120": "use an instance, or make the member static",
    "CS0234": "add the package or asmdef reference that holds this namespace",
    "CS0246": "add the using and the package or asmdef reference for the missing type",
    "CS0266": "cast explicitly, or change the variable's type",
    "CS0535": "implement the interface's missing members",
    "CS0619": "move to the replacement that the message names: the API is gone",
    "CS1002": "add the missing semicolon",
    "CS1003": "fix the syntax near this place",
    "CS1022": "balance the braces",
    "CS1061": "use a member that the type has, or add the using of the extension method",
    "CS1501": "pass the number of arguments that the method takes",
    "CS1503": "convert the argument to the parameter's type",
    "CS1513": "add the missing closing brace",
    "CS1525": "fix the expression near this place",
    "CS8300": "resolve the merge conflict marker",
}
Json = dict[str, Any]


def steps_for(known: Json, *, in_full: bool) -> Json:
    """What to do about the facts: a short first draft, or the draft in full once the reviewer asked for more."""
    limit = FULL_DRAFT if in_full else FIRST_DRAFT
    groups = known.get("groups", [])
    steps = [_fix(group) for group in groups[:limit]]
    if len(groups) > FULL_DRAFT and in_full:
        rest = sorted({group["file"] for group in groups[FULL_DRAFT:]})
        steps.append("Then go through the rest: " + ", ".join(rest))
    if not groups and known.get("errors"):
        steps.append(f"Open the compile log and fix its {known['errors']} errors, the first one first")
    steps.extend(_about_event(known))
    return {"steps": steps, "risk": known.get("risk", "low"), "hold": known.get("risk") == "high"}


def objections_to(proposal: str, known: Json) -> Json:
    """Whether every file with an error is named and a risky change is held back."""
    missing = sorted({group["file"] for group in known.get("groups", []) if group["file"] not in proposal})
    notes = []
    if not proposal.strip():
        notes.append("there is no proposal")
    if known.get("risk") == "high" and "hold" not in proposal.lower():
        notes.append("it does not hold the change back")
    return {"verdict": "REVISE" if missing or notes else "ACCEPT", "missing": missing, "notes": notes}


def _fix(group: Json) -> str:
    place = f"{group['file']}:{group['line']}" if group.get("line") else group["file"]
    many = f", {group['count']} places" if group.get("count", 1) > 1 else ""
    how = _CODES.get(group["code"], "fix what the message says")
    return f"{place} ({group['code'] or 'error'}{many}): {how} - {group['message']}"


def _about_event(known: Json) -> list[str]:
    path, kind, steps = known.get("path", ""), known.get("kind", ""), []
    if kind == "deleted":
        steps.append(f"Confirm that {path} was meant to go; else restore it: git checkout HEAD -- {path}")
    elif path.lower().endswith((".ps1", ".psm1", ".psd1")):
        steps.append(f"Have {path} reviewed and its tests run before anything executes it")
    if known.get("problem"):
        steps.append(f"Mend the summary step first, it failed: {known['problem']}")
    if not steps and path and not known.get("errors"):
        warnings = known.get("warnings", 0)
        steps.append(f"Nothing to fix in {path}" + (f"; {warnings} warnings can wait" if warnings else ""))
    return steps
