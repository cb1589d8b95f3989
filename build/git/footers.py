"""Body and footers of a commit message by Conventional Commits 1.0, sections 6 to 12. Pure.

A footer is `token: value` or `token #value`; its value runs on to the next footer (section 10). A note on what breaks
is often prose, a list or a configuration, where `word: value` is no footer. So in a note, only what is a trailer for
certain is a footer: another BREAKING CHANGE, a well-known token, or a line of the message's last paragraph if git takes
that for trailers (git-interpret-trailers(1)). Fenced and indented lines never are footers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BREAKING = re.compile(r"^BREAKING[ -]CHANGE:(?:\s|$)", re.MULTILINE)
BREAKING_TOKENS = frozenset(("BREAKING CHANGE", "BREAKING-CHANGE"))
# BREAKING CHANGE is the only token with a space.
_FOOTER = r"(?P<token>BREAKING[ -]CHANGE(?=:)|[A-Za-z][A-Za-z0-9-]*)(?:: +| (?=#)|:$)(?P<value>.*)"
_WELL_KNOWN = r"(?:[a-z]+-)+by|cc|refs|closes|fixes|resolves|relates-to|see-also|change-id|reviewed-on|changelog"
_TRAILER = r"[A-Za-z0-9-]+[ \t]*:"
_GENERATED = ("Signed-off-by: ", "(cherry picked from commit ")
# What git and GitHub write between a message and the trailers that they add.
_DIVIDER = r"\(cherry picked from commit [0-9a-f]+\)|-{9}"
_FENCE = r" {0,3}(?P<fence>`{3,}|~{3,})(?P<rest>.*)"


def split(rest: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the body, and (token, value) of each footer; `rest` is everything below the first line of a message.

    Footers begin at the first one that starts a paragraph, or at a BREAKING CHANGE.
    """
    lines = _lines(rest)
    code = fenced(lines)
    trailers = _trailers(lines)
    body: list[str] = []
    footers: list[tuple[str, list[str]]] = []
    after_blank, divided = True, False
    for number, line in enumerate(lines):
        footer = None if number in code else re.match(_FOOTER, line)
        if footer and _starts(footer["token"], footers, after_blank=after_blank, trailers=number >= trailers):
            footers.append((footer["token"], [footer["value"]]))
            divided = False
        elif not footers:
            body.append(line)
        elif divided or (number not in code and re.fullmatch(_DIVIDER, line)):
            divided = True
        else:
            footers[-1][1].append(line)
        after_blank = not line.strip()
    return "\n".join(body).strip(), tuple((token, "\n".join(value).strip()) for token, value in footers)


def _starts(token: str, before: Sequence[tuple[str, list[str]]], *, after_blank: bool, trailers: bool) -> bool:
    """Whether a line that looks like a footer is one, behind the footers `before` it."""
    if token in BREAKING_TOKENS:
        return True
    if not before:
        return after_blank
    return (
        before[-1][0] not in BREAKING_TOKENS
        or trailers
        or re.fullmatch(_WELL_KNOWN, token, flags=re.IGNORECASE) is not None
    )


def breaks(rest: str) -> bool:
    """Whether it has a BREAKING CHANGE footer, which counts wherever a line starts with it, outside of fences."""
    if "BREAKING" not in rest or not _BREAKING.search(rest):
        return False
    lines = _lines(rest)
    code = fenced(lines)
    return not code or any(_BREAKING.match(line) for number, line in enumerate(lines) if number not in code)


def fenced(lines: Sequence[str]) -> set[int]:
    """Return the numbers of the lines in fenced code (CommonMark 0.31, section 4.5); a fence without an end is none."""
    code: set[int] = set()
    opened, fence = 0, ""
    for number, line in enumerate(lines):
        match = re.fullmatch(_FENCE, line)
        if not match:
            continue
        if not fence:
            opened, fence = number, "" if "`" in match["rest"] and match["fence"][0] == "`" else match["fence"]
        elif match["fence"].startswith(fence) and not match["rest"].strip():
            code.update(range(opened, number + 1))
            fence = ""
    return code


def _lines(rest: str) -> list[str]:
    return rest.replace("\r\n", "\n").split("\n")


def _trailers(lines: Sequence[str]) -> int:
    """Return the number of the line where git finds trailers: the last paragraph, if all its lines are.

    One that git itself wrote suffices if a quarter of the lines are trailers.
    """
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    start = end
    while start and lines[start - 1].strip():
        start -= 1
    paragraph = lines[start:end]
    if any(_BREAKING.match(line) for line in paragraph):
        return len(lines)  # what follows it in its paragraph is the note
    counted = [line for line in paragraph if not line[0].isspace()]
    others = sum(1 for line in counted if not re.match(_TRAILER, line) and not line.startswith(_GENERATED))
    generated = any(line.startswith(_GENERATED) for line in counted)
    ours = len(counted) - others
    if ours and (not others or (generated and ours * 3 >= others)):
        return start
    return len(lines)
