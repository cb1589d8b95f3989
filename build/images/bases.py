"""The base images of a project: resolved once (upstream, mirror, archive or stand-in), recorded and reused.

Dockerfiles keep the upstream name in FROM; the image that is found reaches them as a named context of that name.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from build import console, json_file
from build.config.manifest import BaseImage, Manifest
from build.engine import client as engine
from build.engine import turns
from build.errors import BaseUnavailable, BuildError, ToolFailed
from build.images import base_sources, inspect, stand_in
from build.images.base_sources import Located
from build.images.inspect import EngineImage
from build.images.references import full_name
from build.parallel import together
from build.waiting import waiting

_REGISTRIES = {"upstream", "mirror"}
_LOG_LINES = 15  # of a stand-in's failed build


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """Where a base comes from.

    `context` is what bake takes, `digest` that of the image, `recipe` the hash of the settings that led to it.
    `created` is when the image was made, "" where nobody says. A stand-in has the suites that it was made from, and the
    versions of its Debian packages.
    """

    key: str
    reference: str
    source: str
    context: str
    digest: str
    recipe: str
    created: str = ""
    suites: str = ""
    packages: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        """The image's name, as the engine takes it."""
        return self.context.removeprefix("docker-image://")


def recipe(manifest: Manifest, base: BaseImage) -> str:
    """A hash of every setting that decides where a base comes from and what its stand-in contains."""
    bases = manifest.bases
    parts = (
        bases.source,
        bases.mirror,
        *bases.archives,
        stand_in.recipe(bases.suite, base),
        base.reference,
        base.digest,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def recorded(manifest: Manifest, keys: Iterable[str]) -> dict[str, Resolved]:
    """What earlier runs resolved under the current settings; the engine is not asked."""
    stored = json_file.read(manifest.workspace.bases)
    records = {key: stored[key] for key in keys if stored.get(key)}
    return {
        key: Resolved(**record)
        for key, record in records.items()
        if record.get("recipe") == recipe(manifest, manifest.bases.images[key])
    }


def planned(manifest: Manifest, keys: Collection[str]) -> dict[str, Resolved]:
    """What `recorded` has, and each other base under its upstream name; the engine is not asked."""
    return {key: _unresolved(manifest, key) for key in keys} | recorded(manifest, keys)


def _unresolved(manifest: Manifest, key: str) -> Resolved:
    base = manifest.bases.images[key]
    pinned = f"@{base.digest}" if base.digest else ""
    context = f"docker-image://{full_name(base.reference)}{pinned}"
    return _resolved(manifest, key, Located(source="", context=context, digest=base.digest))


def _resolved(manifest: Manifest, key: str, located: Located) -> Resolved:
    base = manifest.bases.images[key]
    return Resolved(
        key=key,
        reference=base.reference,
        source=located.source,
        context=located.context,
        digest=located.digest,
        recipe=recipe(manifest, base),
        created=located.created,
    )


def resolve(
    manifest: Manifest, keys: Iterable[str], *, refresh: bool = False
) -> tuple[dict[str, Resolved], dict[str, str]]:
    """Resolve the bases `keys`; return those that a source has, by key, and for each of the others the reason.

    Records are reused while their settings hold and their image is still there; `refresh` looks every base up again.
    Stand-ins wait for their turn on the engine.
    Raises MissingTool when a stand-in would have to be made and the daemon does not answer.
    """
    wanted = list(dict.fromkeys(keys))
    resolved = {} if refresh else _still_there(recorded(manifest, wanted))
    unknown = [key for key in wanted if key not in resolved]
    reasons: dict[str, str] = {}
    for key, outcome in zip(unknown, _locate(manifest, unknown), strict=True):
        if isinstance(outcome, Located):
            resolved[key] = _resolved(manifest, key, outcome)
        else:
            reasons[key] = outcome
    if manifest.bases.source in {"auto", "stand-in"}:
        resolved |= _make_stand_ins(manifest, reasons, fresh=refresh)
    if unknown:
        stored = json_file.read(manifest.workspace.bases)
        json_file.write(manifest.workspace.bases, stored | {key: asdict(base) for key, base in resolved.items()})
    return resolved, {key: reason for key, reason in reasons.items() if key not in resolved}


def local(bases: Iterable[Resolved]) -> list[str]:
    """The names of those that only the engine has."""
    return [base.image for base in bases if base.source not in _REGISTRIES]


def holding(bases: Mapping[str, Resolved], images: Sequence[EngineImage]) -> dict[str, Resolved]:
    """The records that still hold: a registry keeps a digest, but the engine's image may have been made again.

    `images` are what the engine has of those that `local` names.
    """
    names = local(bases.values())
    digests = inspect.digests(images, names)
    return {
        key: base for key, base in bases.items()
        if base.image not in names or digests.get(base.image, "") == base.digest
    }  # fmt: skip


def _still_there(bases: Mapping[str, Resolved]) -> dict[str, Resolved]:
    return holding(bases, inspect.inspect(local(bases.values())))


def require(bases: Mapping[str, Resolved]) -> None:
    """Raise ToolFailed naming the bases that the engine has no longer, or made again since they were resolved."""
    if lost := sorted(bases.keys() - _still_there(bases).keys()):
        names = ", ".join(bases[key].reference for key in lost)
        raise ToolFailed(f"the base was made again, or removed, since this was planned: {names}", hint="run it again")


def _locate(manifest: Manifest, keys: Sequence[str]) -> list[Located | str]:
    """Look the keys up concurrently: behind a firewall that drops packets, each lookup takes its whole time limit."""
    if not keys:
        return []
    bases = [manifest.bases.images[key] for key in keys]
    with waiting(f"looking for {', '.join(base.reference for base in bases)}"):
        return together([functools.partial(base_sources.locate, manifest, base) for base in bases])


def _make_stand_ins(manifest: Manifest, reasons: dict[str, str], *, fresh: bool) -> dict[str, Resolved]:
    """Stand-ins for the bases in `reasons`; for those that can't be made, the reason is extended."""

    def explain(key: str, reason: object) -> None:
        reasons[key] = "; ".join(filter(None, (reasons[key], str(reason))))

    archives: dict[str, Path | None] = {}
    for key in reasons:
        try:
            archives[key] = stand_in.find_archive(manifest, manifest.bases.images[key])
        except BaseUnavailable as error:
            explain(key, error)
    if not archives:
        return {}
    engine.cli("version", timeout=60)  # raises MissingTool: a stopped daemon is no reason of a single base
    bases = {key: manifest.bases.images[key] for key in archives}
    targets = {
        key: stand_in.StandIn(name=stand_in.name(manifest, base), base=base, archive=archives[key])
        for key, base in bases.items()
    }
    with turns.building(manifest.root):
        try:
            stand_in.build(manifest, targets, fresh=fresh)
        except BuildError as error:
            for key in targets:
                explain(key, f"stand-in: {error}")
            if error.output:
                console.error(str(error), hint=error.hint, output="\n".join(error.output.splitlines()[-_LOG_LINES:]))
            return {}
        return dict(together([functools.partial(_stand_in, manifest, key) for key in bases]))


def _stand_in(manifest: Manifest, key: str) -> tuple[str, Resolved]:
    base = manifest.bases.images[key]
    resolved = _resolved(manifest, key, base_sources.in_engine(stand_in.name(manifest, base), "stand-in"))
    image = next(iter(inspect.inspect([resolved.image])))
    suites = image.labels.get(stand_in.SUITES_LABEL, "")
    return key, replace(resolved, suites=suites, packages=stand_in.packages(resolved.image))
