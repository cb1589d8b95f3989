"""The comparison of 200,000 files in one context with their commit, and their fingerprint, compared with `git status`."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path

from build.config.manifest import Manifest, Service
from build.git import status
from build.images import fingerprint
from build.images.bake_file import Target
from build.images.contents import Reader
from tests.bench.histories import environment, git
from tests.bench.timing import Rows, milliseconds, pair, timed

FOLDERS, FILES = 400, 500


def bench_inputs(manifest: Manifest, rounds: int) -> Rows:
    """The state of a clean checkout and the fingerprint of its context, once both have been read before."""
    root = _repository(manifest.workspace.root / "bench")
    services = {"web": Service(folder="web", description="web", port=8000)}
    project = dataclasses.replace(manifest, root=root, services=services, stages={})
    targets: dict[str, Target] = {
        "web": {"context": str(root / "web"), "dockerfile": "Dockerfile", "contexts": {}, "secret": []}
    }

    def ours() -> float:
        started = time.perf_counter()
        state = status.read(project)
        assert not state.dirty, status.described(state.changed, state.differences)
        fingerprint.of_target(targets, "web", {}, Reader(state.inputs))
        return time.perf_counter() - started

    ours()  # the first look hashes every file
    peer = ["git", "status", "--porcelain"]
    a, b, ratio = pair(max(rounds, 9), ours, lambda: timed(peer, cwd=root, env=environment()))
    what = f"state and fingerprint, {FOLDERS * FILES:,} files"
    return [(what, "git status", milliseconds(a), milliseconds(b), f"{ratio:.2f}", "<= 1.5")]


def _repository(folder: Path) -> Path:
    root = folder / f"files-{FOLDERS}-{FILES}"
    if not (root / ".git/made").exists():
        shutil.rmtree(root, ignore_errors=True)
        for number in range(FOLDERS):
            place = root / "web" / f"d{number % 20}" / f"s{number}"
            place.mkdir(parents=True)
            for name in range(FILES):
                (place / f"file{name}.txt").write_text(f"{number} {name}\n", encoding="utf-8")
        (root / "web/Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
        (root / "versions.toml").touch()
        (root / ".gitignore").write_text(".uc/\n", encoding="utf-8")
        git(root, "init", "--quiet")
        git(root, "add", "--all")
        git(
            root,
            "-c",
            "user.name=Bench",
            "-c",
            "user.email=bench@example.invalid",
            "commit",
            "--quiet",
            "--message",
            "x",
        )
        (root / ".git/made").touch()
    return root
