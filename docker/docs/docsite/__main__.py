"""python -m docsite SOURCE OUT: exit 0 with a site in OUT, 1 when a strict one has faults, 2 when nothing can be built.

DOCS_STRICT=true refuses a site with faults, false accepts it; otherwise `strict` in mkdocs.yml decides.
`python -m docsite --check SOURCE [--json]` builds nothing that stays, and lists the problems.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from docsite import mkdocs_site, report, source
from docsite.errors import SourceError
from docsite.mkdocs_site import Built

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _say(text: str) -> None:
    sys.stderr.write(f"docs: {text}\n")


def _make(where: Path, out: Path, *, strict: bool | None) -> tuple[str, Built]:
    found = source.find(where)
    if found.config is None:
        _say("index.html found: a prebuilt site, served as it is")
        source.copy_prebuilt(where, out)
        return "prebuilt", Built(problems=[], strict=bool(strict))
    return "mkdocs", mkdocs_site.build(found.config, out, strict=strict, say=_say)


def _check(where: Path, *, strict: bool | None, as_json: bool) -> int:
    """List what a build would meet; the site itself is thrown away."""
    kind, fatal, built = "", "", Built(problems=[], strict=bool(strict))
    with tempfile.TemporaryDirectory() as out:
        try:
            kind, built = _make(where, Path(out).resolve(), strict=strict)
        except SourceError as error:
            fatal = str(error)
    if as_json:
        sys.stdout.write(report.as_json(built.problems, strict=built.strict, source=kind, fatal=fatal))
    else:
        lines = [fatal] if fatal else report.lines(built.problems, ": --json lists all")
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 2 if fatal else 1 if built.strict and built.problems else 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="docsite", description=__doc__)
    parser.add_argument("--check", action="store_true", help="list the problems only")
    parser.add_argument("--json", action="store_true", help="with --check: all of them, as JSON")
    parser.add_argument("--report", type=Path, help="a file for all problems, as JSON")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    args = parser.parse_args(argv)
    if args.out is None and not args.check:
        parser.error("OUT is missing")
    return args


def main(argv: list[str] | None = None) -> int:
    """Build, and print the problems: counted by kind, the first of them in words."""
    args = _parse(argv)
    strict = _WORDS.get(os.environ.get("DOCS_STRICT", "").lower())
    if args.check:
        return _check(args.source.resolve(), strict=strict, as_json=args.json)
    try:
        kind, built = _make(args.source.resolve(), args.out.resolve(), strict=strict)
    except SourceError as error:
        _say(str(error))
        return 2
    if args.report:
        args.report.write_text(report.as_json(built.problems, strict=built.strict, source=kind))
    if not built.problems:
        return 0
    for line in report.lines(built.problems, ": /app/problems.json in the image has all" if args.report else ""):
        _say(line)
    if built.strict:
        _say("no site is made; fix the source, or build with DOCS_STRICT=false to accept these")
        return 1
    _say("the site is made with these; `strict: true` in mkdocs.yml refuses them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
