"""Adding a gate as a newcomer would: one folder, and its line in the list of gates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.project import REPOSITORY, Project

# A gate as a newcomer would write it after reading build/gates/protocol.py.
LICENCE = '''\
"""The licence gate: every image has a LICENSE file."""

from build.diagnosis import Diagnosis
from build.errors import MissingTool
from build.gates.protocol import Dependency
from build.gates.verdict import GateVerdict


def _require(manifest):
    raise MissingTool("syft is not installed")


name = "licence"
title = "look for licences"
dependencies = (Dependency(name="Syft", examine=lambda manifest: Diagnosis("ok", "syft 1.0"), require=_require),)


def run(manifest, images, released, /):
    """Pass."""
    return GateVerdict(verdict="passed", checks=len(images))
'''
ASK = """\
import json, sys
from pathlib import Path
from build import errors
from build.config.load import load
from build.gates.order import GATES, named
from build.machine import doctor
from build.release import preflight, steps

manifest = load(Path(sys.argv[1]), {"UC_REGISTRY_ADDRESS": "127.0.0.1:1"})
try:
    preflight.check_gates(manifest, [gate for gate in GATES if gate.name == "licence"])
    refusal = ""
except errors.BuildError as error:
    refusal = str(error)
print(json.dumps({
    "rows": {row.check: row.found for row in doctor.examine(manifest)},
    "steps": [(step.key, step.title) for step in steps.STEPS],
    "skipped": sorted(named(["licence"])),
    "refusal": refusal,
}))
"""


def test_a_gate_is_one_folder_and_one_entry(project: Project, tmp_path: Path) -> None:
    """A new gate has a row in the doctor, is required by the preflight, is a step of a release, and can be skipped."""
    library = tmp_path / "scratch" / "build"
    shutil.copytree(REPOSITORY / "build", library, ignore=shutil.ignore_patterns("__pycache__"))
    (library / "gates/licence").mkdir()
    (library / "gates/licence/__init__.py").touch()
    (library / "gates/licence/gate.py").write_text(LICENCE)
    listing = (library / "gates/order.py").read_text()
    listing = listing.replace("\n    smoke,\n", "\n    smoke,\n    licence,\n")
    listing = listing.replace("\n\nGATES", "\nfrom build.gates.licence import gate as licence\n\nGATES")
    (library / "gates/order.py").write_text(listing)

    environment = os.environ | {"PYTHONPATH": str(library.parent), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    argv = [sys.executable, "-c", ASK, str(project.root)]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    keys = [key for key, _ in answers["steps"]]
    assert answers["rows"]["Syft"] == "syft 1.0"
    assert answers["refusal"] == "syft is not installed"
    assert answers["skipped"] == ["licence"]
    assert keys[keys.index("stage") : keys.index("sign")] == ["stage", "scan", "smoke", "licence"]
    assert ["licence", "look for licences"] in answers["steps"]
