"""Images as OCI layouts: what a release sends to the registry, from no image store and under no name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from build.config.manifest import Manifest
from build.config.workspace import Workspace
from build.engine import turns
from build.errors import ToolFailed
from build.images import bake, bake_file, bases, staging
from build.images.bake_file import BakeFile
from build.images.bake_log import Failure
from build.images.image import Image
from build.images.layout import Layout
from build.images.plan import BuildPlan, built_image
from build.parallel import alive


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """An image that is in a layout, and in no store or registry yet."""

    image: Image
    layout: Layout


def export(
    manifest: Manifest, plan: BuildPlan, services: Sequence[str], *, no_cache: bool = False, progress: str = "auto"
) -> dict[str, Exported]:
    """Bake services of the plan into an OCI layout each, and into no image store; images by service.

    It waits for its turn on the engine. The layouts are in a folder of this process. Either all services are exported
    or none: raises ToolFailed naming the one that could not be built, or the base that was made again since the plan;
    MissingTool without a daemon.
    """
    workspace = manifest.workspace
    forget_exports(workspace)
    folder = workspace.layouts / str(os.getpid())
    folder.mkdir(parents=True)
    targets = {name: target.copy() for name, target in plan.bake_file["target"].items()}
    for name in services:
        del targets[name]["tags"]
        targets[name]["output"] = [f"type=oci,dest={folder / name},tar=false"]
    definition = folder / "bake.json"
    with turns.building(manifest.root):
        bases.require(plan.bases)
        staging.report(manifest, plan.left_out)
        exported: BakeFile = {"group": plan.bake_file["group"], "target": targets}
        bake_file.write(definition, staging.staged(manifest, exported, plan.left_out))
        outcome = bake.run(
            definition, services, metadata=folder / "metadata.json", log=workspace.build_log,
            no_cache=no_cache, progress=progress,
        )  # fmt: skip
    if isinstance(outcome, Failure):
        message = f"{outcome.target or 'the build'} failed: {outcome.reason}"
        raise ToolFailed(message, hint=f"less {workspace.build_log}")
    return {name: _exported(manifest, plan, name, digest, Layout(folder / name)) for name, digest in outcome.items()}


def forget_exports(workspace: Workspace) -> None:
    """Remove the layouts that this process exported, and those of processes that have ended.

    The buildx of a killed release may outlive it and go on writing, so each process has a folder of its own, and what
    can't be removed yet is removed by a later release.
    """
    for folder in workspace.layouts.glob("*"):
        owner = int(folder.name) if folder.name.isdigit() else 0
        if owner in {0, os.getpid()} or not alive(owner):
            shutil.rmtree(folder, ignore_errors=True)


def _exported(manifest: Manifest, plan: BuildPlan, name: str, digest: str, layout: Layout) -> Exported:
    exported = layout.top()["digest"]
    if exported != digest:
        raise ToolFailed(f"{name}: buildx reported {digest} and exported {exported}", hint="./inv release again")
    fingerprint = plan.fingerprints[name]
    image = built_image(plan, manifest, name, digest, fingerprint=fingerprint, size=layout.size(), pushed=False)
    return Exported(image=image, layout=layout)
