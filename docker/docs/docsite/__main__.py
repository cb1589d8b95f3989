"""python -m docsite SOURCE OUT: exit 0 with a site in OUT, 1 when the pages have faults, 2 when nothing can be built.

DOCS_STRICT=false turns faults into warnings; OUT then holds the site as good as it is.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from docsite import mkdocs_site, source
from docsite.errors import SiteProblems, SourceError


def _say(text: str) -> None:
    sys.stderr.write(f"docs: {text}\n")


def _make(where: Path, out: Path, *, strict: bool) -> None:
    found = source.find(where)
    if found.config is None:
        _say("index.html found: a prebuilt site, served as it is")
        source.copy_prebuilt(where, out)
        return
    mkdocs_site.build(found.config, out, strict=strict, say=_say)


def main(argv: list[str] | None = None) -> int:
    """Build, and print every problem on a line of its own."""
    parser = argparse.ArgumentParser(prog="docsite", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    strict = os.environ.get("DOCS_STRICT", "true").lower() not in {"false", "0", "no"}
    try:
        _make(args.source.resolve(), args.out.resolve(), strict=strict)
    except SourceError as error:
        _say(str(error))
        return 2
    except SiteProblems as error:
        _say(f"{len(error.problems)} problem(s):")
        for problem in error.problems:
            _say(f"- {problem}")
        if strict:
            _say("no site is made; fix the source, or build with DOCS_STRICT=false to accept these")
            return 1
        _say("going on, because DOCS_STRICT=false")
    return 0


if __name__ == "__main__":
    sys.exit(main())
