"""The kinds of problems that MkDocs reports in prose."""

from __future__ import annotations

import re

from docsite.static_check import Problem

# What the messages of mkdocs 1.6 contain; what none of them fits is a "warning".
_KINDS = (
    ("missing page", re.compile(r"A reference to '.*' is included in the 'nav' configuration, which is not found")),
    (
        "broken anchor",
        re.compile(r"contains a link '.*', but (?:there is no such anchor|the doc '.*' does not contain)"),
    ),
    ("broken link", re.compile(r"contains a link '.*', but the target .*is not found")),
    ("link form", re.compile(r"contains an (?:absolute|unrecognized relative) link '")),
    ("OpenAPI document", re.compile(r"OpenAPI document '")),
)
_ORPHANS = re.compile(
    r'The following pages exist in the docs directory, but are not included in the "nav" configuration:'
)


def problems_of(message: str) -> list[Problem]:
    """The problems that one message is about: of the pages that nav leaves out each is one."""
    if found := _ORPHANS.match(message):
        pages = re.findall(r"(?m)^\s*-\s+(.+?)\s*$", message[found.end() :])
        return [Problem("page outside nav", f"{page} is not in the nav of mkdocs.yml") for page in pages]
    text = " ".join(message.split())
    return [Problem(next((kind for kind, form in _KINDS if form.search(text)), "warning"), text)]
