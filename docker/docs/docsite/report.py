"""Problems for people and for programs: counted by kind, the first ones shown, all of them in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from docsite.static_check import Problem, counts, rarest_first

SHOWN = 20


def lines(problems: Iterable[Problem], rest: str) -> Iterator[str]:
    """The problems for a build log; `rest` says where those are that are not shown."""
    listed = rarest_first(problems)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts(listed).items())
    yield f"{len(listed)} problem(s){': ' if kinds else ''}{kinds}"
    yield from (f"- {problem.text}" for problem in listed[:SHOWN])
    if len(listed) > SHOWN:
        yield f"  and {len(listed) - SHOWN} more{rest}"


def as_json(problems: Iterable[Problem], *, strict: bool, source: str, fatal: str = "") -> str:
    """The problems for a program. `source` is mkdocs, prebuilt or ""; `fatal` says why there can be no site."""
    listed = rarest_first(problems)
    content = {
        "source": source,
        "strict": strict,
        "fatal": fatal,
        "kinds": counts(listed),
        "problems": [{"kind": problem.kind, "text": problem.text} for problem in listed],
    }
    return json.dumps(content, indent=1) + "\n"
