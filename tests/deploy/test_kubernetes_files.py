"""The manifests of the six services as files: whether they say what is applied, and what others' checks find in them.

Nothing here replaces a cluster: admission, scheduling, network policies and pulls are its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from build.config.deploy import TargetSettings
from build.config.load import load
from build.deploy import sets
from build.deploy.target import DeployedSet, Spec
from build.deploy.targets.kubernetes.target import KubernetesTarget
from build.stack import model, secrets
from tests.support import checkov, debian
from tests.support.machine import lacking
from tests.support.project import REPOSITORY

Object = dict[str, Any]
VERSIONS = ("1.28", "1.32", "1.36", "1.37")
# Trivy's findings that are no fault of the files, by their identifiers, each with the reason.
TRIVY = {
    "KSV-0125": "the registry is the user's own: Trivy's list of trusted ones has the public clouds' only",
}
CHECKOV: dict[str, str] = {}
FAULTS: dict[str, Callable[[Object], object]] = {
    "a root that may become more": lambda pod: pod["containers"][0].pop("securityContext"),
    "a field that does not exist": lambda pod: pod["containers"][0].update(imagePullPolicies="Always"),
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[KubernetesTarget, dict[str, Spec]]:
    """The target, and the specs of every container of versions.toml."""
    manifest = replace(load(REPOSITORY, {}, local=False), folder=str(tmp_path_factory.mktemp("workspace") / ".uc"))
    secrets.initialise(manifest)
    sources = dict.fromkeys(manifest.sources, "volume:sources")
    settings = TargetSettings(
        kind="kubernetes", sources=sources, replicas={"docs-server": 2}, placement={"monitoring": ("disktype=ssd",)}
    )
    target = KubernetesTarget(manifest, "production", settings)
    images = {name: f"registry.example/{name}@sha256:{'0' * 64}" for name in manifest.services}
    return target, target.render(model.stack(manifest, images, sets.site(manifest, settings)), None)


@pytest.fixture(scope="module")
def folder(rendered: tuple[KubernetesTarget, dict[str, Spec]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, written."""
    target, specs = rendered
    place = tmp_path_factory.mktemp("manifests")
    (place / "base").mkdir()
    for name, text in target.files(_set(specs)).items():
        (place / name).write_text(text, encoding="utf-8")
    return place


def _set(specs: dict[str, Spec]) -> DeployedSet:
    return DeployedSet(versions={spec.service: "1.4.0" for spec in specs.values()}, records={}, specs=specs)


def _kustomized(folder: Path) -> list[Object]:
    program = debian.program("kubectl", "kubectl", "usr/bin/kubectl")
    argv = [program.path, "kustomize", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=program.environment)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _ordered(objects: list[Object]) -> list[Object]:
    return sorted(objects, key=lambda item: (item["kind"], item["metadata"]["name"]))


def test_kustomize_builds_what_is_applied(rendered: tuple[KubernetesTarget, dict[str, Spec]], folder: Path) -> None:
    """Every object of every container as it is in its spec, and those that they share."""
    built = _kustomized(folder)
    applied = [item for spec in rendered[1].values() for item in spec.document["items"]]

    shared = [item for item in _ordered(built) if item not in applied]
    assert [(item["kind"], item["metadata"]["name"]) for item in shared] == [
        ("ConfigMap", "release"), ("Namespace", "unity-claude"), ("NetworkPolicy", "default-deny"),
    ]  # fmt: skip
    assert _ordered([item for item in built if item in applied]) == _ordered(applied)


def test_the_files_are_the_same_each_time(rendered: tuple[KubernetesTarget, dict[str, Spec]]) -> None:
    """In whatever order the containers come: a diff of two releases shows what differs."""
    target, specs = rendered

    once, again = target.files(_set(specs)), target.files(_set(dict(reversed(specs.items()))))

    assert [name for name in once if once[name] != again[name]] == []
    assert list(once) == list(again)


def test_the_patch_that_the_overlay_shows_works(folder: Path, tmp_path: Path) -> None:
    """What a user takes out of the comment gives a claim of another size, and changes nothing else."""
    shutil.copytree(folder, tmp_path / "mine")
    path = tmp_path / "mine/kustomization.yaml"
    text = path.read_text(encoding="utf-8")
    patch = [line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   ")]
    path.write_text("\n".join([text, *patch]), encoding="utf-8")

    before, after = _ordered(_kustomized(folder)), _ordered(_kustomized(tmp_path / "mine"))

    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    claim = changed[0][1]["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"


def test_the_commands_for_the_secrets_name_every_one(
    rendered: tuple[KubernetesTarget, dict[str, Spec]], folder: Path
) -> None:
    """Under the object and the key that the pods mount."""
    text = (folder / "base/kustomization.yaml").read_text(encoding="utf-8")

    needed = {
        (pair, stored.partition(":")[0]) for spec in rendered[1].values() for pair, stored in spec.secrets.items()
    }
    assert needed
    for name, stored in needed:
        assert f"create secret generic {stored} --from-file={name}=.uc/secrets/{name}" in text


def _objects(folder: Path) -> Path:
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump_all(_kustomized(folder)), encoding="utf-8")
    return path


def _broken(folder: Path, place: Path, fault: str) -> Path:
    """The folder with the fault in the pods of one Deployment."""
    shutil.copytree(folder, place)
    path = place / "base/docs-server.yaml"
    objects = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    FAULTS[fault](objects[-1]["spec"]["template"]["spec"])
    path.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    return place


def _validated(folder: Path, version: str) -> list[str]:
    """The faults that the schemas of a version of Kubernetes find, unknown fields among them."""
    program = Path(sys.executable).with_name("kubernetes-validate")
    argv = [str(program), "--strict", "--kubernetes-version", version, str(_objects(folder))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("INFO")]
    assert bool(lines) == bool(done.returncode), done.stdout + done.stderr
    return lines


@pytest.mark.parametrize("version", VERSIONS)
def test_they_fit_the_schemas_of_kubernetes(folder: Path, version: str) -> None:
    """Of the oldest that is still met, of the newest, and without a field that is not known there."""
    assert _validated(folder, version) == []


def test_the_schemas_see_a_field_that_does_not_exist(folder: Path, tmp_path: Path) -> None:
    """So that no finding above means something."""
    broken = _broken(folder, tmp_path / "broken", "a field that does not exist")

    assert "imagePullPolicies" in "\n".join(_validated(broken, VERSIONS[-1]))


def _trivy(folder: Path) -> dict[str, str]:
    """What Trivy finds, by its identifier; its checks are those that it has built in."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if (program := shutil.which("trivy", path=search)) is None:
        lacking("needs trivy")
    argv = [program, "config", "--skip-check-update", "--quiet", "--format=json", str(folder / "base")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    results = json.loads(done.stdout)["Results"]
    assert sum(result["MisconfSummary"]["Successes"] for result in results) > 500
    return {
        finding["ID"]: f"{result['Target']}: {finding['Message']}"
        for result in results
        for finding in result.get("Misconfigurations", [])
    }


def test_trivy_finds_nothing_but_the_exceptions(folder: Path) -> None:
    """Each exception with its reason, and none that has become needless."""
    assert _trivy(folder).keys() == TRIVY.keys()


def _checkov(folder: Path) -> dict[str, str]:
    """What Checkov finds, by its identifier."""
    argv = [str(checkov.program()), "--directory", str(folder / "base"), "--framework", "kubernetes", "--skip-download",
            "--output", "json", "--compact", "--quiet"]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 500
    assert report["summary"]["parsing_errors"] == 0
    return {check["check_id"]: check["resource"] for check in report["results"].get("failed_checks", [])}


def test_checkov_finds_nothing_but_the_exceptions(folder: Path) -> None:
    """Each exception with its reason, and none that has become needless."""
    assert _checkov(folder).keys() == CHECKOV.keys()


@pytest.mark.parametrize("look", [_trivy, _checkov])
def test_the_checks_see_what_is_not_hardened(
    folder: Path, tmp_path: Path, look: Callable[[Path], dict[str, str]]
) -> None:
    """So that no finding above means something."""
    assert len(look(_broken(folder, tmp_path / "broken", "a root that may become more"))) > 3
