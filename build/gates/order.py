"""The gates of a release, in the order in which its candidates pass them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from build import console
from build.config.manifest import Manifest
from build.errors import ReleaseRefused
from build.gates.protocol import Gate, Released
from build.gates.scan import gate as scan
from build.gates.smoke import gate as smoke
from build.gates.verdict import GateVerdict
from build.images.image import Image
from build.typed import suggest

GATES: tuple[Gate, ...] = (
    scan,
    smoke,
)


# A part of a gate that `--skip` leaves out → the manifest for the rest.
PARTS: Mapping[str, Callable[[Manifest], Manifest]] = {"vulnerabilities": scan.without_vulnerabilities}


def configured(manifest: Manifest, skipped: Iterable[str]) -> Manifest:
    """The manifest for gates of which these parts are left out."""
    for part in sorted(PARTS.keys() & set(skipped)):
        manifest = PARTS[part](manifest)
    return manifest


def judge(
    gate: Gate, manifest: Manifest, images: Mapping[str, Image], released: Released, skipped: Collection[str]
) -> GateVerdict:
    """The gate's verdict on the candidates without the skipped parts. Raises as the gate does."""
    verdict = gate.run(configured(manifest, skipped), images, released)
    if not verdict.unchecked_by or not PARTS.keys() & set(skipped):
        return verdict
    console.warn("the check of vulnerabilities is skipped; the release records that permanently")
    return replace(verdict, unchecked_by="flag")


def named(names: Iterable[str]) -> frozenset[str]:
    """Return the names as a set. Raises ReleaseRefused for one that is neither a gate nor a part of one."""
    known = [*(gate.name for gate in GATES), *PARTS]
    for name in names:
        if name not in known:
            raise ReleaseRefused(
                f"--skip {name}: unknown gate{suggest(name, known)}", hint=f"--skip {' | '.join(known)}"
            )
    return frozenset(names)
