"""Installs hash locks into an environment: with uv where it can be had, else with pip.

pip comes with Python, and is what people configure for their index, proxy and certificates. It fetches uv by its hash;
uv does the rest in a fraction of the time, under the same settings.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build import console, interrupts, variables
from build.config.workspace import Workspace
from build.errors import MissingTool, ToolFailed
from build.machine import pip_settings

# pip does not ask again for a download that stalls or breaks off in the middle; uv does. What came is in the cache.
_BROKE_OFF = re.compile(
    rb"Read timed out|Connection (broken|reset)|IncompleteRead|not enough bytes|DO NOT MATCH THE HASHES"
)
_SECONDS_BETWEEN_LOOKS = 0.3
_GRACE_SECONDS = 10
_SHOWN_LINES = 15
_PIP = ("--require-hashes", "--no-input", "--disable-pip-version-check")
HINT = "./inv again; a proxy or an index of your own is set for pip: HTTPS_PROXY, PIP_INDEX_URL, PIP_CERT"


def requirements(lock: str) -> dict[str, str]:
    """The requirements of a lock by their normalised names, each with its hashes."""
    blocks = [block for block in re.split(r"\n(?=\S)", lock) if block[:1].isalnum()]
    return {_normalised(re.split(r"[^\w.-]", block, maxsplit=1)[0]): f"{block.rstrip()}\n" for block in blocks}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Installer:
    """Installs into the environment of `python`; what pip and uv say goes into the workspace's setup log.

    The file descriptors `held` stay open in both: a lock on such a file is then theirs, too.
    """

    python: Path
    workspace: Workspace
    held: tuple[int, ...] = ()

    def synchronise(self, locks: Mapping[str, str]) -> None:
        """Make the environment hold what the locks name (file name → content), and nothing else.

        Raises ToolFailed with the end of the log when neither uv nor pip can, MissingTool when there is no pip.
        """
        self._forget_half_installed()
        wanted = {name: text for lock in locks.values() for name, text in requirements(lock).items()}
        pip = self._pip()
        settings = self._settings(pip)
        environment = pip_settings.for_pip(settings, os.environ)
        if "uv" in wanted:
            uv = self._uv(pip, wanted["uv"], environment)
            done = uv and self._with_uv(uv, locks, settings) and not self._forget_half_installed()
            if done and not self._lacking(wanted):
                return
            console.note("uv can't install them: pip does, which takes longer")
            locks = {name: _without_uv(lock) for name, lock in locks.items()}
        self._with_pip(pip, locks, environment)
        if surplus := sorted(self._installed() - wanted.keys()):
            self._run([*pip, "uninstall", "--yes", *surplus], environment)
        if half := self._forget_half_installed():
            raise self._failed(f"{', '.join(half)} could not be installed whole")
        if lacking := [name for name in self._lacking(wanted) if name != "uv"]:  # not every machine can have that
            raise self._failed(f"{', '.join(lacking)}: said to be installed, and not in {self.python.parent.parent}")

    def _uv(self, pip: Sequence[str], requirement: str, environment: Mapping[str, str]) -> str | None:
        """The path of the environment's uv, installed first where it lacks; None when it can't be had."""
        if "uv" not in self._installed():
            with self._files({"uv.txt": requirement}) as files:
                # Without a wheel it would be compiled, which takes a Rust compiler and minutes.
                self._run_again([*pip, "install", "--only-binary", ":all:", *_PIP, "-r", *files], environment)
        return shutil.which("uv", path=str(self.python.parent))

    def _with_uv(self, uv: str, locks: Mapping[str, str], settings: Mapping[str, str]) -> bool:
        options = ["--require-hashes", "--python", str(self.python), *pip_settings.uv_options(settings)]
        with self._files(locks) as files:
            return self._run([uv, "pip", "sync", *options, *files], pip_settings.for_uv(settings, os.environ))

    def _with_pip(self, pip: Sequence[str], locks: Mapping[str, str], environment: Mapping[str, str]) -> None:
        with self._files(locks) as files:
            sources = [word for file in files for word in ("-r", file)]
            if not self._run_again([*pip, "install", *_PIP, *sources], environment):
                raise self._failed(f"the packages of {' and '.join(locks)} could not be installed")

    def _failed(self, problem: str) -> ToolFailed:
        lines = self.workspace.setup_log.read_text(encoding="utf-8", errors="replace").splitlines()
        return ToolFailed(
            f"{problem} (all of it: {self.workspace.setup_log})", hint=HINT, output="\n".join(lines[-_SHOWN_LINES:])
        )

    @property
    def _packages(self) -> Path:
        return next(self.python.parent.parent.glob("Lib/site-packages" if os.name == "nt" else "lib/*/site-packages"))

    def _forget_half_installed(self) -> list[str]:
        """Take the metadata from packages that are not whole: they count as not installed then, and are put over."""
        half = list(_half_installed(self._packages))
        for metadata in half:
            shutil.rmtree(metadata)
        return [metadata.stem for metadata in half]

    def _installed(self) -> set[str]:
        return {_normalised(package.name) for package in importlib.metadata.distributions(path=[str(self._packages)])}

    def _lacking(self, wanted: Mapping[str, str]) -> list[str]:
        """What the environment should have and has not; a requirement with a marker may be for another system."""
        everywhere = {name for name, text in wanted.items() if ";" not in text.partition("\n")[0]}
        return sorted(everywhere - self._installed())

    def _pip(self) -> list[str]:
        """The words that start a pip for the environment. It needs none of its own: installing one takes seconds."""
        base: str = getattr(sys, "_base_executable", sys.executable)
        program = "import pip; print(pip.__path__[0])"
        done = subprocess.run([base, "-P", "-c", program], env=_plain(), capture_output=True, text=True, check=False)
        runner = Path(done.stdout.strip()) / "__pip-runner__.py"
        if done.returncode == 0 and runner.is_file():
            return [str(self.python), str(runner)]
        for wheel in _bundled_pips():
            return [str(self.python), str(wheel / "pip")]
        raise MissingTool(f"{base} has no pip", hint="sudo apt-get install python3-venv")

    def _settings(self, pip: Sequence[str]) -> dict[str, str]:
        environment = {**_plain(), "PIP_QUIET": "0"}
        done = subprocess.run([*pip, "config", "list"], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolFailed("pip can't read its configuration", hint="pip config debug", output=done.stderr)
        return pip_settings.read(done.stdout)

    @contextlib.contextmanager
    def _files(self, locks: Mapping[str, str]) -> Iterator[list[str]]:
        folder = self.workspace.setup_input
        shutil.rmtree(folder, ignore_errors=True)  # a killed set-up leaves it
        folder.mkdir()
        for name, lock in locks.items():
            (folder / name).write_text(lock, encoding="utf-8")
        try:
            yield [str(folder / name) for name in locks]
        finally:
            shutil.rmtree(folder)

    def _run_again(self, argv: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether the command went well, the second time at the latest where a download broke off."""
        begin = self.workspace.setup_log.stat().st_size
        if self._run(argv, environment):
            return True
        with self.workspace.setup_log.open("rb") as log:
            log.seek(begin)
            broke_off = _BROKE_OFF.search(log.read())
        if not broke_off:
            return False
        console.note("a download broke off: once more")
        return self._run(argv, environment)

    def _run(self, argv: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether the command went well. When this is interrupted, the command has ended before it is left."""
        inherited: dict[str, Any] = {} if os.name == "nt" else {"pass_fds": self.held}

        def start() -> subprocess.Popen[bytes]:
            try:
                return subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **inherited
                )
            except OSError as error:
                log.write(f"{argv[0]}: {error.strerror}\n".encode())
                raise _NotStarted from None

        with self.workspace.setup_log.open("ab") as log:
            try:
                with interrupts.started(start, _stop) as process:
                    self._watch(process)
            except _NotStarted:
                return False
        return process.returncode == 0

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Show the last line of the log until the process has ended."""
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_SECONDS_BETWEEN_LOOKS)
                console.passing(_last_line(self.workspace.setup_log))
        finally:
            console.passing("")


class _NotStarted(Exception):
    """The system can't execute the installer; the log says why."""


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    finally:
        process.kill()


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        return file.read().decode("utf-8", "replace").rstrip().rpartition("\n")[2].strip()


def _plain() -> dict[str, str]:
    return {name: value for name, value in variables.kept(os.environ).items() if not name.startswith("PYTHON")}


def _without_uv(lock: str) -> str:
    return "".join(text for name, text in requirements(lock).items() if name != "uv")


def _bundled_pips() -> Iterator[Path]:
    """The wheels that ensurepip would install; the first folder is a distribution's own."""
    ensurepip = importlib.util.find_spec("ensurepip")
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    folders += [Path(ensurepip.origin).with_name("_bundled")] if ensurepip and ensurepip.origin else []
    for folder in filter(None, folders):
        yield from sorted(Path(folder).glob("pip-*.whl"))


def _half_installed(packages: Path) -> Iterator[Path]:
    """The metadata of packages of which a file lacks or has another size: whoever installed them was killed."""
    for metadata in packages.glob("*.dist-info"):
        record = metadata / "RECORD"
        if not record.exists():
            yield metadata
            continue
        with record.open(encoding="utf-8", newline="") as rows:
            files = [(packages / row[0], row[2]) for row in csv.reader(rows) if len(row) == 3 and row[2]]
        if not all(path.is_file() and path.stat().st_size == int(size) for path, size in files):
            yield metadata
