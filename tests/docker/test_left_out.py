"""What the filter leaves out of real builds, and builds that fail in passing."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from build.engine import client as docker
from build.images import store
from tests.support.project import Project
from tests.support.rough.planted import PLANTED, around, files

DOCKERFILE = "FROM scratch\nCOPY . /own\nCOPY --from=docs . /docs\n"


def _with_source(project: Project, source: Path) -> Path:
    """Give the project a service `three` that copies all of its folder and of a source with every kind of secret."""
    folder = project.root / "docker/three"
    project.service("three", 18999, DOCKERFILE, contexts='{ docs = "source:docs" }')
    text = (project.root / "versions.toml").read_text().replace('watched = ""', f'watched = ""\ndocs = "{source}"', 1)
    (project.root / "versions.toml").write_text(text)
    for place in (folder, source):
        for name, data in ({name: text.encode() for name, text in around().items()} | files()).items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (place / "kept.txt").write_text("kept")
    return folder


def _files(project: Project, service: str, tmp_path: Path) -> dict[str, bytes]:
    """Every file of every layer of an image: path → content."""
    saved = tmp_path / f"{service}.tar"
    docker.cli("save", "--output", str(saved), store.recorded(project.load())[service].reference)
    content: dict[str, bytes] = {}
    with tarfile.open(saved) as image:
        for blob in image:
            stream = image.extractfile(blob) if blob.isfile() else None
            if stream is None:
                continue
            try:
                with tarfile.open(fileobj=stream) as layer:
                    content |= {entry.name: file.read() for entry in layer if (file := layer.extractfile(entry))}
            except tarfile.ReadError:
                content[blob.name] = b""  # a manifest or a config
    return content


def test_s2_a_service_s_folder_and_a_source_leave_their_secrets_out(stack_project: Project, tmp_path: Path) -> None:
    """Neither the main nor a named context has a secret in any layer; an untracked one makes no build dirty."""
    (tmp_path / "docs").mkdir()
    _with_source(stack_project, tmp_path / "docs")
    assert stack_project.inv("build", "three").code == 0

    sent = _files(stack_project, "three", tmp_path)

    assert {"own/kept.txt", "docs/kept.txt"} <= sent.keys()
    leaked = {(name, secret.path) for name, data in sent.items() for secret in PLANTED if secret.data in data}
    assert leaked == set()
    report = (stack_project.root / ".uc/reports/left-out.txt").read_text()
    assert "docker/three/" in report
    assert str(tmp_path / "docs") in report


def test_s2_what_the_manifest_allows_is_in_the_image(stack_project: Project, tmp_path: Path) -> None:
    """An exception is about the file that it names alone."""
    (tmp_path / "docs").mkdir()
    _with_source(stack_project, tmp_path / "docs")
    (tmp_path / "docs/public.pem").write_text("public")
    (tmp_path / "docs/other.pem").write_text("other")

    assert stack_project.inv("build", "three", UC_FILTER_ALLOW="public.pem").code == 0

    names = _files(stack_project, "three", tmp_path).keys()
    assert "docs/public.pem" in names
    assert "docs/other.pem" not in names


def test_s6_a_build_that_fails_in_passing_is_tried_once_more(stack_project: Project, tmp_path: Path) -> None:
    """BuildKit loses a session under load: the second attempt goes through, and the first is named as what it was."""
    real, mark = shutil.which("docker"), tmp_path / "failed"
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/docker"
    wrapper.write_text(
        f'#!/bin/sh\nif [ "$1 $2" = "buildx bake" ] && [ ! -e {mark} ]; then\n  : > {mark}\n'
        f'  echo "ERROR: failed to solve: no active sessions" >&2\n  exit 1\nfi\nexec {real} "$@"\n'
    )
    wrapper.chmod(0o755)

    ran = stack_project.inv("build", PATH=f"{wrapper.parent}:{os.environ['PATH']}")

    assert mark.exists()
    assert ran.code == 0, ran.text
    assert "failed in passing" in ran.stderr
