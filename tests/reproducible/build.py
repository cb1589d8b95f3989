"""Exports services of a checkout as a release does, for `run.py`.

usage: build.py CHECKOUT FOLDER [--no-cache] [--proxy URL] SERVICE…
FOLDER gets an OCI layout for each service, and fingerprints.json. With --proxy, the steps of the build reach others
by the proxy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from build import console, json_file
from build.config.load import load
from build.errors import BuildError
from build.git import history as git_history
from build.images.bake_file import BakeFile
from build.images.build import resolve_bases, snapshots
from build.images.export import export
from build.images.plan import plan_build


def main() -> int:
    """Run the command line; its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("services", nargs="+")
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--proxy", default="")
    options = parser.parse_args()
    try:
        _build(options.checkout, options.folder, options.services, no_cache=options.no_cache, proxy=options.proxy)
    except BuildError as error:
        console.error(str(error), hint=error.hint, output=error.output)
        return error.exit_code
    return 0


def _build(checkout: Path, folder: Path, services: Sequence[str], *, no_cache: bool, proxy: str) -> None:
    manifest = load(checkout, os.environ)
    history = git_history.read(manifest)
    assert not history.dirty, (history.changed, history.differences)
    resolved, missing = resolve_bases(manifest, services)
    for name, reason in missing.items():
        console.warn(f"{name} can't be built here: {reason}")
    names = [name for name in services if name not in missing]
    plan = plan_build(manifest, history, snapshots(manifest, history), resolved, names)
    if proxy:
        plan = replace(plan, bake_file=_through(plan.bake_file, proxy))
    folder.mkdir()
    for name, exported in export(manifest, plan, names, no_cache=no_cache).items():
        shutil.move(exported.layout.folder, folder / name)
    json_file.write(folder / "fingerprints.json", dict(plan.fingerprints))


def _through(definition: BakeFile, proxy: str) -> BakeFile:
    """The bake file with a proxy; BuildKit keeps arguments of these names out of what it makes."""
    targets = {name: target.copy() for name, target in definition["target"].items()}
    for target in targets.values():
        target["args"] = target.get("args", {}) | {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy}
    return {"group": definition["group"], "target": targets}


if __name__ == "__main__":
    sys.exit(main())
