"""What a build sends, compared with what the commit has: content, mode, kind and presence of every entry.

The rule: the commit is the image. A release refuses every difference, and a build's version says `.dirty`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from build.config.manifest import Manifest
from build.context_walk import FILTER
from build.errors import RepositoryError, ToolFailed
from build.git import user_view
from build.git.comparison import Comparison, Difference, Sent, shown
from build.git.contexts import Area, areas_of, top_of
from build.git.own_index import repository
from build.git.tracked import Tracked, Why, read_tracked
from build.left_out import Filter
from build.parallel import together

_NOWHERE = Why(
    reason="in no git repository, so no commit has it", fix="git init it and commit, or point to a git checkout"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The comparison of everything that a build sends.

    `uncommitted` are changed files in the contexts that are not sent. `commits` maps a source outside of this
    repository to the commit of its own.
    """

    differences: tuple[Difference, ...] = ()
    uncommitted: tuple[str, ...] = ()
    commits: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[tuple[str, str], Sent] = field(default_factory=dict)
    home: Path | None = None
    filter: Filter = FILTER


def compare(manifest: Manifest) -> Inputs:
    """Compare what a build of the manifest sends with the commits that it comes from.

    Folders of another repository are compared with that one's HEAD. Raises ManifestError for an ignore file that Docker
    refuses, RepositoryError for a folder that can't be read.
    """
    home = manifest.workspace.trees
    project = top_of(manifest.root.resolve())
    by_top: dict[Path | None, list[Area]] = {}
    for area in areas_of(manifest):
        by_top.setdefault(top_of(area.root), []).append(area)
    groups = list(by_top.items())
    tracked: dict[Path | None, Tracked | Why] = {}

    def track(top: Path | None, areas: list[Area]) -> None:
        tracked[top] = _NOWHERE if top is None else _tracked(home, top, project, areas)

    def walk() -> None:
        for _, areas in groups:
            for area in areas:
                with _readable(manifest.root):
                    area.walk()

    tracks: list[Callable[[], None]] = [partial(track, top, areas) for top, areas in groups]
    together([*tracks, walk])
    differences: list[Difference] = []
    uncommitted: list[str] = []
    sent: dict[tuple[str, str], Sent] = {}
    commits: dict[str, str] = {}
    for top, areas in groups:
        state = tracked[top]
        if isinstance(state, Why):
            places = dict.fromkeys(area.context.folder for area in areas)
            differences += [
                Difference(path=shown(place, manifest.root), reason=state.reason, fix=state.fix) for place in places
            ]
            continue
        group = Comparison(state, areas, home, manifest.root)
        differences += group.differences()
        if top == project:
            uncommitted += group.uncommitted()
        sent |= group.sent
        commits |= {
            area.context.source: state.repository.commit for area in areas if area.context.source and top != project
        }
    return Inputs(
        differences=tuple(dict.fromkeys(differences)),
        uncommitted=tuple(uncommitted),
        commits=commits,
        sent=sent,
        home=home,
        filter=Filter(manifest.filter.allow),
    )


@contextlib.contextmanager
def _readable(root: Path) -> Iterator[None]:
    """Raise RepositoryError instead of the system's error for what can't be read, which a build can't send either."""
    try:
        yield
    except OSError as error:
        place = shown(Path(str(error.filename)), root)
        hint = f"chmod -R u+rX {place}, or exclude it in .dockerignore"
        message = f"{place} can't be read, and a build would send it: {error.strerror}"
        raise RepositoryError(message, hint=hint) from None


def _tracked(home: Path, top: Path, project: Path | None, areas: Sequence[Area]) -> Tracked | Why:
    """The entries below the areas; a submodule of the project is compared with the commit that the project names."""
    try:
        found = repository(top)
        pinned = user_view.pinned(project, top) if project and project != top and top.is_relative_to(project) else ""
        if pinned and pinned != found.commit:
            reason = f"in a submodule at {found.commit[:7]}, and the commit has it at {pinned[:7]}"
            return Why(reason=reason, fix="git submodule update, or commit it")
        return read_tracked(home, found, sorted({area.path or "." for area in areas}))
    except ToolFailed as error:
        said = [line for line in error.output.splitlines() if line.strip()][:1] or [str(error)]
        return Why(reason=f"git can't compare it: {said[0]}", fix=f"git -C {top} status")
