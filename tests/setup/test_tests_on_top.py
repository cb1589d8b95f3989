"""What tests need, put on top of .venv: only when it lacks, exact, repaired after a kill, and by one process at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.errors import ToolFailed
from build.machine import environment
from tests.setup.inv_project import Project, wheel
from tests.support.machine import without_privilege

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX script")


def prepared(project: Project) -> Project:
    """The project with its .venv; on top of it the package `first` is wanted, and not yet there."""
    code, _, err = project.run("show")
    assert code == 0, err
    project.test_lock(wheel(project.wheels, "first", {"first.py": b"FIRST = 1\n" * 1000}))
    return project


@pytest.fixture
def checkout(uv_project: Project) -> Project:
    """A project whose .venv has uv, and nothing on top of it yet."""
    return prepared(uv_project)


def add(project: Project) -> tuple[int, str]:
    """Put the packages of tests on top: the exit code, and what was said."""
    code, _, err = project.run(program=project.add_tests)
    return code, err


def stamp(project: Project) -> Path:
    """The file that says which packages of tests are there."""
    return project.root / ".venv/requirements-test.txt"


def test_e6_no_stamp_without_what_it_promises(checkout: Project) -> None:
    """An installer that says it is done and has put nothing into .venv is not believed: pip does it, then the stamp."""
    uv = checkout.root / ".venv/bin/uv"
    uv.write_text("#!/bin/sh\nexit 0\n")
    record = next(checkout.root.glob(".venv/lib/*/site-packages/uv-1.0.dist-info")) / "RECORD"
    record.write_text("".join(line for line in record.read_text().splitlines(keepends=True) if "bin/uv" not in line))
    code, err = add(checkout)
    assert (code, "uv can't install them: pip does" in err) == (0, True), err
    assert "first" in checkout.packages
    assert stamp(checkout).exists()


def test_only_tests_install_what_tests_need(checkout: Project) -> None:
    """A task leaves .venv without it; whoever asks for it gets it once, and the second call makes nothing."""
    checkout.run("show")
    assert "first" not in checkout.packages
    code, err = add(checkout)
    assert (code, "adding to .venv what tests need: 1 packages" in err) == (0, True), err
    assert {"first", "invoke"} <= checkout.packages
    assert add(checkout) == (0, "")
    assert checkout.run("show")[2] == ""


def test_a_changed_test_lock_is_installed_and_nothing_else_stays(either: Project) -> None:
    """After requirements-test.txt changed, .venv holds both locks, and no package that the old one named."""
    checkout = prepared(either)
    add(checkout)
    before = checkout.packages
    checkout.test_lock(wheel(checkout.wheels, "second", {"second.py": b""}))
    code, err = add(checkout)
    assert (code, "uv can't" in err) == (0, False), err
    assert checkout.packages == before - {"first"} | {"second"}
    assert not list((checkout.root / ".venv").glob("lib/*/site-packages/first.py"))


def test_a_changed_lock_takes_what_tests_need_with_it(checkout: Project) -> None:
    """A .venv that is made anew has no packages of tests, and says so."""
    add(checkout)
    lines = (checkout.root / "requirements.txt").read_text()
    checkout.lock(lines, wheel(checkout.wheels, "other", {"other.py": b""}))
    checkout.test_lock(wheel(checkout.wheels, "second", {"second.py": b""}))
    code, err = add(checkout)
    assert (code, "error: .venv is not what requirements.txt says" in err) == (4, True)
    checkout.run("show")
    assert not stamp(checkout).exists()
    assert "first" not in checkout.packages
    assert add(checkout)[0] == 0
    assert {"second", "other"} <= checkout.packages


def test_a_failed_addition_leaves_the_tasks_as_they_were(checkout: Project) -> None:
    """A wrong hash is refused with exit code 4; tasks run on, and with the old lock back the tests do at once."""
    add(checkout)
    good = (checkout.root / "requirements-test.txt").read_text()
    wheel(checkout.wheels, "forged", {"forged.py": b""})
    checkout.test_lock(good, f"forged==1.0 --hash=sha256:{'0' * 64}\n")
    code, err = add(checkout)
    assert (code, "HASHES" in err) == (4, True)
    assert "error: the packages of requirements.txt and requirements-test.txt could not be installed" in err
    assert not stamp(checkout).exists()
    assert checkout.run("show")[0::2] == (0, "")
    checkout.test_lock(good)
    checkout.environment |= {"PIP_FIND_LINKS": str(checkout.root / "nowhere"), "UV_OFFLINE": "1"}
    assert add(checkout)[0] == 0
    assert "first" in checkout.packages


@pytest.mark.parametrize(
    ("either", "damage"),
    [("uv", "a file lacks"), ("uv", "half a file"), ("pip", "no record")],
    indirect=["either"],
)
def test_a_package_that_was_installed_by_half_is_installed_again(either: Project, damage: str) -> None:
    """What a kill leaves of a package does not count as the package."""
    checkout = prepared(either)
    add(checkout)
    stamp(checkout).unlink()
    packages = next((checkout.root / ".venv").glob("lib/*/site-packages"))
    if damage == "a file lacks":
        (packages / "first.py").unlink()
    elif damage == "half a file":
        os.truncate(packages / "first.py", 100)
    else:
        (packages / "first-1.0.dist-info/RECORD").unlink()
    code, err = add(checkout)
    assert code == 0, err
    assert (packages / "first.py").read_bytes() == b"FIRST = 1\n" * 1000
    assert (packages / "first-1.0.dist-info/RECORD").exists()


def stand_still(project: Project, index: str) -> tuple[subprocess.Popen[str], int]:
    """Start an addition that gets as far as its installer, and the installer's pid."""
    usual = project.environment
    project.environment = {**usual, "PIP_INDEX_URL": index, "PIP_FIND_LINKS": ""}
    project.environment.pop("PIP_NO_INDEX")
    process = project.start(program=project.add_tests)
    project.environment = usual
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"--require-hashes" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return process, int(child)
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def test_an_interrupted_addition_is_made_afterwards(checkout: Project, silent_index: str) -> None:
    """Ctrl-C ends the installer, too; tasks run on, and the next call adds what lacks."""
    process, installer = stand_still(checkout, silent_index)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert not Path(f"/proc/{installer}").exists()
    assert checkout.run("show")[0::2] == (0, "")
    assert add(checkout)[0] == 0
    assert "first" in checkout.packages


def test_a_killed_addition_is_waited_for_and_made_again(checkout: Project, silent_index: str) -> None:
    """When only the process that asked is killed, its installer still writes: the next one waits until it is gone."""
    process, installer = stand_still(checkout, silent_index)
    process.kill()
    process.wait()
    second = checkout.start(program=checkout.add_tests)
    assert second.stderr
    output = ""
    while "waiting for the set-up" not in output:
        line = second.stderr.readline()
        assert line, f"it did not wait: {output}"
        output += line
    os.kill(installer, signal.SIGKILL)
    _, err = second.communicate(timeout=60)
    process.communicate(timeout=120)
    assert second.returncode == 0, output + err
    assert "first" in checkout.packages


def test_two_at_once_add_once(checkout: Project) -> None:
    """Of several that need it one adds it, the others wait for it."""
    ends = [
        (process, *process.communicate(timeout=60))
        for process in [checkout.start(program=checkout.add_tests) for _ in range(3)]
    ]
    assert [process.returncode for process, _, _ in ends] == [0] * 3, ends
    assert sum(err.count("» adding") for _, _, err in ends) == 1


def test_without_a_network_the_reason_is_shown(checkout: Project) -> None:
    """Where nothing can be had, the addition fails with the installer's reason and what to set; tasks run on."""
    shutil.rmtree(checkout.environment["UV_CACHE_DIR"], ignore_errors=True)
    checkout.environment["PIP_FIND_LINKS"] = str(checkout.root / "nowhere")
    code, err = add(checkout)
    assert code == 4
    assert "first" in err
    assert "PIP_INDEX_URL" in err
    assert checkout.run("show")[0::2] == (0, "")


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A checkout that others may read and not write; its .venv has what the tasks need."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        root.chmod(0o755)
        (root / ".uc").mkdir()
        (root / ".venv/bin").mkdir(parents=True)
        for name in (
            "requirements.txt", ".venv/requirements.txt", ".venv/bin/python", ".venv/bin/invoke", "requirements-test.txt",
        ):  # fmt: skip
            (root / name).touch()
        (root / ".venv/bin/invoke").chmod(0o755)
        (root / ".venv/made-in").write_text(f"{root}\n")
        for name in ("", ".uc", ".venv"):
            (root / name).chmod(0o555)
        yield root
        for name in ("", ".uc", ".venv"):
            (root / name).chmod(0o755)


@pytest.mark.parametrize("closed", [".uc", ".venv"])
def test_what_lacks_in_a_place_that_can_not_be_written(read_only: Path, closed: str) -> None:
    """It is refused at once, with the command that fixes it."""
    if closed == ".venv":
        (read_only / ".uc").chmod(0o777)
    with without_privilege(), pytest.raises(ToolFailed, match=f"{closed} can't be written") as refused:
        environment.ensure_tests(read_only)
    assert "chown" in refused.value.hint


def test_complete_packages_in_a_read_only_place_are_accepted(read_only: Path) -> None:
    """It is used as it is: nothing is written, locked or asked for."""
    (read_only / ".venv").chmod(0o755)
    stamp = shutil.copy(read_only / "requirements-test.txt", read_only / ".venv")
    (read_only / ".venv").chmod(0o555)
    with without_privilege():
        environment.ensure(read_only)
        environment.ensure_tests(read_only)
    assert list((read_only / ".uc").iterdir()) == []
    assert Path(stamp).exists()
