"""The world of a release: a project's clones, a bare repository as the remote, a registry; and what is public."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hub import Hub
from tests.support.project import MINIMAL, PYTHON, REPOSITORY, Project, Ran
from tests.support.running import Running
from tests.support.stack import DOCKERFILE, add_server, reuse_bases

SERVICES = ("one", "two")
_IDENTITY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
FAST = ("--skip-scan", "--skip-smoke")


@dataclass(frozen=True, slots=True)
class Public:
    """What is public: the remote's tags (name → object), the registry's tags (repository:tag → digest)."""

    git: dict[str, str]
    images: dict[str, str]


@dataclass(slots=True)
class Clone:
    """A checkout of the project, in which releases run as a user would run them."""

    project: Project
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        """Run git in this clone."""
        return self.project.git(*arguments)

    def start(self, *arguments: str, **environment: str) -> Running:
        """Start an invoke task as a process in its own session."""
        return Running(self.project, arguments, self.environment | environment)

    def inv(self, *arguments: str, **environment: str) -> Ran:
        """Run an invoke task to completion."""
        return self.start(*arguments, **environment).wait()

    def release(self, *arguments: str, **environment: str) -> Ran:
        """Run `invoke release` without gates."""
        return self.inv("release", *FAST, *arguments, **environment)

    def commit(self, service: str, message: str = "fix: change") -> str:
        """Change one service, commit and push."""
        file = self.project.root / "docker" / service / "content"
        file.write_text(file.read_text() + f"{time.time_ns()}\n")
        return self.share(message)

    def touch(self, message: str = "fix: nothing in the images") -> str:
        """Commit a change that no image sees, and push."""
        self.project.write("NOTES", f"{time.time_ns()}\n")
        return self.share(message)

    def share(self, message: str) -> str:
        """Commit what was changed, and push the branch if there is a remote."""
        commit = self.project.commit(message)
        if "origin" in self.git("remote"):
            self.git("push", "--quiet", "origin", "HEAD")
        return commit


@dataclass(slots=True)
class World:
    """Everything around a release.

    `memory` is where invariants remember what was public before, `forgotten` the versions that the registry lost.
    """

    folder: Path
    namespace: str
    address: str
    hub: Hub
    environment: dict[str, str]
    clones: list[Clone] = field(default_factory=list)
    memory: dict[str, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    @property
    def remote(self) -> Path:
        """The bare repository."""
        return self.folder / "remote.git"

    @property
    def clone(self) -> Clone:
        """The first clone."""
        return self.clones[0]

    def another(self) -> Clone:
        """Return a fresh clone, as on another machine: no state, no unpushed tags."""
        root = self.folder / f"clone-{len(self.clones)}"
        subprocess.run(["git", "clone", "--quiet", str(self.remote), str(root)], check=True, env=os.environ | _IDENTITY)
        return self.adopt(root)

    def adopt(self, root: Path) -> Clone:
        """Register an existing checkout as one of this world's clones."""
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
        """The record in a tag on the remote, or None for a tag without one."""
        message = _git(self.remote, "for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")
        start = message.find("\n{")
        return json.loads(message[start:]) if start >= 0 else None

    def signed(self, tag: str) -> set[tuple[str, str]]:
        """What the signatures in a tag on the remote are of: repository (below the namespace) and digest."""
        message = _git(self.remote, "for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")
        lines = [line.split() for line in message.partition("\n{")[0].splitlines()]
        return {(line[1].removeprefix(f"{self.namespace}/"), line[2]) for line in lines if line[:1] == ["signature"]}

    def forget(self, version: str, repositories: Collection[str] = (*SERVICES, "release")) -> None:
        """Delete what a version names in the registry, as a clean-up policy does; what other versions share, too."""
        lost = {}
        for name in repositories:
            repository = f"{self.namespace}/{name}"
            if digest := self.hub.digest(repository, version):
                assert self.hub.delete(repository, digest) == 202
                lost[name] = digest
        self.forgotten |= {
            tag.removeprefix("v")
            for tag in self.git_tags()
            if (record := self.record(tag))
            and (
                any(record["services"][name]["digest"] == digest for name, digest in lost.items() if name in SERVICES)
                or record["version"] == version
            )
        }

    def git_file(self, commit: str, path: str) -> bytes:
        """The bytes of a file in a commit on the remote."""
        command = ["git", "cat-file", "blob", f"{commit}:{path}"]
        return subprocess.run(
            command, cwd=self.remote, env=os.environ | _IDENTITY, capture_output=True, check=True
        ).stdout

    def record_bytes(self, tag: str) -> bytes:
        """The record's exact bytes in the tag."""
        message = _git(self.remote, "cat-file", "tag", tag)
        return (message[message.index("\n{") + 1 :]).encode()

    def public(self) -> Public:
        """Return what is public now."""
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


def begin(folder: Path, namespace: str, address: str) -> tuple[Project, str]:
    """The first clone of a world, with the tasks alone; and the text that its versions.toml begins with."""
    root = folder / "clone-0"
    root.mkdir(parents=True)
    shutil.copyfile(REPOSITORY / "tasks.py", root / "tasks.py")
    text = MINIMAL.format(name=f"uct-{namespace}", python=PYTHON)
    text = text.replace('address = "127.0.0.1:5000"', f'address = "{address}"')
    return Project(root), text.replace('namespace = "test"', f'namespace = "{namespace}"')


def make(
    folder: Path, namespace: str, address: str, hub: Hub, *, bases: dict[str, Any] | None = None, **settings: str
) -> World:
    """Create a world with one clone, in which nothing is released yet. `settings` go to [release].

    Its two services are one file each, or with `bases` (the record of the Python base) servers that gates can check.
    """
    project, text = begin(folder, namespace, address)
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
    return attach(folder, namespace, address, hub)


def attach(folder: Path, namespace: str, address: str, hub: Hub) -> World:
    """Make a world around the committed project in `folder`/clone-0: a bare remote that its branch is pushed to."""
    world = World(folder, namespace, address, hub, _IDENTITY | {"CI": "", "GITLAB_CI": "", "GITHUB_ACTIONS": ""})
    project = world.adopt(folder / "clone-0").project
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", str(world.remote)], check=True)
    project.git("remote", "add", "origin", str(world.remote))
    project.git("push", "--quiet", "origin", "main")
    return world


def clean(text: str) -> bool:
    """Whether a failure was reported properly: an error line and no traceback."""
    return "Traceback" not in text and re.search(r"^error: ", text, re.M) is not None
