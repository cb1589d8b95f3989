"""A Docker engine of a test's own, in a network namespace of its own: to be killed, and nobody else's concern."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.machine import lacking

_PROGRAMS = ("dockerd", "nsenter", "containerd", "runc", "ip")
_CGROUP = f"/uc-test-{os.getpid()}"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Docker(Protocol):
    """An engine that a test can give commands to."""

    def docker(self, *arguments: str) -> str:
        """What `docker ARGUMENTS` prints; fails the test if it fails."""


@dataclass(frozen=True, slots=True)
class OwnEngine:
    """An engine below a folder; its containers have networks without any way out.

    With a `link`, this machine and the engine's namespace reach each other: `address` is the engine's, `machine` ours.
    With `builds`, the steps of a build reach this machine, too: at `machine`, which is also their name server.
    """

    folder: Path
    link: int = 0
    builds: bool = False

    @property
    def address(self) -> str:
        """Where this machine reaches what the engine publishes."""
        return f"10.79.{self.link}.2"

    @property
    def machine(self) -> str:
        """Where the engine reaches this machine."""
        return f"10.79.{self.link}.1"

    @property
    def host(self) -> str:
        """Its address, as DOCKER_HOST takes it."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def registry(self) -> str:
        """Where the engine expects a registry without TLS on this machine."""
        return f"{self.machine}:5000"

    @property
    def tcp(self) -> str:
        """Its address over the link, as DOCKER_HOST takes it."""
        return f"tcp://{self.address}:2375"

    @property
    def _bridge(self) -> str:
        """The network of its containers, without the last number."""
        return f"10.80.{self.link}"

    def docker(self, *arguments: str) -> str:
        """What `docker ARGUMENTS` prints; fails the test if it fails."""
        argv = [shutil.which("docker") or "docker", "--host", self.host, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self) -> None:
        """Start the engine in its network namespace, and wait until it answers."""
        options = {
            "features": {"containerd-snapshotter": True},
            "iptables": False,
            "ip6tables": False,
            **({"bip": f"{self._bridge}.1/24", "dns": [self.machine]} if self.builds else {"bridge": "none"}),
            "insecure-registries": [self.registry] if self.link else [],
        }
        (self.folder / "daemon.json").write_text(json.dumps(options))
        argv = [
            "setsid", "--fork", "nsenter", f"--net=/run/netns/{self.folder.name}", "dockerd",
            "--config-file", str(self.folder / "daemon.json"), "--host", self.host,
            *(("--host", self.tcp, "--tls=false") if self.link else ()),
            "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
            "--pidfile", str(self.folder / "docker.pid"), "--cgroup-parent", _CGROUP,
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, env=os.environ | {"PATH": _PATH}
            )
        until(self._answers, 60, lambda: (self.folder / "log").read_text()[-3000:])

    def kill(self, *, everything: bool) -> None:
        """End the engine by SIGKILL, or `everything`: containerd and the containers too, as a power cut does."""
        self._end(signal.SIGKILL)
        for pid in _processes(str(self.folder)) if everything else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in ("docker.pid", "exec/containerd/containerd.pid"):
            (self.folder / name).unlink(missing_ok=True)  # their pids may be other programs' by now

    def stop(self) -> None:
        """Remove every container, and stop the engine in order."""
        with contextlib.suppress(AssertionError):
            if containers := self.docker("ps", "--all", "--quiet").split():
                self.docker("rm", "--force", *containers)
        self._end(signal.SIGTERM)
        for pid in _processes(str(self.folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _answers(self) -> bool:
        argv = ["docker", "--host", self.host, "info"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def _end(self, sign: signal.Signals) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int((self.folder / "docker.pid").read_text())
            os.kill(pid, sign)
            until(lambda: not Path(f"/proc/{pid}/exe").exists(), 30, lambda: f"dockerd ({pid}) does not end")


def _processes(folder: str) -> list[int]:
    """The processes of the engine with this folder, and those in its containers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            texts = [(process / name).read_text(errors="replace") for name in ("cmdline", "cgroup")]
            if (folder in texts[0] or _CGROUP in texts[1]) and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found


def until(holds: Callable[[], bool], seconds: float, explain: Callable[[], str]) -> None:
    """Wait until a condition holds; fail the test with an explanation if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def startable() -> str:
    """Why no engine of its own can be started here; "" if one can."""
    able = os.geteuid() == 0 and all(shutil.which(program, path=_PATH) for program in _PROGRAMS)
    return "" if able else f"needs root and {', '.join(_PROGRAMS)}"


@contextlib.contextmanager
def own_engine(*, linked: bool = False, builds: bool = False) -> Iterator[OwnEngine]:
    """A running engine of its own; stopped and removed at the end. Calls `lacking` where none can be started.

    If `linked`, a cable between its network namespace and this machine's takes requests and pulls; if it `builds`, also
    those of a build's steps.
    """
    if problem := startable():
        lacking(problem)
    folder = Path(tempfile.mkdtemp(prefix="uce-", dir="/var/tmp"))  # a socket's path has 108 bytes at most
    engine = OwnEngine(folder, 1 + os.getpid() % 250 if linked or builds else 0, builds)
    _run("ip", "netns", "add", folder.name)
    try:
        _run("ip", "-n", folder.name, "link", "set", "lo", "up")
        if engine.link:
            _connect(engine)
        engine.start()
        yield engine
    finally:
        engine.stop()
        _run("ip", "netns", "delete", folder.name)
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)
        for group in sorted(Path("/sys/fs/cgroup").glob(f"**{_CGROUP}/**/"), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()


def _connect(engine: OwnEngine) -> None:
    """Lay a cable from the engine's namespace to this one; it goes with the namespace."""
    name = engine.folder.name
    ours = f"uce{engine.link}"
    _run("ip", "link", "add", ours, "type", "veth", "peer", "name", "eth0", "netns", name)
    _run("ip", "address", "add", f"{engine.machine}/24", "dev", ours)
    _run("ip", "link", "set", ours, "up")
    _run("ip", "-n", name, "address", "add", f"{engine.address}/24", "dev", "eth0")
    _run("ip", "-n", name, "link", "set", "eth0", "up")
    if engine.builds:
        _run("ip", "route", "add", f"{engine._bridge}.0/24", "via", engine.address)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, env=os.environ | {"PATH": _PATH})


def _unmount(folder: Path) -> None:
    """Unmount what a killed engine left."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounts if place.startswith(str(folder))), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def tiny_image(
    engine: Docker,
    folder: Path,
    name: str,
    *,
    programs: Sequence[str] = ("sh", "sleep", "cat"),
    changes: Sequence[str] = (),
) -> str:
    """Import an image with programs of this machine; return NAME@DIGEST.

    It is healthy while it runs, unless `changes`, as `docker import` takes them, say otherwise.
    """
    paths = [path for name in programs if (path := shutil.which(name))]
    listed = subprocess.run(["ldd", *paths], capture_output=True, text=True, check=True).stdout
    libraries = {word for word in listed.replace(":", " ").split() if word.startswith("/") and ".so" in word}
    for path in {*paths, *libraries}:
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    archive = folder.with_suffix(".tar")
    subprocess.run(["tar", "--create", "--file", str(archive), "--directory", str(folder), "."], check=True)
    usual = (
        'ENTRYPOINT ["sh", "-c", "trap \'exit 0\' TERM; while :; do sleep 0.2; done"]',
        'HEALTHCHECK --interval=1s --start-interval=0.2s CMD ["sh", "-c", "true"]',
        f"ENV PATH={':'.join(sorted({str(Path(program).parent) for program in paths}))}",
    )
    options = [part for change in (*usual, *changes) for part in ("--change", change)]
    digest = engine.docker("import", *options, str(archive), f"{name}:1")
    return f"{name}@{digest}"
