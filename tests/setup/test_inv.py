"""./inv and inv.py in a project of their own, with real Pythons, a real pip and a real invoke, and no network."""

from __future__ import annotations

import os
import re
import shutil
import sys
import venv
from pathlib import Path

import pytest

from build import variables
from build.config.workspace import Workspace
from build.machine.installer import Installer
from tests.setup.inv_project import ROOT, Project, make_project, python_without_ensurepip, wheel

TOOLS = ["sh", "apt-get", "cmp", "env", "id", "mkdir", "readlink", "sed", "tail", "uname"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX script")


@pytest.fixture
def project(pip_project: Project) -> Project:
    """A project that has no .venv yet."""
    return pip_project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, invoke_line: tuple[Path, str]) -> Project:
    """A project with its .venv, for tests that change neither."""
    project = make_project(tmp_path_factory.mktemp("made"), *invoke_line)
    code, _, err = project.run("show")
    assert code == 0, err
    return project


def test_the_first_call_makes_a_whole_venv(project: Project) -> None:
    """The first call on an ordinary Python makes .venv of what the lock names alone, says so, and runs the task."""
    folder = str(Path(sys.executable).resolve().parent)
    project.environment["PATH"] = f"{folder}:/usr/bin:/bin"
    code, out, err = project.run("show")
    assert (code, f"root={project.root}" in out) == (0, True), err
    assert "making .venv" in err
    assert project.packages == {"invoke"}


def test_a_python_without_a_pip_takes_the_one_that_it_bundles(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that has ensurepip and no pip of its own starts pip from ensurepip's wheel."""
    venv.create(project.root / ".venv", symlinks=True)
    base = tmp_path / "base"
    base.write_text(f'#!/bin/sh\ncase $* in *pip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n')
    base.chmod(0o755)
    monkeypatch.setattr(sys, "_base_executable", str(base))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in project.environment.items():
        if name.startswith("PIP_"):
            monkeypatch.setenv(name, value)
    workspace = Workspace(project.root / ".uc")
    workspace.root.mkdir()
    workspace.setup_log.touch()

    installer = Installer(python=project.root / ".venv/bin/python", workspace=workspace)
    installer.synchronise({"requirements.txt": (project.root / "requirements.txt").read_text()})

    assert project.packages == {"invoke"}


def test_the_second_call_makes_nothing(made: Project) -> None:
    """Once made, .venv is used as it is, and nothing is printed beside the task's own output."""
    before = (made.root / ".venv/pyvenv.cfg").stat().st_mtime_ns
    assert made.run("show") == (0, f"root={made.root} cwd={made.root} file=\n", "")
    assert (made.root / ".venv/pyvenv.cfg").stat().st_mtime_ns == before


def test_a_made_venv_costs_no_process(made: Project) -> None:
    """Where .venv is current, ./inv turns into the program itself: no shell or other Python stays behind it."""
    with made.start("pid") as process:
        printed, _ = process.communicate(timeout=60)

    assert printed.strip() == str(process.pid)


def test_from_another_folder(made: Project, tmp_path: Path) -> None:
    """The tasks are the project's, the working folder stays the caller's: a relative path means what it says."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/note.txt").write_text("hello")
    (tmp_path / "link").symlink_to(made.root / "inv")
    relative = os.path.relpath(made.root / "inv", tmp_path / "elsewhere")
    for program in (relative, str(made.root / "inv"), "../link"):
        code, out, err = made.run("show", "--file", "note.txt", program=(program,), cwd=tmp_path / "elsewhere")
        assert (code, out) == (0, f"root={made.root} cwd={tmp_path / 'elsewhere'} file=hello\n"), err


def test_the_exit_code_is_the_tasks(made: Project) -> None:
    """A script that calls ./inv sees what the task ended with."""
    assert [made.run("leave", "--code", str(code))[0] for code in (0, 7)] == [0, 7]


def test_a_changed_lock_is_installed_and_nothing_else_stays(uv_project: Project) -> None:
    """After requirements.txt changed, .venv holds what it names, and no package that it used to name."""
    project = uv_project
    line = (project.root / "requirements.txt").read_text()
    project.lock(line, wheel(project.wheels, "first", {"first.py": b""}))
    project.run("show")
    assert "first" in project.packages
    project.lock(line, wheel(project.wheels, "second", {"second.py": b""}))
    code, _, err = project.run("show")
    assert (code, "making .venv" in err) == (0, True)
    assert "second" in project.packages
    assert "first" not in project.packages


def test_a_changed_lock_in_an_activated_venv(project: Project) -> None:
    """Where the only Python on PATH is that of .venv itself, ./inv makes .venv anew from the Python below it."""
    project.run("show")
    activated = f"{project.root}/.venv/bin:/usr/bin:/bin"
    (project.root / ".venv/bin/python3.14").symlink_to("python")
    line = (project.root / "requirements.txt").read_text()
    project.lock(line, wheel(project.wheels, "second", {"second.py": b""}))
    project.environment["PATH"] = activated
    code, out, err = project.run("show")
    assert (code, f"root={project.root}" in out) == (0, True), err
    assert "second" in project.packages


# Each is one that sends packages elsewhere, leaves some out, or has another Python or other modules run.
ELSEWHERE = {
    "PIP_TARGET": "", "PIP_PREFIX": "", "PIP_USER": "1", "PIP_ROOT": "", "PIP_DRY_RUN": "1", "PIP_NO_DEPS": "1",
    "PIP_CONSTRAINT": "", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_PYTHON": "", "UV_TARGET": "", "UV_PYTHON": "", "UV_OVERRIDE": "",
    "UV_PROJECT_ENVIRONMENT": "", "UV_CONFIG_FILE": "", "UV_EXCLUDE_NEWER": "2001-01-01", "PYTHONHOME": "", "PYTHONPATH": "",
    "PYTHONUSERBASE": "", "VIRTUAL_ENV": "", "INVOKE_RUNTIME_CONFIG": "",
}  # fmt: skip


@pytest.mark.parametrize("project_kind", ["pip_project", "uv_project"])
def test_e6_settings_that_send_packages_elsewhere_do_not(
    project_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Where a person's pip, uv or Python installs or looks by habit, .venv is whole all the same."""
    project: Project = request.getfixturevalue(project_kind)
    elsewhere = tmp_path / "elsewhere"
    project.environment |= {name: value or str(elsewhere) for name, value in ELSEWHERE.items()}
    home = tmp_path / "home"
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/uv").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text(f"[install]\ntarget = {elsewhere}\n[global]\nquiet = 3\n")
    (home / ".config/uv/uv.toml").write_text(f'no-index = true\n[pip]\ntarget = "{elsewhere}"\n')
    (home / ".invoke.yaml").write_text("tasks:\n  collection_name: another\n  auto_dash_names: false\n")
    project.environment["HOME"] = str(home)
    code, out, err = project.run("show")
    assert (code, f"root={project.root}" in out) == (0, True), err
    assert project.packages == {"invoke", *(["uv"] if project_kind == "uv_project" else [])}
    assert not elsewhere.exists()


def test_e6_a_venv_without_its_program_is_made_anew(pip_project: Project) -> None:
    """Who has a stamp and no invoke, as an earlier version left it, needs not know what to remove."""
    pip_project.run("show")
    (pip_project.root / ".venv/bin/invoke").unlink()
    code, out, err = pip_project.run("show")
    assert (code, f"root={pip_project.root}" in out, "making .venv" in err) == (0, True, True), err


def test_e6_the_wrappers_unset_what_the_table_says() -> None:
    """./inv and inv.cmd start Python before the table can be read: their lists are those of the table."""
    table = {
        name for name in variables.patterns("Python", "neutralised") if name.startswith("PYTHON") and "*" not in name
    }
    unset = re.search(r"^unset ((?:.*\\\n)*.*)\n", (ROOT / "inv").read_text(), re.MULTILINE)
    cleared = re.search(r"for %%V in \((.*)\) do set", (ROOT / "inv.cmd").read_text())
    assert unset
    assert cleared
    expected = table | {"INVOKE_RUNTIME_CONFIG"}
    assert set(unset[1].replace("\\", "").split()) == set(cleared[1].split()) == expected


def test_inv_py_by_itself(project: Project) -> None:
    """What inv.cmd starts makes .venv, runs the task, and ends with its exit code."""
    code, _, err = project.run("leave", "--code", "7", program=(sys.executable, "inv.py"))
    assert (code, "making .venv" in err) == (7, True)
    assert project.run("leave", "--code", "7", program=(sys.executable, "inv.py")) == (7, "", "")


def test_a_moved_project_makes_its_own_venv(made: Project, tmp_path: Path) -> None:
    """A copy of the folder must not run the packages of the folder that it was copied from."""
    copy = tmp_path / "copy"
    shutil.copytree(made.root, copy, symlinks=True)
    code, _, err = made.run("show", program=(str(copy / "inv"),))
    assert (code, "making .venv" in err) == (0, True)
    assert str(copy) in (copy / ".venv/bin/invoke").read_text()


def only_tools(folder: Path) -> Path:
    folder.mkdir()
    for name in TOOLS:
        if path := shutil.which(name, path="/usr/bin:/bin"):
            (folder / name).symlink_to(path)
    return folder


def test_without_python_it_says_what_to_install(project: Project, tmp_path: Path) -> None:
    """No Python, or only an old one: exit code 7, and the command that mends it."""
    tools = only_tools(tmp_path / "tools")
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    project.environment["PATH"] = str(tools)
    code, _, err = project.run("show")
    assert code == 7
    assert "error: Python 3.11 or newer is needed, and none is on PATH" in err
    assert ("sudo apt-get install python3-venv" in err) == bool(shutil.which("apt-get"))


def test_without_the_venv_module_it_says_which_package(project: Project, tmp_path: Path) -> None:
    """Debian's Python has no ensurepip until python3-venv is installed, and often no pip either."""
    tools = only_tools(tmp_path / "tools")
    python_without_ensurepip(tools)
    script = (tools / "python3.14").read_text().replace("*ensurepip*)", "*pip*)")
    (tools / "python3.14").write_text(script)
    project.environment["PATH"] = str(tools)
    code, _, err = project.run("show")
    assert code == 7
    assert f"{tools}/python3.14 can't make a virtual environment" in err
    assert ("sudo apt-get install python3-venv" in err) == bool(shutil.which("apt-get"))
