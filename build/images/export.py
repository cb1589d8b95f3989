"""Images as OCI layouts: what a release sends to the registry, in no store and under no name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from build import json_file
from build.config.manifest import Manifest
from build.errors import ToolFailed
from build.images import bake
from build.parallel import alive


def export(
    manifest: Manifest, model: Mapping[str, Any], services: Sequence[str], *, progress: str = "auto"
) -> dict[str, Path]:
    """Bake the services into an OCI layout each, and into no store: service → its layout, in a folder of this process.

    Either all of them or none: raises ToolFailed naming the service that could not be built, MissingTool without a
    daemon.
    """
    forget_exports(manifest)
    folder = manifest.workspace.layouts / str(os.getpid())
    folder.mkdir(parents=True)
    targets = {name: dict(target) for name, target in model["target"].items()}
    for name in services:
        del targets[name]["tags"]
        targets[name]["output"] = [f"type=oci,dest={folder / name},tar=false"]
    target_file, metadata_file = folder / "bake.json", folder / "metadata.json"
    json_file.write(target_file, {**model, "target": targets})
    log = manifest.workspace.build_log
    failure = bake.run(
        target_file, services, metadata=metadata_file, push=False, no_cache=False, progress=progress, log=log
    )
    if failure:
        raise ToolFailed(f"{failure.target or 'the build'} failed: {failure.reason}", hint=f"less {log}")
    metadata = json_file.read(metadata_file)
    for name in services:
        _check_layout(folder / name, metadata[name]["containerimage.digest"])
    return {name: folder / name for name in services}


def forget_exports(manifest: Manifest) -> None:
    """Remove what this process exported, and what is left of those that are gone.

    A killed release's build may outlive it and go on writing: so each has a folder, and what can't go now goes later.
    """
    for folder in manifest.workspace.layouts.glob("*"):
        owner = int(folder.name) if folder.name.isdigit() else 0
        if owner in {0, os.getpid()} or not alive(owner):
            shutil.rmtree(folder, ignore_errors=True)


def _check_layout(layout: Path, digest: str) -> None:
    index = json.loads((layout / "index.json").read_text(encoding="utf-8"))
    if [one["digest"] for one in index["manifests"]] != [digest]:
        raise ToolFailed(f"{layout.name}: buildx exported something else than {digest}", hint="./inv release again")
