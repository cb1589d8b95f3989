"""The bake file that is written from the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from build.config.manifest import Manifest, Service, Stage
from build.errors import SecretError
from build.git.versions import History
from build.images import bases, build
from build.images.bake_file import Target
from build.images.bases import Resolved
from build.images.definition import bake_file
from build.images.plan import plan_build, relabelled
from tests.support.project import PYTHON, Project

CONTEXT = f"docker-image://uc-base/{PYTHON}"
HISTORY = History(
    commit="a" * 40, committed=1_700_000_000, branch="main", shallow=False, dirty=False, changed=(),
    differences=(), remote="https://example.invalid/repo.git", lines={},
)  # fmt: skip


@pytest.fixture
def manifest(project: Project) -> Manifest:
    """A project of a service, `web`, with a stage that can be shared."""
    project.write("docker/shared/Dockerfile", "FROM scratch\n")
    manifest = project.load()
    stages = {"shared": Stage(folder="docker/shared", target="base", bases=("python",), build_secrets=("ca_bundle",))}
    return dataclasses.replace(manifest, stages=stages)


def _resolved(manifest: Manifest) -> dict[str, Resolved]:
    planned = bases.planned(manifest, ["python"])["python"]
    return {"python": dataclasses.replace(planned, context=CONTEXT, digest="sha256:1", source="stand-in")}


def _with(manifest: Manifest, **settings: Any) -> Manifest:
    web = dataclasses.replace(manifest.services["web"], **settings)
    return dataclasses.replace(
        manifest, services={"web": web, "api": Service(folder="docker/web", description="", port=1)}
    )


def _target(manifest: Manifest, history: History = HISTORY, version: str = "1.2.3") -> Target:
    return bake_file(manifest, history, {"web": version}, _resolved(manifest), ["web"])["target"]["web"]


Reads = Callable[[Target, Manifest], object]
SETTINGS: dict[str, tuple[dict[str, Any], Reads, Callable[[Manifest], object]]] = {
    "a base is a context of its upstream name": (
        {"bases": ("python",)}, lambda target, _: target["contexts"], lambda _: {PYTHON: CONTEXT},
    ),
    "a shared stage is a target": (
        {"contexts": {"shared": "stage:shared"}},
        lambda target, _: target["contexts"], lambda _: {"shared": "target:stage-shared"},
    ),
    "a source is a folder": (
        {"contexts": {"watched": "source:watched"}},
        lambda target, _: target["contexts"], lambda manifest: {"watched": str(manifest.root / "agents")},
    ),
    "a source that is not configured is an empty folder": (
        {"contexts": {"docs": "source:docs"}},
        lambda target, _: target["contexts"], lambda manifest: {"docs": str(manifest.workspace.empty_source)},
    ),
    "a secret that is not configured is an empty file": (
        {"build_secrets": ("token",)},
        lambda target, _: target["secret"], lambda manifest: [f"id=token,src={manifest.workspace.empty_secret}"],
    ),
    "arguments, and the time of the commit": (
        {"args": {"A": "1"}},
        lambda target, _: target["args"], lambda _: {"A": "1", "SOURCE_DATE_EPOCH": "1700000000"},
    ),
    "what is critical": (
        {"critical": ("A", "B*")},
        lambda target, _: target["args"], lambda _: {"UC_CRITICAL": "A,B*", "SOURCE_DATE_EPOCH": "1700000000"},
    ),
    "a stage of the Dockerfile": ({"target": "serve"}, lambda target, _: target["target"], lambda _: "serve"),
    "no stage of the Dockerfile": ({}, lambda target, _: "target" in target, lambda _: False),
    "its name and version": (
        {}, lambda target, _: target["tags"], lambda manifest: [f"{manifest.image('web')}:1.2.3"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_each_setting_of_a_service_reaches_its_target(manifest: Manifest, case: str) -> None:
    """A table of versions.toml is all that a target is made from."""
    settings, reads, expected = SETTINGS[case]
    manifest = dataclasses.replace(_with(manifest, **settings), sources={"watched": "agents", "docs": ""})

    assert reads(_target(manifest), manifest) == expected(manifest)


def test_labels_and_annotations_describe_the_commit(manifest: Manifest) -> None:
    """What the image says of itself is on the image and on its index, in the words of the OCI image specification."""
    target = _target(manifest)
    described = {name.rpartition(".")[2]: value for name, value in target["labels"].items()}

    assert described == {
        "title": "web", "description": "A test", "version": "1.2.3", "revision": HISTORY.commit,
        "created": "2023-11-14T22:13:20Z", "source": HISTORY.remote,
    }  # fmt: skip
    assert target["annotations"] == [f"{name}={value}" for name, value in target["labels"].items()]
    assert "org.opencontainers.image.source" not in _target(manifest, dataclasses.replace(HISTORY, remote=""))["labels"]


def test_services_on_one_stage_share_its_target(manifest: Manifest) -> None:
    """A stage that two services stand on is built once, and is never an image."""
    shared = dataclasses.replace(manifest.services["web"], contexts={"shared": "stage:shared"})
    manifest = dataclasses.replace(manifest, services={"web": shared, "api": shared})

    bake = bake_file(manifest, HISTORY, dict.fromkeys(("web", "api"), "1.2.3"), _resolved(manifest), ["web", "api"])

    assert sorted(bake["target"]) == ["api", "stage-shared", "web"]
    assert bake["group"] == {"default": {"targets": ["web", "api"]}}
    stage = bake["target"]["stage-shared"]
    assert (stage["target"], stage["output"], "tags" in stage) == ("base", ["type=cacheonly"], False)


def test_a_configured_secret_that_is_missing_stops_the_definition(manifest: Manifest) -> None:
    """A build never goes on without a secret that somebody configured."""
    manifest = dataclasses.replace(_with(manifest, build_secrets=("token",)), build_secrets={"token": "nowhere"})

    with pytest.raises(SecretError, match=r"build_secrets\.token: no such file: nowhere"):
        _target(manifest)


def test_other_versions_change_the_labels_and_no_fingerprint(manifest: Manifest) -> None:
    """A release learns its versions after the sources were hashed: the plan takes them, and hashes nothing again."""
    manifest = _with(manifest, bases=("python",))
    plan = plan_build(manifest, HISTORY, dict.fromkeys(("web", "api"), "0"), _resolved(manifest), ["web", "api"])
    (manifest.root / "docker/web/new").write_text("x")

    released = relabelled(plan, manifest, HISTORY, {"web": "1.4.0"})

    assert released.bake_file == bake_file(manifest, HISTORY, {"web": "1.4.0"}, plan.bases, ["web"])
    assert dict(released.versions) == {"web": "1.4.0"}
    assert dict(released.fingerprints) == {"web": plan.fingerprints["web"]}
    assert released.current_fingerprints(["web"]) != dict(released.fingerprints)


def test_the_previewed_file_is_the_one_that_is_baked(project: Project) -> None:
    """`build --print` shows what `build` would write, for the same commit and bases."""
    manifest = project.load()
    from build.git import history as git_history

    history = git_history.read(manifest)
    planned = bases.planned(manifest, manifest.bases.images)

    assert (
        build.preview(manifest, [])
        == plan_build(manifest, history, build.snapshots(manifest, history), planned, list(manifest.services)).bake_file
    )
