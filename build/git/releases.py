"""Every release that HEAD has behind it, with the commits that it brought: the sections of a changelog."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import Manifest
from build.errors import RepositoryError
from build.git import changelog
from build.git import history as git_history
from build.git.changelog import UNRELEASED, Section
from build.git.client import git, remote_url
from build.git.commits import Commit
from build.git.tags import Key, precedence, tags_of
from build.git.versions import History, Line, lines
from build.parallel import together

FILE = "CHANGELOG.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Release:
    """One tag of a line: its version, the commit it stands on, and when it was made."""

    key: Key
    tag: str
    commit: str
    date: int

    @property
    def version(self) -> str:
        major, minor, patch, pre = self.key
        return f"{major}.{minor}.{patch}{f'-{pre}' if pre else ''}"


def sections(manifest: Manifest, *, version: str = "") -> list[Section]:
    """What is unreleased and every release that HEAD reaches, highest first, line after line.

    A pre-release has a section of its own until its release, which then has all of it. With `version`, only that one:
    1.4.0, or api/1.4.0 on a service's own line; one that is not released yet gets what is unreleased.
    Raises RepositoryError in a clone without its history or tags, and for a version that is on no line.
    """
    history = git_history.read(manifest)
    git_history.require_history(manifest.root, history, manifest.release)
    every = lines(manifest)
    found, graph, told = _ask(manifest.root, every)
    service, _, wanted = version.rpartition("/")
    chosen: list[Section] = []
    for line in every:
        name = line.name if manifest.release.mode == "independent" else ""
        made = list(_of_line(line, name, found[line.name], graph, told[line.name]))
        if version:
            made = _only(made, wanted, history, preview=service == name) if service in {name, ""} else []
        chosen += made
    if not chosen:
        names = ", ".join(f"{line.name}/{wanted}" for line in every)
        raise RepositoryError(f"no line of versions has {version}", hint=f"--version one of {names}")
    return chosen


def _ask(
    root: Path, every: Sequence[Line]
) -> tuple[dict[str, list[_Release]], dict[str, list[str]], dict[str, list[Commit]]]:
    """The releases of each line, every commit with its parents (newest first), and the commits of each line."""
    form = "%(refname)%00%(objectname)%00%(*objectname)%00%(creatordate:unix)"
    told: dict[str, list[Commit]] = {}
    graph: dict[str, list[str]] = {}
    rows: list[str] = []

    def read_graph() -> None:
        for row in git(root, "rev-list", "--topo-order", "--parents", "HEAD").splitlines():
            commit, *parents = row.split()
            graph[commit] = parents

    def read_tags() -> None:
        rows.extend(
            git(
                root, "for-each-ref", "--merged=HEAD", f"--format={form}", *map(git_history.pattern, every)
            ).splitlines()
        )

    def read_line(line: Line) -> None:
        batches = git_history.log(root, ["--topo-order", "HEAD"], line.paths)
        told[line.name] = [git_history.commit_of(record) for batch in batches for record in batch]

    jobs: list[Callable[[], None]] = [read_graph, read_tags]
    jobs += [functools.partial(read_line, line) for line in every]
    together(jobs)
    fields = {name: rest for name, *rest in (row.split("\0") for row in rows)}
    found = {line.name: [*_releases(line, fields, graph)] for line in every}
    return found, graph, told


def _releases(line: Line, fields: Mapping[str, list[str]], graph: Mapping[str, list[str]]) -> Iterator[_Release]:
    for key, tag in tags_of(line.prefix, "\n".join(fields)):
        own, peeled, date = fields[f"refs/tags/{tag}"]
        commit = peeled or own
        if "+" not in tag and commit in graph:
            yield _Release(key=key, tag=tag, commit=commit, date=int(date))


def _of_line(
    line: Line, name: str, tags: Iterable[_Release], graph: Mapping[str, list[str]], commits: Sequence[Commit]
) -> Iterable[Section]:
    finals = {one.key[:3] for one in tags if not one.key[3]}
    releases = [one for one in tags if not one.key[3] or one.key[:3] not in finals]
    owner = _owners(releases, graph)
    brought: dict[str, list[Commit]] = {}
    for commit in commits:
        brought.setdefault(owner.get(commit.commit, ""), []).append(commit)
    title = f"{name} " if name else ""
    below = [*sorted(releases, key=lambda one: precedence(one.key), reverse=True), None]
    yield Section(
        title=f"{title}{UNRELEASED}", version="", line=line.name, tag="", before=below[0].tag if below[0] else "",
        date=None, commits=tuple(brought.get("", ())),
    )  # fmt: skip
    for one, lower in itertools.pairwise(below):
        if one:
            yield Section(
                title=f"{title}{one.version}", version=one.version, line=line.name, tag=one.tag,
                before=lower.tag if lower else "", date=one.date, commits=tuple(brought.get(one.tag, ())),
            )  # fmt: skip


def _owners(releases: Sequence[_Release], graph: Mapping[str, list[str]]) -> dict[str, str]:
    """Commit → tag of the first release that has it; the graph is newest first, so releases are taken from its end."""
    place = {commit: position for position, commit in enumerate(graph)}
    owner: dict[str, str] = {}
    for one in sorted(releases, key=lambda one: (-place[one.commit], precedence(one.key))):
        waiting = [one.commit]
        while waiting:
            commit = waiting.pop()
            if commit not in owner:
                owner[commit] = one.tag
                waiting += graph[commit]
    return owner


def _only(made: Sequence[Section], wanted: str, history: History, *, preview: bool) -> list[Section]:
    known = [one for one in made if one.version == wanted]
    if known or not preview:
        return known
    first = made[0]
    title = first.title.replace(UNRELEASED, wanted)
    return [
        Section(
            title=title, version=wanted, line=first.line, tag="", before=first.before, date=history.committed,
            commits=first.commits,
        )
    ]  # fmt: skip


def text(manifest: Manifest, sections: Sequence[Section]) -> str:
    """Return the sections as Markdown, linked to the pages of the remote's forge."""
    return changelog.whole(sections, manifest.release.types, _web(manifest)).rstrip("\n")


def write(manifest: Manifest, sections: Sequence[Section]) -> bool:
    """Write the sections to CHANGELOG.md and keep everything else in it; return whether the file changed."""
    path = manifest.root / FILE
    existing = path.read_text(encoding="utf-8") if path.exists() else ""
    content = changelog.merged(existing, sections, manifest.release.types, _web(manifest))
    if content == existing:
        return False
    path.write_text(content, encoding="utf-8", newline="\n")
    return True


def _web(manifest: Manifest) -> changelog.Web | None:
    return changelog.web(remote_url(manifest.root, manifest.release.remote or "origin"))
