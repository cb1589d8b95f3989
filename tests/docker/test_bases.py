"""Recorded bases on the real engine."""

from __future__ import annotations

from pathlib import Path

from build import json_file
from build.engine import client as docker
from build.images import bases, store
from tests.support.project import PYTHON, Project
from tests.support.stack import free_port


def test_a_stand_in_that_was_made_anew_is_looked_at_again(stack_project: Project) -> None:
    """A record that differs from the engine's image is not used: an image's fingerprint includes its base's digest."""
    manifest = stack_project.load()
    path = manifest.workspace.bases
    stored = json_file.read(path)
    right = stored["python"]["digest"]
    json_file.write(path, stored | {"python": stored["python"] | {"digest": f"sha256:{'0' * 64}"}})

    found, reasons = bases.resolve(manifest, ["python"])

    assert (found["python"].digest, reasons) == (right, {})


def test_a_mirror_whose_host_has_no_dot(stack_project: Project, tmp_path: Path) -> None:
    """A build uses the image that was resolved in the mirror, not one of that name on Docker Hub."""
    mirror = f"localhost:{free_port()}"
    up = stack_project.inv("registry.up", UC_REGISTRY_ADDRESS=mirror.replace("localhost", "127.0.0.1"))
    assert up.code == 0, up.text
    name = f"{mirror}/hub/{PYTHON}"
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    docker.cli("import", str(tmp_path / "empty.tar"), name)
    try:
        docker.cli("push", name)
        manifest = stack_project.load(UC_BASES_SOURCE="mirror", UC_BASES_MIRROR=f"{mirror}/hub")
        found, reasons = bases.resolve(manifest, ["python"])
    finally:
        docker.cli("rmi", "--force", name)

    assert reasons == {}
    assert found["python"].context == f"docker-image://{name}@{found['python'].digest}"


def test_the_bases_are_made_ready_before_the_tests(stack_project: Project) -> None:
    """The first resolution does not count against the time limit of the first test that needs a base."""
    ran = stack_project.inv("test", "--session", "docker", UC_BASES_SOURCE="archive")

    assert ran.code == 13, ran.text
    assert "nox ended before its first session" in ran.stderr, "this project has no noxfile"
    assert f"{PYTHON} is not available" in ran.stderr


def test_a_newer_line_of_a_base_is_one_changed_line(stack_project: Project) -> None:
    """With another `reference` in versions.toml alone, every image stands on that line."""
    text = (stack_project.root / "versions.toml").read_text()
    stack_project.write("versions.toml", text.replace(f'"{PYTHON}"', '"python:3.13-slim"'))

    ran = stack_project.inv("build")

    assert ran.code == 0, ran.text
    image = store.recorded(stack_project.load())["one"].reference
    shown = docker.cli("run", "--rm", "--network", "none", "--entrypoint", "python3", image, "--version").stdout
    assert shown.startswith("Python 3.13.")
