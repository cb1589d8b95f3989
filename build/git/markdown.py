"""Commit messages as Markdown: what a reader sees is what the message says. Pure.

A message is text, so its signs are escaped; only code in backticks, and fenced code in a note, stays code. Escaped is
what CommonMark, GitHub, GitLab or Python-Markdown would act on there: `<`, and `&` before an entity, `*`, brackets,
unpaired backticks, an `_` that is not inside a word, `|`, a pair of `~`, backslashes before signs, and a heading, list
or quotation sign at the start. Backslashes are used where all of them know the escape, else entities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from build.git.footers import fenced

_BACKTICKS = re.compile(r"`+")
_SIGNS = re.compile(
    r"(?P<entity><|&(?=#|[0-9A-Za-z]+;)|\|)"
    r"|(?P<sign>[*`\[\]]|\\(?=[!-/:-@\[-`{-~]|$)|(?<![^\W_])_+|_+(?![^\W_]))"
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;", "=": "&#61;"}
# A heading, a list, a quotation, a rule below a heading: the sign, or the one after a number.
_START = re.compile(r"(?P<number>\d{1,9})?(?P<sign>(?(number)[.)](?=\s|$)|(?:\#|>|[-+](?=\s|[-+]*$)|=(?==*$))))")
_LIST = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def escaped(text: str) -> str:
    """Return one line of text as Markdown that shows it; what stands in backticks stays code."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.strip())
    start = _START.match(text)
    lead = ""
    if start:
        sign = start["sign"]
        lead = (start["number"] or "") + _ENTITIES.get(sign, f"\\{sign}")
        text = text[start.end() :]
    strikes = text.count("~") > 1
    return lead + "".join(part if code else _plain(part, strikes=strikes) for part, code in _spans(text))


def _plain(text: str, *, strikes: bool) -> str:
    text = _SIGNS.sub(
        lambda match: _ENTITIES[match[0]] if match["entity"] else "".join(f"\\{one}" for one in match[0]), text
    )
    return text.replace("~", "&#126;") if strikes else text


def _spans(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each part of a line, and whether it is a code span: from backticks to the next run of equal length."""
    runs = [(match.start(), match.end()) for match in _BACKTICKS.finditer(text)]
    done = index = 0
    while index < len(runs):
        start, end = runs[index]
        closing = next((at for at in range(index + 1, len(runs)) if runs[at][1] - runs[at][0] == end - start), None)
        if closing is None or not text[end : runs[closing][0]].strip():
            index += 1
            continue
        yield text[done:start], False
        done = runs[closing][1]
        yield text[start:done], True
        index = closing + 1
    yield text[done:], False


def note(text: str) -> Iterator[str]:
    """Yield the lines of a note below a list item, indented: its paragraphs and lists, and its fenced code as it is."""
    lines = text.replace("\r\n", "\n").split("\n")
    code = fenced(lines)
    structured = bool(code) or any(_LIST.match(line) for line in lines)
    for number, line in enumerate(lines):
        if number in code:
            yield f"  {line}".rstrip()
        elif not line.strip():
            if structured:
                yield ""
        elif structured and (sign := _LIST.match(line)):
            yield f"  {sign[0]}{escaped(line[sign.end() :])}"
        else:
            yield f"  {escaped(line)}"
