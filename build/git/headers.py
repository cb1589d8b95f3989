"""The first line of a Conventional Commit, and what one that only looks like it should have been. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection

HEADER = re.compile(r"(?P<type>[^\s():!]+)(?:\((?P<scope>[^()\n]+)\))?(?P<mark>!)?: +(?P<description>\S.*)")
# The types that the specification names or its users know: those of the Angular convention.
TYPES = ("feat", "fix", "perf", "revert", "build", "chore", "ci", "docs", "refactor", "style", "test")
_ALIASES = {
    "feature": "feat", "features": "feat", "feats": "feat", "bugfix": "fix", "hotfix": "fix", "fixes": "fix",
    "fixed": "fix", "performance": "perf", "doc": "docs", "documentation": "docs", "tests": "test",
    "refactoring": "refactor",
}  # fmt: skip
_CLOSE = 0.75  # of difflib: `faet` is feat, `deps` is not docs
# Characters that look like ASCII ones, or like nothing. One for one, so that positions stay.
_LOOKALIKES = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys([0xA0, 0x202F, 0x3000, 0x205F, *range(0x2000, 0x200B)], " ")
    | dict.fromkeys([0x2236, 0xFE55, 0xFE13, 0x2D0, 0xA789], ":")
    | dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
    | {0x3010: "[", 0x3011: "]"}
)
_INVISIBLE = "\ufeff\u200b\u200c\u2060\u00ad\u200e\u200f"
_UNSEEN = f"[{_INVISIBLE}]"
_FLAGS = re.VERBOSE | re.IGNORECASE | re.DOTALL
# What people put in front: emoji, their names, list signs, the number of a ticket or request, a state.
_LEAD = r"""(?: \s | [^\w\s:\[({<"'`*#] | [*](?=\s) | :[a-z0-9_+-]+:(?=\s*\w)
        | [\[(]?(?:\#\d+ | [A-Z][A-Z0-9]+-\d+)[\])]?:?(?=\s) | (?:WIP|Draft|Merged\ PR\ \d+):(?=\s)
        | Pull\ request\ \#\d+:(?=\s) )*"""
_NEAR = r"""(?P<open>[\[({<"'`*_]*) \s* (?P<type>(?:bug|hot)[ -]?fix|[A-Za-z]+)
        (?P<after>[\s!\])}>"'`*_]*)
        (?P<scopes>(?:[(\[{<][^()\[\]{}<>:]*[)\]}>]?\s*|/[^\s:/!]+)*) (?P<behind>[\s!"'`*_]*)
        (?P<separator>:+|;|-+(?=\s)|) (?P<mark>[\s!"'`*_]*) (?P<description>.*)"""
_SCOPE = r"[^()\[\]{}<>/]+"


def looks_conventional(header: str, types: Collection[str] = TYPES) -> str:
    """Return the header that was probably meant by one that is not conventional but looks so, else "".

    `feat:x` gives `feat: x`, and `refactor!(api): x` gives `refactor(api)!: x`. `types` are the known types in lower
    case: a header of another type is conventional, and is only taken for a known one if it is spelt almost like it.
    """
    match = HEADER.match(header)
    if match and match["type"].lower() in types and not (match["scope"] or "").rstrip().endswith("!"):
        return ""
    text = re.sub(_UNSEEN, "", header)
    seen = text.translate(_LOOKALIKES)
    lead = re.match(_LEAD, seen, _FLAGS)
    start = lead.end() if lead else 0
    near = re.match(_NEAR, seen[start:], _FLAGS)
    kind = _type(near["type"], near["separator"], types) if near else ""
    if not near or not kind or not _separated(near):
        return ""
    scopes = [scope.strip(" !") for scope in re.findall(_SCOPE, near["scopes"])]
    scope = ", ".join(scope for scope in scopes if scope)
    mark = "!" if "!" in seen[:start] + near["after"] + near["scopes"] + near["behind"] + near["mark"] else ""
    description = text[start + near.start("description") :].strip()
    if near["open"] and near["open"] == description[-len(near["open"]) :]:
        description = description[: -len(near["open"])]  # the whole header was quoted
    return f"{kind}{f'({scope})' if scope else ''}{mark}: {description or '…'}"


def _separated(near: re.Match[str]) -> bool:
    """Whether something parts type and description that a person may take for the colon and the space."""
    separator = near["separator"]
    before = near["after"] + near["scopes"] + near["behind"]
    if separator.startswith("-"):
        return before[-1:].isspace() and bool(near["description"])
    if separator:
        return not near["description"].startswith("//")
    enclosed = near["open"][-1:] in tuple("[({<") and near["after"][:1] in tuple("])}>")
    scoped = near["scopes"].startswith(("(", "[", "{")) and not near["after"] and near["scopes"].rstrip()[-1] in ")]}"
    return (enclosed or scoped) and bool(near["description"]) and (before + near["mark"])[-1:].isspace()


def _type(word: str, separator: str, types: Collection[str]) -> str:
    word = re.sub("[ -]", "", word.lower())
    if word in types:
        return word
    alias = _ALIASES.get(word, "")
    if alias in types:
        return alias
    return _closest(word, tuple(types)) if separator.startswith(":") else ""


@functools.cache
def _closest(word: str, types: tuple[str, ...]) -> str:
    import difflib

    matches = difflib.get_close_matches(word, types, n=1, cutoff=_CLOSE) if 3 <= len(word) <= 12 else []
    return matches[0] if matches else ""
