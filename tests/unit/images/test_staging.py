"""What a build sends when something is left out: the copy, and the report."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from build.git.inputs import Inputs
from build.images import staging
from build.images.bake_file import BakeFile
from build.images.contents import Reader
from build.left_out import Filter
from tests.support.project import Project

OTHER_DISKS = (Path("/dev/shm"), Path("/var/tmp"), Path.home())
TOKEN = "ghp" + "_" + "a1B2" * 9


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source with an environment file, a token in a page, a program, a link and an empty folder."""
    folder = tmp_path / "source"
    (folder / "empty").mkdir(parents=True)
    (folder / "closed").mkdir(mode=0o750)
    (folder / "closed/a.txt").write_text("a")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("run.sh")
    (folder / ".env").write_text("TOKEN=1\n")
    (folder / "page.md").write_text(f"Use {TOKEN}\n")
    return folder


def _bake_file(project: Project, source: Path) -> BakeFile:
    web = project.root / "docker/web"
    return {
        "group": {"default": {"targets": ["web"]}},
        "target": {"web": {"context": str(web), "dockerfile": "Dockerfile", "contexts": {"docs": str(source)}, "secret": []}},
    }  # fmt: skip


def _tree(folder: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of everything in a folder, by path."""
    found = {}
    for path in folder.rglob("*"):
        content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[path.relative_to(folder).as_posix()] = (path.lstat().st_mode, content)
    return found


def test_s2_a_context_with_secrets_is_sent_from_a_copy_without_them(project: Project, source: Path) -> None:
    """The copy has everything else as it is: content, modes, links, empty folders; other contexts stay where they are."""
    reader = Reader(Inputs())
    web = project.root / "docker/web"
    for folder, dockerfile in ((source, ""), (web, "Dockerfile")):
        reader.contents(folder, dockerfile)

    staged = staging.staged(project.load(), _bake_file(project, source), reader.left_out)

    copy = Path(staged["target"]["web"]["contexts"]["docs"])
    expected = _tree(source)
    del expected[".env"], expected["page.md"]
    assert _tree(copy) == expected
    assert copy.is_relative_to(project.root / ".uc")
    assert staged["target"]["web"]["context"] == str(web)


def test_s2_a_copy_has_what_the_source_has_now(project: Project, source: Path) -> None:
    """A file that was removed from the source since the last build is not in the next one."""
    for _ in range(2):
        reader = Reader(Inputs())
        reader.contents(source)
        staged = staging.staged(project.load(), _bake_file(project, source), reader.left_out)
        (source / "closed/a.txt").unlink(missing_ok=True)

    assert not list(Path(staged["target"]["web"]["contexts"]["docs"]).rglob("a.txt"))


def test_s2_a_source_on_another_disk_is_copied(project: Project, source: Path) -> None:
    """Where the disk has no hard links from here, the bytes are copied."""
    here = source.stat().st_dev
    disk = next((place for place in OTHER_DISKS if place.is_dir() and place.stat().st_dev != here), None)
    if disk is None or not os.access(disk, os.W_OK):
        (pytest.fail if "CI" in os.environ else pytest.skip)("this machine has one disk")
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        other = Path(shutil.copytree(source, Path(folder) / "source", symlinks=True))
        reader = Reader(Inputs())
        reader.contents(other)

        staged = staging.staged(project.load(), _bake_file(project, other), reader.left_out)

        copy = Path(staged["target"]["web"]["contexts"]["docs"]) / "closed/a.txt"
        assert copy.read_text() == "a"
        assert (copy.stat().st_dev, copy.stat().st_nlink) == (project.root.stat().st_dev, 1)


def test_s2_each_file_left_out_has_a_line(project: Project, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the report and on the terminal: the path, and the rule."""
    reader = Reader(Inputs())
    reader.contents(source)

    staging.report(project.load(), reader.left_out)

    written = (project.root / ".uc/reports/left-out.txt").read_text().splitlines()
    assert [line.partition(": ")[2] for line in written] == ["an environment file", "it has a GitHub token"]
    printed = capsys.readouterr().err
    assert [line for line in written if f"left out: {line}" not in printed] == []


def test_s2_what_is_left_out_changes_no_fingerprint(source: Path) -> None:
    """A secret that comes, changes or goes is nothing that an image is built from."""
    before = Reader(Inputs()).contents(source).digest
    (source / ".env").write_text("TOKEN=2\n")
    (source / "id_rsa").write_text("x")
    (source / "page.md").unlink()

    assert Reader(Inputs()).contents(source).digest == before


def test_s2_an_exception_changes_the_fingerprint(source: Path) -> None:
    """What the manifest allows is sent, and decides the image."""
    before = Reader(Inputs()).contents(source)
    allowed = Reader(dataclasses.replace(Inputs(), filter=Filter(("page.md",)))).contents(source)

    assert allowed.digest != before.digest
    assert [each.path for each in allowed.left_out] == [".env"]


def test_s2_bytes_that_were_judged_are_judged_again_when_they_change(source: Path, tmp_path: Path) -> None:
    """Content without a secret is remembered by its id, never by its path."""
    inputs = dataclasses.replace(Inputs(), home=tmp_path)
    assert {each.path for each in Reader(inputs).contents(source).left_out} == {".env", "page.md"}

    (source / "run.sh").write_text(f"echo {TOKEN}\n")

    assert "run.sh" in {each.path for each in Reader(inputs).contents(source).left_out}


def test_s2_a_secret_is_left_out_of_every_build(source: Path, tmp_path: Path) -> None:
    """The second look, which knows what it has read, says the same."""
    inputs = dataclasses.replace(Inputs(), home=tmp_path)

    looks = [Reader(inputs).contents(source) for _ in range(2)]

    assert looks[0] == looks[1]
