"""The checkout that the audit builds, releases and runs, with a canary wherever it takes a secret."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from build import console
from build.config.load import load
from build.engine import client as docker
from tests.canary import search, signing_key
from tests.canary.canaries import MARK, REGISTRY_USER, value, write
from tests.canary.index import Index
from tests.canary.search import Found
from tests.support.own_engine import OwnEngine
from tests.support.project import Project

ROOT = Path(__file__).parents[2]
_ORIGIN = f"https://{value('git-user')}:p@5%{value('git-password')}@git.example/team/project.git"
_MODULE = "Unity-Claude-Canary"
_MANIFEST = """\
@{
    RootModule = 'Unity-Claude-Canary.psm1'
    ModuleVersion = '1.0.0'
    GUID = '3c2a4a68-7a5e-4f0e-9a55-0d2f7a3f4c11'
    RequiredModules = @('Canary-NobodyHas')
    FunctionsToExport = @()
}
"""


@dataclass(slots=True)
class Checkout:
    """A clone with settings of its own; what its commands print goes to files in `folder`/outputs."""

    root: Path
    folder: Path
    engine: OwnEngine
    problems: list[str] = field(default_factory=list)
    _ran: int = 0

    @classmethod
    def make(cls, source: Path, folder: Path, engine: OwnEngine, index: Index, cas: tuple[Path, Path]) -> Checkout:
        """Clone what is committed, hand out the canaries, and give the engine the bases."""
        for name in ("outputs", "tmp", "exports", "private", "docker"):
            (folder / name).mkdir()
        subprocess.run(["git", "init", "--quiet", "--bare", str(folder / "remote.git")], check=True)
        root = folder / "checkout"
        subprocess.run(["git", "clone", "--quiet", str(source), str(root)], check=True)
        checkout = cls(root, folder, engine)
        checkout.settings(index, *cas)
        search.also(signing_key.secrets(folder / "private"))
        for name, text in (("psd1", _MANIFEST), ("psm1", "# needs what nobody has\n")):
            Project(root).write(f"Modules/{_MODULE}/{_MODULE}.{name}", text)
        checkout._git("switch", "--quiet", "--force-create", "main")
        checkout._git("remote", "set-url", "origin", _ORIGIN)
        # The way to the remote is a folder: what is looked for is where its URL gets to.
        checkout._git("config", f"url.{folder}/remote.git.insteadOf", _ORIGIN)
        checkout._git("add", "--all", "Modules")
        checkout._git("commit", "--quiet", "--message=feat: a module that needs a repository")
        checkout._git("push", "--quiet", "origin", "main", "--tags")
        checkout._bases()
        return checkout

    def settings(self, index: Index, ca_of_index: Path, ca_of_registry: Path) -> None:
        """Write versions.local.toml, and files with a canary for each secret that it names or a service is given."""
        private = self.folder / "private"
        secrets = {
            "ca_bundle": write(private, "ca", f"# {value('ca-comment')}\n{ca_of_index.read_text()}"),
            "index_url": write(private, "index", f"https://{_login('index')}@{index.address}/simple\n"),
            "npmrc": write(
                private, "npmrc",
                f"registry=https://{index.address}/npm/\n//{index.address}/:_authToken={value('npm-token')}\n",
            ),
            "module_repository": write(private, "modules", f"https://{_login('modules')}@{index.address}/modules\n"),
        }  # fmt: skip
        password = write(private, "registry", value("registry-password"))
        lines = [
            f'[project]\nname = "uc-canary-{os.getpid()}"',
            f'[registry]\naddress = "{self.engine.registry}"\nembedded = false\nusername = "{REGISTRY_USER}"',
            f'password_file = "{password}"\nca_file = "{ca_of_registry}"',
            '[release]\nstand_ins = ["python", "node", "powershell"]\n[build_secrets]',
            *(f'{name} = "{path}"' for name, path in secrets.items()),
        ]
        archives = [str((ROOT / folder).resolve()) for folder in load(ROOT, os.environ).bases.archives]
        lines.append(f"[bases]\narchives = {json.dumps(archives)}\n[signing]\nrequired = true")
        lines += [f'{name} = "{path}"' for name, path in signing_key.make(private).items()]
        Project(self.root).write("versions.local.toml", "\n".join(lines) + "\n")
        runtime = self.root / ".uc" / "secrets"
        runtime.mkdir(parents=True, mode=0o700)
        for name in load(self.root, os.environ).secrets:
            write(runtime, name, value("runtime", name))

    def _bases(self) -> None:
        """Have the bases made by this machine's engine, and copied to the other one."""
        self.inv("bases", environment={"DOCKER_HOST": "", "TMPDIR": ""})
        bases = json.loads((self.root / ".uc" / "bases.json").read_text())
        images = [base["context"].removeprefix("docker-image://") for base in bases.values()]
        with subprocess.Popen([docker.docker(), "save", *images], stdout=subprocess.PIPE) as save:
            argv = [docker.docker(), "--host", self.engine.host, "load", "--quiet"]
            subprocess.run(argv, stdin=save.stdout, check=True, stdout=subprocess.DEVNULL)

    def work(self, services: Sequence[str]) -> list[str]:
        """Build, push, export the cache, release, run, and fail in two ways; what went otherwise than it should."""
        only = [word for service in services for word in ("--service", service)]
        self.inv("build", "--push", *only)
        self._export(services)
        self.inv("scan", *only, codes=(0, 5))
        if set(services) == set(load(self.root, {}).services):  # a release builds them all
            self.inv("release", "--skip-scan", "--skip-smoke")
            self._require_signed()
        self.inv("secrets.init")
        self.inv("up", *only, codes=(0, 6, 7, 13))
        self._look_at_containers()
        self.inv("down")
        self._refused(services)
        return self.problems

    def _require_signed(self) -> None:
        """A release that the key did not sign would prove nothing about the key."""
        argv = ["git", "-C", str(self.folder / "remote.git"), "tag", "--sort=-creatordate"]
        tags = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
        if tags:  # without one, the release has failed already
            self.inv("verify", tags[0].removeprefix("v"))

    def _export(self, services: Sequence[str]) -> None:
        """Export the cache to the registry, and images with all that provenance may say, from the last build's file."""
        settings = ["*.attest=type=provenance,mode=max"]
        for name in services:
            settings.append(f"{name}.output=type=oci,dest={self.folder / 'exports' / name}.tar")
            settings.append(f"{name}.cache-to=type=registry,ref={self.engine.registry}/cache/{name},mode=max")
        words = [word for setting in settings for word in ("--set", setting)]
        file = str(self.root / ".uc" / "bake.json")
        self._run([docker.docker(), "buildx", "bake", "--builder", "default", "--file", file, *words, *services])

    def _look_at_containers(self) -> None:
        argv = [docker.docker(), "ps", "--all", "--quiet"]
        listed = subprocess.run(argv, env=self._environment(), capture_output=True, text=True, check=True).stdout
        if not listed.split():
            self.problems.append("no container was started")
        for container in listed.split():
            for task in ("inspect", "logs", "top"):
                self._run([docker.docker(), task, container], codes=(0, 1))

    def lose_remote(self) -> None:
        """A release whose remote does not answer says so."""
        self._git("config", "--remove-section", f"url.{self.folder}/remote.git")
        self.inv("release", "--skip-scan", "--skip-smoke", codes=(3,))

    def _refused(self, services: Sequence[str]) -> None:
        """A build whose index refuses the password, and one whose registry does, say so."""
        local = self.root / "versions.local.toml"
        service = next((name for name in services if name != "powershell-modules"), services[0])
        index = self.folder / "private" / "index"
        index.write_text(index.read_text().replace(value("index-password"), value("index-password", "wrong")))
        self.inv("build", "--no-cache", "--service", service, codes=(13,))
        text = local.read_text()
        local.write_text(text.replace(f'"{self.folder}/private/registry"', f'"{self.folder}/private/npmrc"'))
        self.inv("build", "--push", "--service", service, codes=(4, 9, 10))

    def inv(self, *arguments: str, codes: Sequence[int] = (0,), environment: dict[str, str] | None = None) -> None:
        """Run a task, with all that it can print."""
        self._run(Project(self.root).command(*arguments), codes=codes, environment=environment)

    def _run(self, argv: Sequence[str], codes: Sequence[int] = (0,), environment: dict[str, str] | None = None) -> None:
        words = [word for word in argv if word.count("/") < 2 and len(word) < 40]
        self._ran += 1
        log = self.folder / "outputs" / f"{self._ran:02}-{'-'.join(words[-3:]).replace('/', '_')}"
        full = {name: text for name, text in (self._environment() | (environment or {})).items() if text}
        with log.open("wb") as output:
            done = subprocess.run(
                argv, cwd=self.root, env=full, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        if done.returncode not in codes:
            tail = log.read_text(errors="replace").replace(MARK, "CANARY:").splitlines()[-15:]
            console.error(f"{' '.join(words[-6:])}: exit code {done.returncode}", output="\n".join(tail))
            self.problems.append(f"{' '.join(words[-6:])}: exit code {done.returncode}")

    def _environment(self) -> dict[str, str]:
        return Project(self.root).environment() | {
            "DOCKER_HOST": self.engine.host, "DOCKER_CONFIG": str(self.folder / "docker"), "UC_VERBOSE": "1",
            "TMPDIR": str(self.folder / "tmp"),
        }  # fmt: skip

    def _git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
        subprocess.run(["git", "-C", str(self.root), *identity, *arguments], check=True)

    def objects(self) -> Found:
        """A search of every object that the remote has, and of its references."""
        git = ["git", "-C", str(self.folder / "remote.git")]
        found = Found()
        for name, argv in (
            ("objects", ["cat-file", "--batch-all-objects", "--batch"]),
            ("references", ["for-each-ref"]),
        ):
            found.read(name, subprocess.run([*git, *argv], capture_output=True, check=True).stdout)
        return found


def _login(kind: str) -> str:
    return f"{value(f'{kind}-user')}:{value(f'{kind}-password')}"
