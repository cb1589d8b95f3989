"""Stand-ins for base images that can't be reached: a Debian minbase, then one small image for each on top of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.config.manifest import BaseImage, Manifest
from build.engine import client as docker
from build.errors import BaseUnavailable, MissingTool, ToolFailed
from build.images import secrets
from build.process import run

LABEL = "org.unity-claude.stand-in"
_ROOT = "uc-base/debian"
# No manual pages, translations or docs: half the size, and nothing a service reads.
_EXCLUDE = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, kw_only=True, slots=True)
class StandIn:
    """One stand-in to build: its local image name, the base it stands for, the checked archive it needs."""

    name: str
    base: BaseImage
    archive: Path | None


def recipe(suite: str, base: BaseImage) -> str:
    """A hash of what a stand-in of `base` is made of."""
    return hashlib.sha256("\0".join((suite, *base.packages, base.archive, base.archive_sha256)).encode()).hexdigest()


def debian_mirror(sources: Path = Path("/etc/apt")) -> str:
    """The address of the Debian mirror in the machine's own apt sources.

    Raises BaseUnavailable on a machine whose apt knows no Debian mirror.
    """
    files = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]
    for path in files:
        if not path.is_file():
            continue
        for match in re.finditer(r"^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(https?://\S+)", path.read_text(), re.MULTILINE):
            if re.search(r"/debian/?$", match.group(1)):
                return match.group(1)
    message = "stand-ins are made of Debian packages, and this machine's apt sources name no Debian mirror"
    raise BaseUnavailable(message, hint="set [bases] mirror or archives in versions.local.toml")


def build(manifest: Manifest, targets: Mapping[str, StandIn]) -> None:
    """Build every stand-in in one bake invocation, and the Debian root below them when it is not there yet.

    Raises BaseUnavailable, MissingTool or ToolFailed.
    """
    root = f"{_ROOT}:{manifest.bases.suite}"
    try:
        docker.cli("image", "inspect", "--format", "{{.Id}}", root)
    except ToolFailed:
        _make_root(manifest, root)
    with tempfile.TemporaryDirectory(prefix="uc-stand-in-") as folder:
        bake = {"target": {key: _target(Path(folder), root, key, one) for key, one in targets.items()}}
        definition = Path(folder) / "bake.json"
        definition.write_text(json.dumps(bake))
        secret = secrets.path(manifest, "ca_bundle")
        with console.waiting(f"building stand-ins: {', '.join(targets)}"):
            docker.cli(
                "buildx", "bake", "--file", str(definition), "--progress", "plain",
                "--set",
                f"*.secrets=id=ca_bundle,src={secret}",
                *targets,
            )  # fmt: skip


def _target(folder: Path, root: str, key: str, one: StandIn) -> dict[str, object]:
    context = folder / key
    context.mkdir()
    lines = [
        "FROM root",
        "RUN --mount=type=secret,id=ca_bundle \\",
        "    if [ -s /run/secrets/ca_bundle ]; then set -- -o Acquire::https::CAInfo=/run/secrets/ca_bundle; fi; \\",
        '    apt-get "$@" -qq update \\',
        '    && DEBIAN_FRONTEND=noninteractive apt-get "$@" -qq install -y --no-install-recommends \\',
        f"       {' '.join(one.base.packages)} \\",
        "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/cache/debconf/*-old",
    ]
    if one.archive:
        shutil.copyfile(one.archive, context / one.archive.name)
        lines.append(f"ADD {one.archive.name} /")
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    return {
        "context": str(context),
        "contexts": {"root": f"docker-image://{root}"},
        "tags": [one.name],
        "labels": {LABEL: one.base.reference},
        "attest": ["type=provenance,disabled=true"],
    }


def _make_root(manifest: Manifest, name: str) -> None:
    suite, mirror = manifest.bases.suite, debian_mirror()
    with (
        tempfile.TemporaryDirectory(prefix="uc-debian-") as folder,
        console.waiting(f"making {name} from Debian packages"),
    ):
        archive = Path(folder) / "root.tar"
        run(
            [
                *_mmdebstrap(manifest),
                "--variant=minbase",
                "--include=ca-certificates",
                *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDE),
                *([f"--keyring={_KEYRING}"] if _KEYRING.exists() else []),
                suite,
                str(archive),
                mirror,
            ],
            cwd=Path(folder),
            timeout=1200,
        )
        docker.cli("import", "--change", f"LABEL {LABEL}=debian:{suite}", str(archive), name)


def _mmdebstrap(manifest: Manifest) -> list[str]:
    """The command that makes a Debian root: the installed one, else one unpacked from its package."""
    if shutil.which("mmdebstrap"):
        return ["mmdebstrap"]
    unpacked = manifest.workspace.tools / "mmdebstrap"
    program = unpacked / "usr/bin/mmdebstrap"
    if not program.exists():
        if not shutil.which("apt-get"):
            message = "stand-ins are made with mmdebstrap, which needs Debian or Ubuntu"
            raise MissingTool(message, hint="set [bases] mirror or archives in versions.local.toml")
        unpacked.mkdir(parents=True, exist_ok=True)
        run(["apt-get", "download", "mmdebstrap"], cwd=unpacked, timeout=300, hint="apt-get update")
        package = next(unpacked.glob("mmdebstrap_*.deb"))
        run(["dpkg-deb", "--extract", str(package), str(unpacked)])
    return ["perl", str(program)]
