"""The world of a release: a project in its clones, a bare repository as the remote, a registry; and what is public."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import MINIMAL, REPOSITORY, Project, Ran
from tests.docker.conftest import DOCKERFILE, add_server, reuse_bases

SERVICES = ("one", "two")
_IDENTITY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)
FAST = ("--skip-scan", "--skip-smoke")


@dataclass(frozen=True, slots=True)
class Public:
    """What anybody can see: the remote's tags (name → object), the registry's tags (repository:tag → digest)."""

    git: dict[str, str]
    images: dict[str, str]


class Hub:
    """What the registry holds, asked directly and not through the library."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(
            base_url=f"http://{address}", trust_env=False, headers={"Accept": _ACCEPT}, timeout=60
        )

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository."""
        answer = self._http.get(f"/v2/{repository}/tags/list?n=10000")
        return (answer.json().get("tags") or []) if answer.status_code == 200 else []

    def digest(self, repository: str, reference: str) -> str:
        """The digest of a tag; "" when it is not there."""
        answer = self._http.head(f"/v2/{repository}/manifests/{reference}")
        return answer.headers["Docker-Content-Digest"] if answer.status_code == 200 else ""

    def manifest(self, repository: str, reference: str) -> Any:
        """The manifest as JSON; None when it is not there."""
        answer = self._http.get(f"/v2/{repository}/manifests/{reference}")
        return answer.json() if answer.status_code == 200 else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        """The bytes of a blob; None when it is not there."""
        answer = self._http.get(f"/v2/{repository}/blobs/{digest}")
        return answer.content if answer.status_code == 200 else None

    def put(self, repository: str, tag: str, content: bytes, media_type: str) -> int:
        """Put a manifest as a stranger would; the status."""
        path = f"/v2/{repository}/manifests/{tag}"
        return self._http.put(path, content=content, headers={"Content-Type": media_type}).status_code

    def forget(self, repository: str, digest: str) -> int:
        """Delete a blob as a careless clean-up would; the status."""
        return self._http.delete(f"/v2/{repository}/blobs/{digest}").status_code

    def raw(self, repository: str, reference: str) -> tuple[bytes, str]:
        """The bytes of a manifest and their media type."""
        answer = self._http.get(f"/v2/{repository}/manifests/{reference}")
        return answer.content, answer.headers["Content-Type"]

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""
        return self._http.head(f"/v2/{repository}/blobs/{digest}").status_code == 200


@dataclass(slots=True)
class Clone:
    """A checkout of the project, and releases made in it as a person would."""

    project: Project
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        """Run git here."""
        return self.project.git(*arguments)

    def start(self, *arguments: str, **environment: str) -> Running:
        """Start an invoke task as a process in a session of its own."""
        return Running(self.project, arguments, self.environment | environment)

    def inv(self, *arguments: str, **environment: str) -> Ran:
        """Run an invoke task to its end."""
        return self.start(*arguments, **environment).wait()

    def release(self, *arguments: str, **environment: str) -> Ran:
        """`invoke release` without gates."""
        return self.inv("release", *FAST, *arguments, **environment)

    def commit(self, service: str, message: str = "fix: change") -> str:
        """Change one service and commit and push that."""
        file = self.project.root / "docker" / service / "content"
        file.write_text(file.read_text() + f"{time.time_ns()}\n")
        made = self.project.commit(message)
        if "origin" in self.git("remote"):
            self.git("push", "--quiet", "origin", "HEAD")
        return made


class Running:
    """A task that runs; its output is read line by line as it comes."""

    def __init__(self, project: Project, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.times: list[tuple[float, str]] = []
        self.stdout = ""
        self.started = time.monotonic()
        self._watch: tuple[str, Callable[[], object]] | None = None
        self.process = subprocess.Popen(
            project.command(*arguments),
            cwd=project.root,
            env=project.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._read_stderr, self._read_stdout)]
        for thread in self._threads:
            thread.start()

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            text = line.rstrip("\n")
            self.times.append((time.monotonic() - self.started, text))
            self.lines.append(text)
            if self._watch and text.startswith(self._watch[0]):
                act, self._watch = self._watch[1], None
                act()

    def _read_stdout(self) -> None:
        assert self.process.stdout is not None
        self.stdout = self.process.stdout.read()

    def when(self, start: str, act: Callable[[], object]) -> Running:
        """Do something the moment that a line with this start is printed."""
        self._watch = (start, act)
        for line in self.lines:
            if self._watch and line.startswith(start):
                self._watch = None
                act()
        return self

    def kill(self, *, children: bool = False) -> None:
        """`kill -9` of the process group; with `children` of the sessions below it too, as a container that ends."""
        below = _descendants(self.process.pid) if children else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self, timeout: float = 240) -> Ran:
        """Its exit code and output, when it has ended."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill(children=True)
            raise AssertionError("it hangs:\n" + "\n".join(self.lines)) from None
        for thread in self._threads:
            thread.join(20)
        for stream in (self.process.stderr, self.process.stdout):
            assert stream is not None
            stream.close()
        return Ran(code, self.stdout, "\n".join(self.lines) + "\n")

    @property
    def step(self) -> str:
        """The step that was begun last."""
        return next((line[2:] for line in reversed(self.lines) if line.startswith("» ")), "start")


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(folder.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


@dataclass(slots=True)
class World:
    """Everything around a release. `memory` is what invariants remember of what was public before."""

    folder: Path
    namespace: str
    address: str
    hub: Hub
    environment: dict[str, str]
    clones: list[Clone] = field(default_factory=list)
    memory: dict[str, str] = field(default_factory=dict)

    @property
    def remote(self) -> Path:
        """The bare repository."""
        return self.folder / "remote.git"

    @property
    def clone(self) -> Clone:
        """The first clone."""
        return self.clones[0]

    def another(self) -> Clone:
        """A fresh clone, as on another machine: no state, no tags that were not pushed."""
        root = self.folder / f"clone-{len(self.clones)}"
        subprocess.run(["git", "clone", "--quiet", str(self.remote), str(root)], check=True, env=os.environ | _IDENTITY)
        return self.adopt(root)

    def adopt(self, root: Path) -> Clone:
        """A checkout as one of this world's."""
        project = Project(root)
        project.git("config", "user.name", "Test")
        project.git("config", "user.email", "test@example.invalid")
        clone = Clone(project, self.environment)
        self.clones.append(clone)
        return clone

    def git_tags(self) -> dict[str, str]:
        """The remote's tags: name → object."""
        listed = _git(self.remote, "for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags")
        return dict(line.split() for line in listed.splitlines())

    def record(self, tag: str) -> Any:
        """The record that a tag on the remote carries; None for a tag without one."""
        message = _git(self.remote, "for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")
        start = message.find("\n{")
        return json.loads(message[start:]) if start >= 0 else None

    def record_bytes(self, tag: str) -> bytes:
        """The record's very bytes in the tag."""
        message = _git(self.remote, "cat-file", "tag", tag)
        return (message[message.index("\n{") + 1 :]).encode()

    def public(self) -> Public:
        """What anybody can see now."""
        images = {
            f"{name}:{tag}": digest
            for name in (*SERVICES, "release")
            for tag in self.hub.tags(f"{self.namespace}/{name}")
            # A registry whose disk was full lists tags that name nothing.
            if (digest := self.hub.digest(f"{self.namespace}/{name}", tag))
        }
        return Public(self.git_tags(), images)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | _IDENTITY, capture_output=True, text=True, check=True
    )
    return done.stdout


def make(
    folder: Path, namespace: str, address: str, hub: Hub, *, bases: dict[str, Any] | None = None, **settings: str
) -> World:
    """A world with one clone, in which nothing is released. `settings` go to [release].

    Its two services are a file each, or with `bases` (the record of the Python base) servers that gates can ask.
    """
    root = folder / "clone-0"
    root.mkdir(parents=True)
    shutil.copyfile(REPOSITORY / "tasks.py", root / "tasks.py")
    project = Project(root)
    text = MINIMAL.format(name=f"uct-{namespace}")
    text = text.replace('address = "127.0.0.1:5000"', f'address = "{address}"')
    text = text.replace('namespace = "test"', f'namespace = "{namespace}"')
    release = "".join(f"{key} = {value}\n" for key, value in settings.items())
    project.write("versions.toml", f"{text}\n[release]\n{release}")
    project.write(".gitignore", ".uc/\n__pycache__/\n")
    for number, name in enumerate(SERVICES):
        if bases:
            add_server(project, name, DOCKERFILE.replace("USER", "COPY content /content\nUSER"))
        else:
            project.service(name, 18980 + number, "FROM scratch\nCOPY content /content\n")
        project.write(f"docker/{name}/content", f"{name}\n")
    if bases:
        reuse_bases(project, bases)
    project.commit("feat: start")
    world = World(folder, namespace, address, hub, _IDENTITY | {"CI": "", "GITLAB_CI": "", "GITHUB_ACTIONS": ""})
    world.adopt(root)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", str(world.remote)], check=True)
    project.git("remote", "add", "origin", str(world.remote))
    project.git("push", "--quiet", "origin", "main")
    return world


def clean(text: str) -> bool:
    """Whether a failure was told plainly: a line that says what and no traceback."""
    return "Traceback" not in text and re.search(r"^error: ", text, re.M) is not None
