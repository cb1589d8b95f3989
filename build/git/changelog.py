"""The text of a changelog, in the manner of keepachangelog.com, from Conventional Commits. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from build.git.commits import Bump, Commit, bump_of_one, standing

PREAMBLE = """\
# Changelog

All notable changes, by [Keep a Changelog](https://keepachangelog.com/en/1.1.0/) and
[Semantic Versioning](https://semver.org/spec/v2.0.0.html). `./inv changelog --write` writes the sections of released
versions and of what is unreleased; everything else in this file is kept.
"""
UNRELEASED = "Unreleased"
_KINDS = {"feat": "Added", "deprecate": "Deprecated", "remove": "Removed", "fix": "Fixed", "security": "Security"}
_ORDER = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
_HEADING = re.compile(r"## \[(?P<title>[^\]]+)\]")
_LINK = re.compile(r"\[(?P<title>[^\]]+)\]: \S+")
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?P<path>[^/].*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Web:
    """Where a forge shows a repository: addresses of a commit, a tag and a comparison."""

    base: str
    gitlab: bool = False

    def commit(self, commit: str) -> str:
        """The page of one commit."""
        return f"{self.base}{'/-' if self.gitlab else ''}/commit/{commit}"

    def since(self, before: str, until: str) -> str:
        """The page that compares two tags or commits; without `before`, the page of the tag."""
        inner = "/-" if self.gitlab else ""
        if before:
            return f"{self.base}{inner}/compare/{before}...{until}"
        return f"{self.base}{inner}/tags/{until}" if self.gitlab else f"{self.base}/releases/tag/{until}"


def web(remote: str) -> Web | None:
    """The web address of a remote on GitHub, GitLab, Gitea, Forgejo or Codeberg; None for any other."""
    found = re.fullmatch(r"(?:https?|ssh|git)://(?:[^@/]+@)?(?P<host>[^/:]+)(?::\d+)?/(?P<path>.+)", remote)
    found = found or _SCP.fullmatch(remote)
    if not found:
        return None
    host, path = found["host"], found["path"].strip("/").removesuffix(".git")
    names = set(host.lower().split("."))
    if names & {"github", "gitlab", "gitea", "forgejo", "codeberg"}:
        return Web(base=f"https://{host}/{path}", gitlab="gitlab" in names)
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What one version brought: `commits` newest first, merges and taken-back ones included.

    `title` names it in the file: 1.4.0, "api 1.4.0" on a service's own line, or Unreleased. `tag` is "" and `date`
    None (seconds since 1970 otherwise) before it is released; `before` is the tag of the version below it.
    """

    title: str
    version: str
    line: str
    tag: str
    before: str
    date: int | None
    commits: tuple[Commit, ...]


def entries(section: Section, types: Mapping[str, Bump]) -> dict[str, list[Commit]]:
    """The commits that users see, by heading, in the order of Keep a Changelog: those that bump a version."""
    found: dict[str, list[Commit]] = {}
    for one in standing(section.commits):
        if bump_of_one(one, types) != "none":
            kind = "Security" if one.scope == "security" else _KINDS.get(one.type, "Changed")
            found.setdefault(kind, []).append(one)
    return {kind: found[kind] for kind in _ORDER if kind in found}


def text(section: Section, types: Mapping[str, Bump], page: Web | None) -> str:
    """One section of the file, from its heading on, with a newline at its end."""
    lines = [f"## [{section.title}]"]
    if section.date is not None:
        lines[0] += f" - {datetime.fromtimestamp(section.date, UTC).date().isoformat()}"
    found = entries(section, types)
    for kind, commits in found.items():
        lines += ["", f"### {kind}", "", *(line for one in commits for line in _entry(one, page))]
    if not found and section.tag:
        lines += ["", "No notable changes."]
    return "\n".join(lines) + "\n"


def _entry(commit: Commit, page: Web | None) -> Iterator[str]:
    short = commit.commit[:7]
    where = f"[{short}]({page.commit(commit.commit)})" if page else short
    scope = f"**{commit.scope}:** " if commit.scope else ""
    undone = "Revert: " if commit.type == "revert" and not commit.description.startswith("Re") else ""
    yield f"- {'**Breaking:** ' if commit.breaking else ''}{scope}{undone}{commit.description} ({where})"
    for note in commit.notes:
        if note != commit.description:
            yield from (f"  {line.strip()}" for line in note.splitlines() if line.strip())


def _link(section: Section, page: Web | None) -> str:
    if page is None or not (section.tag or section.before):
        return ""
    return f"[{section.title}]: {page.since(section.before, section.tag or 'HEAD')}"


def whole(sections: Sequence[Section], types: Mapping[str, Bump], page: Web | None) -> str:
    """The sections one after the other, and below them the addresses that their headings link to."""
    links = [link for one in sections if (link := _link(one, page))]
    return "\n".join([*(text(one, types, page) for one in sections), *(["\n".join(links) + "\n"] if links else [])])


def merged(existing: str, sections: Sequence[Section], types: Mapping[str, Bump], page: Web | None) -> str:
    """The file `existing` ("" for none) with its own sections written anew and everything else kept where it was.

    Its own are the headings `## [TITLE]` of the sections given, up to the next `## `, and the links of these titles.
    A section written by hand stays behind the one that it followed.
    """
    own = {one.title: one.title for one in sections}
    for one in reversed(sections):  # a section that is about to be released takes the place of the unreleased one
        own.setdefault(f"{one.line} {UNRELEASED}" if one.title.startswith(f"{one.line} ") else UNRELEASED, one.title)
    before, after = _kept(existing or PREAMBLE, own)
    parts = [before, *after.get("", [])]
    for one in sections:
        parts += [text(one, types, page), *after.get(one.title, [])]
    links = [link for one in sections if (link := _link(one, page))]
    return "\n\n".join(part.strip("\n") for part in [*parts, "\n".join(links)] if part.strip()) + "\n"


def _kept(existing: str, own: Mapping[str, str]) -> tuple[str, dict[str, list[str]]]:
    """What is written by hand: the text above all sections, and the sections behind each of our own ("": before).

    `own` maps the titles of our sections in the file to those they have now.
    """
    lines = [line for line in existing.splitlines() if not ((link := _LINK.match(line)) and link["title"] in own)]
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("## "):
            blocks.append([])
        blocks[-1].append(line)
    kept: dict[str, list[str]] = {}
    anchor = ""
    for block in blocks[1:]:
        heading = _HEADING.match(block[0])
        if heading and heading["title"] in own:
            anchor = own[heading["title"]]
        else:
            kept.setdefault(anchor, []).append("\n".join(block))
    return "\n".join(blocks[0]), kept
