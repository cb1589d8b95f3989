"""Look at every configured source, before any build, and say what will happen to it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from build.config.manifest import Manifest
from build.context_walk import root_of, sent_from
from build.errors import Incomplete
from build.git.inputs import Inputs
from build.images.contents import Reader
from build.left_out import Filter, LeftOut
from build.parallel import together
from build.sources import agents, docs, modules
from build.sources.examination import Examined, Findings


def examine(manifest: Manifest, *, quick: bool = False) -> tuple[Examined, ...]:
    """Every configured source in the manifest's order; `quick`: no engine is asked, and no file's content read.

    Raises ManifestError for an ignore file that Docker refuses.
    """
    configured = [(key, path) for key in manifest.sources if (path := manifest.source(key))]
    return tuple(together([partial(_examined, manifest, key, path, quick=quick) for key, path in configured]))


def require(examined: Sequence[Examined]) -> None:
    """Raise Incomplete naming the problems that stop a build."""
    stopping = [f"{each.key}: {problem.text}" for each in examined for problem in each.problems if problem.stops]
    if stopping:
        more = f" (and {len(stopping) - 1} more)" if len(stopping) > 1 else ""
        raise Incomplete(f"no build gets past this: {stopping[0]}{more}", hint="fix it as the list says")


def _examined(manifest: Manifest, key: str, path: Path, *, quick: bool) -> Examined:
    built = [name for name, service in manifest.services.items() if f"source:{key}" in service.contexts.values()]
    mounted = {service: None for service, settings in manifest.containers().values() if key in settings.mounts}
    findings = _look(manifest, key, path, built, quick=quick)
    files, size, left_out = _sent(manifest, path) if built and not quick else (0, 0, ())
    return Examined(
        key=key, path=manifest.sources[key], services=tuple(built or mounted), files=files, bytes=size,
        left_out=left_out, declared=tuple(findings.declared), problems=tuple(findings.problems),
        unexamined=findings.unexamined,
    )  # fmt: skip


def _look(manifest: Manifest, key: str, path: Path, services: Sequence[str], *, quick: bool) -> Findings:
    """What the readers of the services that are built from a source say of it."""
    for service in services:
        folder = manifest.root / manifest.services[service].folder
        if key == "agents" and (folder / agents.CHECK).is_file():
            return agents.examine(path, folder)
        if key == "docs" and (folder / docs.CHECK).is_file():
            return docs.examine(path, folder)
        if key == "modules" and (folder / modules.CHECK).is_file():
            return modules.examine(manifest, path, service) if not quick else Findings(unexamined=modules.ASK)
    return Findings()


def _sent(manifest: Manifest, path: Path) -> tuple[int, int, tuple[LeftOut, ...]]:
    """The number of files that a build sends of a source, their bytes, and what is left out."""
    chosen = Filter(manifest.filter.allow)
    left_out = Reader(Inputs(filter=chosen)).contents(path).left_out
    dropped = {each.path for each in left_out}
    root, files, size = root_of(path), 0, 0
    for name in sent_from(path, "", chosen):
        # What was removed since it was listed counts as if it had never been there.
        with contextlib.suppress(FileNotFoundError):
            if name not in dropped and not name.endswith("/"):
                size += (root / name).lstat().st_size
                files += 1
    return files, size, left_out
