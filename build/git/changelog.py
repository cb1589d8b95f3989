"""The text of a changelog by Keep a Changelog 1.1.0, generated from Conventional Commits. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from build.git.commits import Bump, Commit, bump_of_one, standing
from build.git.markdown import escaped, note

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
    """The web pages of a repository on a forge: a commit, a tag, a comparison."""

    base: str
    gitlab: bool = False

    def commit(self, commit: str) -> str:
        """Return the URL of a commit."""
        return f"{self.base}{'/-' if self.gitlab else ''}/commit/{commit}"

    def since(self, before: str, until: str) -> str:
        """Return the URL that compares two tags or commits; without `before`, that of the tag `until`."""
        inner = "/-" if self.gitlab else ""
        if before:
            return f"{self.base}{inner}/compare/{before}...{until}"
        return f"{self.base}{inner}/tags/{until}" if self.gitlab else f"{self.base}/releases/tag/{until}"


def web(remote: str) -> Web | None:
    """Return the web pages of a remote on GitHub, GitLab, Gitea, Forgejo or Codeberg; None for any other."""
    match = re.fullmatch(r"(?:https?|ssh|git)://(?:[^/]+@)?(?P<host>[^/:]+)(?::\d+)?/(?P<path>.+)", remote)
    match = match or _SCP.fullmatch(remote)
    if not match:
        return None
    host, path = match["host"], match["path"].strip("/").removesuffix(".git")
    names = set(host.lower().split("."))
    if names & {"github", "gitlab", "gitea", "forgejo", "codeberg"}:
        return Web(base=f"https://{host}/{path}", gitlab="gitlab" in names)
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """The changes of one version: its `commits`, newest first, including merges and reverted ones.

    `title` is its heading: 1.4.0, "api 1.4.0" on a service's own line, or Unreleased. Before the release, `tag` is ""
    and `date` (Unix seconds) None. `before` is the tag of the previous version.
    """

    title: str
    version: str
    line: str
    tag: str
    before: str
    date: int | None
    commits: tuple[Commit, ...]


def entries(section: Section, types: Mapping[str, Bump]) -> dict[str, list[Commit]]:
    """Return the commits that bump a version, by heading, in the order of Keep a Changelog."""
    groups: dict[str, list[Commit]] = {}
    for commit in standing(section.commits):
        if bump_of_one(commit, types) != "none":
            kind = "Security" if commit.scope == "security" else _KINDS.get(commit.type, "Changed")
            groups.setdefault(kind, []).append(commit)
    return {kind: groups[kind] for kind in _ORDER if kind in groups}


def text(section: Section, types: Mapping[str, Bump], page: Web | None) -> str:
    """Return one section of the file, heading included, ending in a newline."""
    lines = [f"## [{section.title}]"]
    if section.date is not None:
        lines[0] += f" - {datetime.fromtimestamp(section.date, UTC).date().isoformat()}"
    groups = entries(section, types)
    for kind, commits in groups.items():
        lines += ["", f"### {kind}", "", *(line for commit in commits for line in _entry(commit, page))]
    if not groups and section.tag:
        lines += ["", "No notable changes."]
    return "\n".join(lines) + "\n"


def _entry(commit: Commit, page: Web | None) -> Iterator[str]:
    short = commit.commit[:7]
    link = f"[{short}]({page.commit(commit.commit)})" if page else short
    scope = f"**{escaped(commit.scope)}:** " if commit.scope else ""
    revert = "Revert: " if commit.type == "revert" and not commit.titled_revert else ""
    breaking = "**Breaking:** " if commit.breaking else ""
    yield f"- {breaking}{scope}{revert}{escaped(commit.description)} ({link})"
    for text in commit.notes:
        if text != commit.description:
            yield from note(text)


def _link(section: Section, page: Web | None) -> str:
    if page is None or not (section.tag or section.before):
        return ""
    return f"[{section.title}]: {page.since(section.before, section.tag or 'HEAD')}"


def whole(sections: Sequence[Section], types: Mapping[str, Bump], page: Web | None) -> str:
    """Return all sections, followed by the link definitions of their headings."""
    links = [link for section in sections if (link := _link(section, page))]
    definitions = ["\n".join(links) + "\n"] if links else []
    return "\n".join([*(text(section, types, page) for section in sections), *definitions])


def merged(existing: str, sections: Sequence[Section], types: Mapping[str, Bump], page: Web | None) -> str:
    """Return the file `existing` ("" for none) with the given sections replaced and everything else kept in place.

    A generated section reaches from its heading `## [TITLE]` to the next `## `; the link definitions of these titles
    are replaced, too. A section written by hand stays after the one that it followed.
    """
    generated = {section.title: section.title for section in sections}
    for section in reversed(sections):  # a section that is about to be released replaces the unreleased one
        own_line = section.title.startswith(f"{section.line} ")
        generated.setdefault(f"{section.line} {UNRELEASED}" if own_line else UNRELEASED, section.title)
    before, after = _kept(existing or PREAMBLE, generated)
    parts = [before, *after.get("", [])]
    for section in sections:
        parts += [text(section, types, page), *after.get(section.title, [])]
    links = [link for section in sections if (link := _link(section, page))]
    return "\n\n".join(part.strip("\n") for part in [*parts, "\n".join(links)] if part.strip()) + "\n"


def _kept(existing: str, generated: Mapping[str, str]) -> tuple[str, dict[str, list[str]]]:
    """Return what is written by hand: the text above all sections, and the sections after each generated one.

    Those before the first generated one have the key "". `generated` maps the titles of generated sections in the file
    to the titles that they get.
    """
    lines = [line for line in existing.splitlines() if not ((link := _LINK.match(line)) and link["title"] in generated)]
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("## "):
            blocks.append([])
        blocks[-1].append(line)
    kept: dict[str, list[str]] = {}
    anchor = ""
    for block in blocks[1:]:
        heading = _HEADING.match(block[0])
        if heading and heading["title"] in generated:
            anchor = generated[heading["title"]]
        else:
            kept.setdefault(anchor, []).append("\n".join(block))
    return "\n".join(blocks[0]), kept
