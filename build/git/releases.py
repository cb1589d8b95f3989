"""The releases that HEAD reaches, each with its commits: the sections of CHANGELOG.md, and writing that file."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import Manifest, ReleaseSettings
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
    """A version tag of a line: its version, its commit, and its date (Unix seconds)."""

    key: Key
    tag: str
    commit: str
    date: int

    @property
    def version(self) -> str:
        major, minor, patch, pre = self.key
        return f"{major}.{minor}.{patch}{f'-{pre}' if pre else ''}"


def sections(manifest: Manifest, *, version: str = "") -> list[Section]:
    """Return the unreleased section and one for each release that HEAD reaches, highest first, line by line.

    A pre-release has a section of its own until the final release, whose section then includes it. With `version`
    (1.4.0, or api/1.4.0 on a service's own line), only its section; an untagged version gets the unreleased changes.
    Raises RepositoryError in a clone without its history or tags, and for a version that is on no line.
    """
    history = git_history.read(manifest)
    git_history.require_history(manifest.root, history, manifest.release)
    every_line = lines(manifest)
    releases, graph, commits = _read(manifest.root, every_line, manifest.release)
    service, _, number = version.rpartition("/")
    result: list[Section] = []
    for line in every_line:
        name = line.name if manifest.release.mode == "independent" else ""
        of_line = list(_of_line(line, name, releases[line.name], graph, commits[line.name]))
        if version:
            of_line = _only(of_line, number, history, preview=service == name) if service in {name, ""} else []
        result += of_line
    if not result:
        names = ", ".join(f"{line.name}/{number}" for line in every_line)
        raise RepositoryError(f"no line of versions has {version}", hint=f"--version one of {names}")
    return result


def _read(
    root: Path, every_line: Sequence[Line], settings: ReleaseSettings
) -> tuple[dict[str, list[_Release]], dict[str, list[str]], dict[str, list[Commit]]]:
    """Return the releases of each line, the parents of every commit (newest first), and the commits of each line."""
    fields_of = "%(refname)%00%(objectname)%00%(*objectname)%00%(creatordate:unix)"
    commits: dict[str, list[Commit]] = {}
    graph: dict[str, list[str]] = {}
    rows: list[str] = []

    def read_graph() -> None:
        for row in git(root, "rev-list", "--topo-order", "--parents", "HEAD").splitlines():
            commit, *parents = row.split()
            graph[commit] = parents

    def read_tags() -> None:
        rows.extend(
            git(
                root, "for-each-ref", "--merged=HEAD", f"--format={fields_of}", *map(git_history.pattern, every_line)
            ).splitlines()
        )

    def read_line(line: Line) -> None:
        batches = git_history.log(root, ["--topo-order", "HEAD"], line.paths)
        own = [git_history.commit_of(record, settings) for batch in batches for record in batch]
        if line.paths and settings.merge_titles:
            own = git_history.with_merges(own, git_history.merges(root, ["HEAD"], line.paths, settings))
        commits[line.name] = own

    jobs: list[Callable[[], None]] = [read_graph, read_tags]
    jobs += [functools.partial(read_line, line) for line in every_line]
    together(jobs)
    fields = {name: rest for name, *rest in (row.split("\0") for row in rows)}
    releases = {line.name: [*_releases(line, fields, graph)] for line in every_line}
    return releases, graph, commits


def _releases(line: Line, fields: Mapping[str, list[str]], graph: Mapping[str, list[str]]) -> Iterator[_Release]:
    for key, tag in tags_of(line.prefix, "\n".join(fields)):
        own, peeled, date = fields[f"refs/tags/{tag}"]
        commit = peeled or own
        if "+" not in tag and commit in graph:
            yield _Release(key=key, tag=tag, commit=commit, date=int(date))


def _of_line(
    line: Line, name: str, tags: Iterable[_Release], graph: Mapping[str, list[str]], commits: Sequence[Commit]
) -> Iterable[Section]:
    finals = {release.key[:3] for release in tags if not release.key[3]}
    releases = [release for release in tags if not release.key[3] or release.key[:3] not in finals]
    first_tag = _first_tags(releases, graph)
    by_tag: dict[str, list[Commit]] = {}
    for commit in commits:
        by_tag.setdefault(first_tag.get(commit.commit, ""), []).append(commit)
    title = f"{name} " if name else ""
    descending = [*sorted(releases, key=lambda release: precedence(release.key), reverse=True), None]
    yield Section(
        title=f"{title}{UNRELEASED}", version="", line=line.name, tag="",
        before=descending[0].tag if descending[0] else "", date=None, commits=tuple(by_tag.get("", ())),
    )  # fmt: skip
    for release, previous in itertools.pairwise(descending):
        if release:
            yield Section(
                title=f"{title}{release.version}", version=release.version, line=line.name, tag=release.tag,
                before=previous.tag if previous else "", date=release.date, commits=tuple(by_tag.get(release.tag, ())),
            )  # fmt: skip


def _first_tags(releases: Sequence[_Release], graph: Mapping[str, list[str]]) -> dict[str, str]:
    """Map each commit to the tag of the first release that contains it; the graph's commits are newest first."""
    position = {commit: index for index, commit in enumerate(graph)}
    first_tag: dict[str, str] = {}
    for release in sorted(releases, key=lambda release: (-position[release.commit], precedence(release.key))):
        pending = [release.commit]
        while pending:
            commit = pending.pop()
            if commit not in first_tag:
                first_tag[commit] = release.tag
                pending += graph[commit]
    return first_tag


def _only(sections: Sequence[Section], version: str, history: History, *, preview: bool) -> list[Section]:
    released = [section for section in sections if section.version == version]
    if released or not preview:
        return released
    first = sections[0]
    title = first.title.replace(UNRELEASED, version)
    return [
        Section(
            title=title, version=version, line=first.line, tag="", before=first.before, date=history.committed,
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
