"""Three Docker nodes on one machine, each an engine in a network namespace of its own, and a registry that all reach.

    root namespace ── veth ── bridge in the hub's namespace ── veth ── node 1, 2, 3

Nothing here uses a default bridge: a second dockerd with one would take the first one's away. Names and the subnet
come from this process's id, so that several runs at once have their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from build.engine.hardening import UID
from tests.support.machine import lacking
from tests.support.own_engine import tiny_image, until
from tests.support.server import Registry

_PROGRAMS = ("docker", "dockerd", "nsenter", "unshare", "containerd", "runc", "ip", "iptables")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_SUBNET = f"10.{77 + os.getpid() // 250 % 100}.{os.getpid() % 250}"
_SERVER = r"""
$SIG{TERM} = sub { exit 0 }; $| = 1; print "serving\n";
socket(S, 2, 1, 0) and setsockopt(S, 1, 2, 1) and bind(S, pack("S n x12", 2, 8080)) and listen(S, 9) or die $!;
while (1) { next unless accept(C, S); sysread(C, $_, 4096); syswrite(C, "HTTP/1.0 200 OK\r\n\r\nhello"); close C }
"""
_AGAIN = ("update out of sequence", "leader status", "does not have a leader")
_HASH = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"  # of "secret"
_TAG = f"u{os.getpid() % 0xFFFFF:x}"  # an interface's name has 15 characters at most


@dataclass(frozen=True, slots=True)
class Node:
    """An engine in its own network namespace, below a folder."""

    number: int
    folder: Path

    @property
    def name(self) -> str:
        """Its host name, and that of its namespace."""
        return f"{_TAG}n{self.number}"

    @property
    def ip(self) -> str:
        """Its address, which this machine reaches, too."""
        return f"{_SUBNET}.1{self.number}"

    @property
    def host(self) -> str:
        """Its engine, as DOCKER_HOST takes it."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def is_up(self) -> bool:
        """Whether its engine was started and not ended."""
        return (self.folder / "docker.pid").exists()

    def docker(self, *arguments: str) -> str:
        """What `docker ARGUMENTS` prints; fails the test if it fails.

        A swarm refuses a change of what it changed itself since the command read it (a service just created gets its
        address then; moby/moby#30794), and every change while it has no leader: the command is run again, as people do.
        """
        done: subprocess.CompletedProcess[str]

        def is_judged() -> bool:
            nonlocal done
            done = self._docker(*arguments)
            return not any(sign in done.stderr for sign in _AGAIN)

        until(is_judged, 30, lambda: f"docker {' '.join(arguments)}: {done.stderr}")
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def containers(self, service: str) -> list[str]:
        """The running containers of a service on this node."""
        return self.docker("ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={service}").split()

    def ids(self) -> list[str]:
        """All its running containers."""
        return self.docker("ps", "--quiet").split()

    def start(self) -> None:
        """Start its engine, and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        options = {
            "features": {"containerd-snapshotter": True}, "bridge": "none", "hosts": [self.host],
            "insecure-registries": [f"{_SUBNET}.0/24", "127.0.0.0/8"],
            "data-root": f"{self.folder}/data", "exec-root": f"{self.folder}/exec",
            "pidfile": f"{self.folder}/docker.pid", "cgroup-parent": self._cgroup,
        }  # fmt: skip
        config = self.folder / "daemon.json"
        config.write_text(json.dumps(options))
        # Not `ip netns exec`: it remounts /sys.
        inner = f"hostname {self.name}; exec dockerd --config-file {config}"
        argv = ["setsid", "--fork", "nsenter", f"--net=/run/netns/{self.name}", "unshare", "--uts", "sh", "-c", inner]
        with (self.folder / "log").open("ab") as log:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, env=_environment())
        until(lambda: self._docker("info").returncode == 0, 60, lambda: (self.folder / "log").read_text()[-3000:])

    def stop(self) -> None:
        """Stop its engine and its containers in order."""
        self._end(signal.SIGTERM)
        self._end_rest()

    def kill(self) -> None:
        """End its engine and its containers at once, as a power cut does."""
        self._end(signal.SIGKILL)
        self._end_rest()

    def wait_ready(self, manager: Node) -> None:
        """Wait until its swarm counts on it again."""
        argv = ["docker", "--host", manager.host, "node", "inspect", self.name, "--format", "{{.Status.State}}"]

        def is_ready() -> bool:
            with contextlib.suppress(subprocess.TimeoutExpired):  # without a leader it takes 20 seconds to say so
                return subprocess.run(argv, capture_output=True, check=False, timeout=2).stdout.strip() == b"ready"
            return False

        until(is_ready, 90, lambda: manager._docker("node", "ls").stderr)

    def freeze(self, *, frozen: bool) -> None:
        """Have its engine answer nothing any more, or answer again."""
        os.kill(self._pid(), signal.SIGSTOP if frozen else signal.SIGCONT)

    def _end_rest(self) -> None:
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in ("docker.pid", "exec/containerd/containerd.pid"):
            (self.folder / name).unlink(missing_ok=True)  # their pids may be other programs' by now

    @property
    def _cgroup(self) -> str:
        return f"/{self.name}"

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [shutil.which("docker") or "docker", "--host", self.host, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def _pid(self) -> int:
        return int((self.folder / "docker.pid").read_text())

    def _end(self, sign: signal.Signals) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = self._pid()
            os.kill(pid, sign)
            os.kill(pid, signal.SIGCONT)
            until(lambda: not Path(f"/proc/{pid}/exe").exists(), 40, lambda: f"dockerd ({pid}) does not end")

    def _processes(self) -> Iterator[int]:
        """The processes of its engine, and those in its containers."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                texts = [(process / name).read_text(errors="replace") for name in ("cmdline", "cgroup")]
                if (f"{self.folder}/" in texts[0] or f"{self._cgroup}/" in texts[1]) and int(
                    process.name
                ) != os.getpid():
                    yield int(process.name)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Three nodes, in no swarm yet, and the registry."""

    all: tuple[Node, ...]
    registry: Registry

    @property
    def first(self) -> Node:
        """The one that starts a swarm."""
        return self.all[0]

    @property
    def running(self) -> tuple[Node, ...]:
        """Those whose engine is up."""
        return tuple(node for node in self.all if node.is_up)

    def swarm(self, *, members: int, managers: int) -> None:
        """Make a swarm of the first `members` nodes, the first `managers` of them managers."""
        self.first.docker("swarm", "init", "--advertise-addr", self.first.ip)
        for node in self.all[1:members]:
            role = "manager" if node.number <= managers else "worker"
            token = self.first.docker("swarm", "join-token", "--quiet", role)
            node.docker("swarm", "join", "--token", token, f"{self.first.ip}:2377")

    def secured(self, folder: Path) -> Registry:
        """Another registry with the same images, for the user `user` with the password `secret` alone; not started."""
        folder.mkdir()
        (folder / "htpasswd").write_text(f"user:{_HASH}\n")
        settings = f"auth:\n  htpasswd: {{ realm: test, path: {folder}/htpasswd }}\n"
        address = self.registry.address.replace(":5000", ":5001")
        return Registry(self.registry.program, folder, address, self.registry.storage, settings=settings)

    def image(self, name: str, *changes: str) -> str:
        """Make an image of sh, sleep, cat and perl in the registry, as `tiny_image` does; return NAME@DIGEST there.

        Without `changes`, as `docker import` takes them, it answers every HTTP request on port 8080.
        """
        folder = self.first.folder.parent / "images" / name
        for place in (folder, folder / "data"):
            place.mkdir(parents=True)
        os.chown(folder / "data", UID, UID)
        server = f"ENTRYPOINT {json.dumps(['perl', '-e', _SERVER])}"
        programs = ("sh", "sleep", "cat", "perl")
        reference = tiny_image(self.first, folder, name, programs=programs, changes=(server, *changes))
        return self._push(reference, name)

    def _push(self, reference: str, name: str) -> str:
        target = f"{self.registry.address}/test/{name}:1"
        self.first.docker("tag", reference, target)
        self.first.docker("push", "--quiet", target)
        digests = json.loads(self.first.docker("image", "inspect", target, "--format", "{{json .RepoDigests}}"))
        return str(next(digest for digest in digests if digest.startswith(f"{self.registry.address}/test/{name}@")))


@contextlib.contextmanager
def nodes(registry_program: str, count: int = 3) -> Iterator[Nodes]:
    """Running nodes and a running registry; removed at the end. Calls `lacking` where they can't be started."""
    if os.geteuid() != 0 or any(shutil.which(program, path=_PATH) is None for program in _PROGRAMS):
        lacking(f"needs root and {', '.join(_PROGRAMS)}")
    folder = Path(tempfile.mkdtemp(prefix="ucn-", dir="/var/tmp"))  # a socket's path has 108 bytes at most
    every = tuple(Node(number, folder / f"d{number}") for number in range(1, count + 1))
    registry = Registry(registry_program, folder / "registry", f"{_SUBNET}.254:5000", folder / "registry" / "storage")
    try:
        _connect(every)
        registry.start()
        for node in every:
            node.start()
        yield Nodes(every, registry)
    finally:
        for node in every:
            node.kill()
        registry.stop()
        _remove(every, folder)


def _connect(every: tuple[Node, ...]) -> None:
    """Make the namespaces, and the bridge between them and this one."""
    hub = f"{_TAG}hub"
    _ip("netns", "add", hub)
    _ip("-n", hub, "link", "add", "br0", "type", "bridge")
    _ip("-n", hub, "link", "set", "br0", "up")
    _ip("link", "add", f"{_TAG}r", "type", "veth", "peer", "name", "root", "netns", hub)
    _ip("-n", hub, "link", "set", "root", "master", "br0", "up")
    _ip("address", "add", f"{_SUBNET}.254/24", "dev", f"{_TAG}r")
    _ip("link", "set", f"{_TAG}r", "up")
    for node in every:
        _ip("netns", "add", node.name)
        _ip("-n", node.name, "link", "set", "lo", "up")
        _ip("link", "add", f"v{node.number}", "netns", hub, "type", "veth", "peer", "name", "eth0", "netns", node.name)
        _ip("-n", hub, "link", "set", f"v{node.number}", "master", "br0", "up")
        _ip("-n", node.name, "address", "add", f"{node.ip}/24", "dev", "eth0")
        _ip("-n", node.name, "link", "set", "eth0", "up")
        _ip("-n", node.name, "route", "add", "default", "via", f"{_SUBNET}.254")


def _remove(every: tuple[Node, ...], folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounts if place.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)
    for name in (*(node.name for node in every), f"{_TAG}hub"):
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True, env=_environment())
    subprocess.run(["ip", "link", "delete", f"{_TAG}r"], check=False, capture_output=True, env=_environment())
    shutil.rmtree(folder, ignore_errors=True)
    for node in every:
        for group in sorted(Path("/sys/fs/cgroup").glob(f"**{node._cgroup}/**/"), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, env=_environment())


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": _PATH}
