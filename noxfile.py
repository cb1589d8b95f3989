"""The list of checks. In the project's .venv (`./inv test`, `.venv/bin/nox`) they run there; elsewhere nox makes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
# Some images set it; then each of the many Pythons that tests start would compile all that it imports, every time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
IN_VENV = Path(sys.prefix) == ROOT / ".venv"
if IN_VENV:
    # Sessions without a venv of their own find the tools of this one, activated or not.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
# Each folder with tests has its own locks: the services, and the library that the Python services share.
SERVICES = sorted({path.parents[1].name for path in (ROOT / "docker").glob("*/tests/test_*.py")})


def service_python() -> str:
    """The Python that services are tested on: the newest of 3.13 and 3.12 that really runs, else this one."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[23].*/bin/python"), reverse=True)
    for candidate in ("python3.13", "python3.12", *map(str, pyenv)):
        found = shutil.which(candidate)
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    return sys.executable


nox.options.default_venv_backend = "none" if IN_VENV else "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "unit", "repository"]


def install(session: nox.Session, locks: Sequence[str | Path]) -> None:
    """Install locks by their hashes; again, twice, if a download stalls or breaks off."""
    for pause in (2, 10, 0):
        try:
            session.install("--require-hashes", *(part for lock in locks for part in ("--requirement", str(lock))))
        except nox.command.CommandFailed:
            if not pause:
                raise
            time.sleep(pause)
        else:
            return


def locked(session: nox.Session, *, tests: bool = True) -> None:
    """Install the toolkit's own locks: what the tasks need, and what tests need on top; .venv has the first already."""
    if not IN_VENV:
        install(session, ["requirements.txt", *(["requirements-test.txt"] if tests else [])])
    elif tests:
        session.run("python", "-m", "build.machine.environment", silent=True)


def powershell_environment(session: nox.Session) -> dict[str, str]:
    """Where the PowerShell tests find an engine: on PATH, else in the archive that stand-ins are made from.

    With neither they can't run, which is said aloud: the machine lacks it, no test was left out by choice.
    """
    if shutil.which("pwsh") or "UC_PWSH" in os.environ:
        return {}
    folders = [*os.environ.get("UC_BASE_ARCHIVES", "").split(os.pathsep), "bases", "../shared/bases"]
    for folder in filter(None, folders):
        if (archive := ROOT / folder / "powershell.tar.xz").is_file():
            return {"UC_PWSH_ARCHIVE": str(archive.resolve())}
    session.warn("no pwsh on PATH and no archive of it (UC_BASE_ARCHIVES): the PowerShell service is NOT tested here")
    return {"UC_BASES_UNAVAILABLE": "powershell"}


def in_memory() -> dict[str, str]:
    """A TMPDIR in memory, where there is one that programs may run from: a third off the unit suite's time."""
    place = Path("/dev/shm")
    if sys.platform == "linux" and place.is_dir() and os.access(place, os.W_OK):
        return {} if os.statvfs(place).f_flag & os.ST_NOEXEC else {"TMPDIR": str(place)}
    return {}


def pytest(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run pytest with a JUnit report beside the others."""
    report = ROOT / ".uc" / "reports" / f"{session.name}.xml"
    session.run("python", "-m", "pytest", f"--junitxml={report}", *arguments, *session.posargs, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, commit messages, committed Compose files and schemas, CI's pipelines, and what has a schema."""
    locked(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("invoke", "compose", "--check")
    session.run("invoke", "schema", "--check")
    session.run("check-jsonschema", "--quiet", "--schemafile", "schema/versions.schema.json", "versions.toml")
    session.run("invoke", "commits.check")
    workflows = sorted(map(str, (ROOT / ".github" / "workflows").glob("*.yml")))
    session.run("actionlint", "-shellcheck=", "-pyflakes=", *workflows)  # would be used only where they happen to be
    session.run("zizmor", "--offline", "--quiet", *workflows)
    session.run("check-jsonschema", "--quiet", "--builtin-schema", "vendor.github-workflows", *workflows)
    gitlab = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(ROOT / ".gitlab-ci.yml"))
    session.run("check-jsonschema", "--quiet", *gitlab)
    forms = [form for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if form.stem != "config"]
    for schema, paths in {"renovate": [ROOT / ".github" / "renovate.json"], "github-issue-forms": forms}.items():
        session.run("check-jsonschema", "--quiet", "--builtin-schema", f"vendor.{schema}", *sorted(map(str, paths)))


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict; and the library as Windows and macOS have it: a call that is not there needs its other half."""
    locked(session)
    session.run("mypy")
    for platform in ("win32", "darwin"):
        # What is unreachable on one of them is often the other half.
        options = ("--platform", platform, "--no-warn-unreachable", "--cache-dir", f".mypy_cache/{platform}")
        session.run("mypy", *options, "build", "tasks.py", "noxfile.py", "inv.py")


@nox.session
def unit(session: nox.Session) -> None:
    """Rules of the library that need no daemon, in seconds."""
    locked(session)
    pytest(session, "tests/unit", "tests/canary", env=in_memory())


@nox.session
def git(session: nox.Session) -> None:
    """Versions and changelogs read from real git, in every state that a clone can be in."""
    locked(session)
    pytest(session, "tests/git", env=in_memory())


@nox.session
def repository(session: nox.Session) -> None:
    """What the repository says of itself: its texts, its pipelines, and the tests that the rules of a release name."""
    locked(session)
    pytest(session, "tests/repository")


@nox.session
def coverage(session: nox.Session) -> None:
    """How much of the library the suites unit and git run, with a floor in pyproject.toml."""
    locked(session)
    report = ROOT / ".uc" / "reports" / "coverage.xml"
    suites = ("tests/unit", "tests/git", *session.posargs)
    session.run("coverage", "run", "-m", "pytest", f"--junitxml={report}", *suites, env=in_memory())
    session.run("coverage", "report")


@nox.session
def setup(session: nox.Session) -> None:
    """The machine: environments made, broken, interrupted and made again; what the doctor says of bad machines."""
    locked(session)
    pytest(session, "tests/setup")


@nox.session(venv_backend="uv|venv" if IN_VENV else "venv", python=service_python())
@nox.parametrize("service", SERVICES)
def services(session: nox.Session, service: str) -> None:
    """A service's own types and tests, on the machine, in a venv of its own locks."""
    folder = ROOT / "docker" / service
    tests = folder / "tests"
    locks = [path for name in ("requirements.txt", "requirements-test.txt") if (path := folder / name).exists()]
    install(session, locks)
    search = list(dict.fromkeys([ROOT / "docker" / "python", folder]))
    environment = {"PYTHONPATH": os.pathsep.join(map(str, search))}
    if service == "powershell":
        environment |= powershell_environment(session)
    # A test, or a program in a folder beside the tests, imports its neighbours by their bare names.
    roots = [*search, tests, *sorted({path.parent for path in tests.glob("*/*.py")})]
    typed = environment | {
        "MYPYPATH": os.pathsep.join(map(str, roots)),
        # Their modules of equal names would push each other out of one cache.
        "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / f"service-{service}"),
    }
    packages = sorted({tests, *(path.parent for path in folder.glob("*/__init__.py"))})
    session.run("mypy", "--strict", *map(str, packages), env=typed)
    report = ROOT / ".uc" / "reports" / f"services-{service}.xml"
    session.run("python", "-m", "pytest", f"--junitxml={report}", str(tests), *session.posargs, env=environment)


@nox.session
def docker(session: nox.Session) -> None:
    """The toolkit against the real engine, a real registry and real git."""
    locked(session)
    pytest(session, "tests/docker")


@nox.session
def release(session: nox.Session) -> None:
    """Releases against a real registry and a real remote: each rule that other tools are known to break."""
    locked(session)
    pytest(session, "tests/release")


@nox.session
def fault(session: nox.Session) -> None:
    """Releases that are killed, that race, and whose registry or remote fails; `-- --kills 300` tries more."""
    locked(session)
    pytest(session, "tests/fault")


@nox.session
def deploy(session: nox.Session) -> None:
    """Releases deployed, rolled back, refused, killed and raced on real targets; `-- --kills 100` tries more."""
    locked(session)
    pytest(session, "tests/deploy")


@nox.session
def stack(session: nox.Session) -> None:
    """The six services as they really run: brought up once, asked, attacked, rotated, stopped; always down."""
    locked(session)
    pytest(session, "tests/stack")


@nox.session
def owner(session: nox.Session) -> None:
    """A rough tree, as owners have them, from the doctor to the plan of a release."""
    locked(session)
    pytest(session, "tests/owner")


@nox.session
def smoke(session: nox.Session) -> None:
    """Build if needed, up, smoke, down; always down."""
    locked(session, tests=False)
    session.run("invoke", "registry.up")
    try:
        # 13: a service can't be built here, by name and reason; the others are started and asked all the same.
        session.run("invoke", "build", "--push", success_codes=[0, 13])
        session.run("invoke", "secrets.init")
        session.run("invoke", "up")
        session.run("invoke", "smoke", *session.posargs)
        session.run("invoke", "build", "--push")  # nothing is left to build: who could not be built, fails the session
    finally:
        session.run("invoke", "down")


@nox.session
def deep(session: nox.Session) -> None:
    """Larger samples of rules that other sessions hold already, for a night: properties, kills and races."""
    locked(session)
    properties = ("-m", "hypothesis", "--hypothesis-profile", "deep", "--timeout", "0")
    session.run("python", "-m", "pytest", "tests/unit", *properties)
    suites = ("tests/release", "tests/fault", "tests/deploy", "tests/owner")
    pytest(session, *suites, "--deep", "--kills", "300", "--seed", "1000")


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios to floors and peers, measured in one run; never an assertion."""
    locked(session)
    session.run("python", "-m", "tests.bench.run", *session.posargs)


@nox.session
def reproducible(session: nox.Session) -> None:
    """Each image built twice without a common cache, and of two commits: equal, byte by byte; `-- SERVICE` for one."""
    locked(session)
    session.run("python", "-m", "tests.reproducible.run", *session.posargs)


@nox.session
def canary(session: nox.Session) -> None:
    """Builds, a release and a stack with a canary in every secret, and a search of all that they leave."""
    locked(session)
    session.run("python", "-m", "tests.canary.run", *session.posargs)


@nox.session
def pins(session: nox.Session) -> None:
    """Write every hash lock again from its .in file; look at the diff. A lock's header is the command that made it."""
    locked(session, tests=False)
    inputs = [*ROOT.glob("*.in"), *(path for folder in ("docker", "tests") for path in (ROOT / folder).glob("*/*.in"))]
    for path in sorted(inputs, key=lambda path: (path.parent, path.stem)):  # requirements before requirements-test
        source, lock = (one.relative_to(ROOT).as_posix() for one in (path, path.with_suffix(".txt")))
        runtime = path.with_name("requirements.txt")
        bounds = path.name == "requirements-test.in" and runtime.exists()
        # Options that Renovate's pip-compile manager knows, each with `=`: it runs the header's command.
        options = ["--universal", "--generate-hashes", "--python-version=3.11"]
        options += [f"--constraint={runtime.relative_to(ROOT).as_posix()}"] if bounds else []
        session.run("uv", "pip", "compile", "--quiet", *options, f"--output-file={lock}", source)
