"""Stand-ins for base images that can't be reached: a minimal Debian, and a small image on top of it for each base."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from build import console
from build.config.manifest import BaseImage, Manifest
from build.engine import apt, root
from build.engine import client as engine
from build.errors import BaseUnavailable, MissingTool
from build.images import bake_file, inspect, secrets
from build.images.bake_file import Target
from build.images.references import local_name
from build.parallel import alive
from build.process import run
from build.waiting import waiting

LABEL = "org.unity-claude.stand-in"
SUITES_LABEL = "org.unity-claude.stand-in.suites"
_ROOT = "uc-base/debian"
# Manual pages, translations and documentation are half the size, and no service reads them.
_EXCLUDE = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")
_FOLDERS = "uc-stand-in-"
_PROBE_SECONDS = 30
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, kw_only=True, slots=True)
class StandIn:
    """A stand-in to build: its local image name, the base it replaces, the verified archive that it is made from."""

    name: str
    base: BaseImage
    archive: Path | None


def name(manifest: Manifest, base: BaseImage) -> str:
    """The name of a stand-in in the engine, by its recipe: checkouts with other settings have others."""
    return f"{local_name(base.reference)}-{recipe(manifest.bases.suite, base)[:8]}"


def recipe(suite: str, base: BaseImage) -> str:
    """A hash of what a stand-in for `base` is made of."""
    parts = (_root(suite), *base.packages, base.archive, base.archive_sha256)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _root(suite: str) -> str:
    """The name of the Debian that stand-ins share, by the recipe that it is made by."""
    parts = (suite, *_suites(suite), *_EXCLUDE)
    return f"{_ROOT}:{suite}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:8]}"


def _suites(suite: str) -> tuple[str, str]:
    """The suites with the updates of a release: what was fixed since its last point release is in these alone."""
    return f"{suite}-updates", f"{suite}-security"


def find_archive(manifest: Manifest, base: BaseImage) -> Path | None:
    """The verified archive that a stand-in for `base` is made from; None when it needs none.

    Raises BaseUnavailable when there is no recipe for it, when no archive folder has the file, or when its hash is not
    the one in the manifest.
    """
    if not base.archive:
        return None
    if not base.packages:
        raise BaseUnavailable("no stand-in recipe (packages) in versions.toml")
    for folder in manifest.bases.archives:
        path = manifest.root / folder / base.archive
        if not path.is_file():
            continue
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
        if base.archive_sha256 and actual != base.archive_sha256:
            raise BaseUnavailable(f"{path} has sha256 {actual}, versions.toml wants {base.archive_sha256}")
        return path
    searched = ", ".join(manifest.bases.archives) or "no folder is set"
    raise BaseUnavailable(f"stand-in: {base.archive} is in no archive folder (searched: {searched}; [bases] archives)")


def build(manifest: Manifest, stand_ins: Mapping[str, StandIn], *, fresh: bool = False) -> None:
    """Build the stand-ins, by key, in one bake invocation, and first the Debian that they share if it is missing.

    `fresh` makes that Debian again, with the packages of today.

    Raises BaseUnavailable, MissingTool, SecretError or ToolFailed.
    """
    root = _root(manifest.bases.suite)
    _sweep()
    if fresh or root not in inspect.digests(inspect.inspect([root]), [root]):
        _make_root(manifest, root)
    secret = f"id=ca_bundle,src={secrets.path(manifest, 'ca_bundle')}"
    with _temporary("stand-in") as folder:
        targets = {key: _target(folder / key, root, secret, stand_in) for key, stand_in in stand_ins.items()}
        definition = folder / "bake.json"
        bake_file.write(definition, {"group": {"default": {"targets": [*stand_ins]}}, "target": targets})
        with waiting(f"building stand-ins: {', '.join(stand_ins)}"):
            engine.cli(
                "buildx",
                "bake",
                "--builder",
                engine.BUILDER,
                "--file",
                str(definition),
                "--progress",
                "plain",
            )


def _target(context: Path, root: str, secret: str, stand_in: StandIn) -> Target:
    context.mkdir()
    transfers = " ".join(apt.options())
    lines = [
        "FROM root",
        "RUN --mount=type=secret,id=ca_bundle \\",
        "    if [ -s /run/secrets/ca_bundle ]; then set -- -o Acquire::https::CAInfo=/run/secrets/ca_bundle; fi; \\",
        f'    apt-get "$@" {transfers} -qq update \\',
        f'    && DEBIAN_FRONTEND=noninteractive apt-get "$@" {transfers} -qq upgrade -y \\',
        f'    && DEBIAN_FRONTEND=noninteractive apt-get "$@" {transfers} -qq install -y --no-install-recommends \\',
        f"       {' '.join(stand_in.base.packages)} \\",
        "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/cache/debconf/*-old",
    ]
    if stand_in.archive:
        shutil.copyfile(stand_in.archive, context / stand_in.archive.name)
        lines.append(f"ADD {stand_in.archive.name} /")
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    return {
        "context": str(context),
        "contexts": {"root": f"docker-image://{root}"},
        "secret": [secret],
        "tags": [stand_in.name],
        "labels": {LABEL: stand_in.base.reference},
        "attest": ["type=provenance,disabled=true"],
    }


def _make_root(manifest: Manifest, name: str) -> None:
    suite = manifest.bases.suite
    lines = _archives(suite)
    with _temporary("debian") as folder, waiting(f"making {name} from Debian packages"):
        archive = folder / "root.tar"
        run(
            [
                *_mmdebstrap(manifest),
                "--variant=minbase",
                "--include=ca-certificates",
                *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDE),
                *(
                    f"--aptopt={key} {json.dumps(value)}"
                    for key, _, value in (one.partition("=") for one in apt.TRANSFERS)
                ),
                *([f"--keyring={_KEYRING}"] if _KEYRING.exists() else []),
                suite,
                str(archive),
                *lines,
            ],
            cwd=folder,
            # Another user, which builds the root where this one is not root, could not enter the folder.
            env={"TMPDIR": str(folder)} if root.is_root() else None,
            timeout=1200,
        )
        suites = " ".join(line.split()[2] for line in lines)
        labels = (f"LABEL {LABEL}=debian:{suite}", f'LABEL {SUITES_LABEL}="{suites}"')
        engine.cli("import", *(part for label in labels for part in ("--change", label)), str(archive), name)


def _archives(suite: str) -> list[str]:
    """The lines of sources.list(5) for the suite and its updates; warns of security updates that no mirror has.

    Raises BaseUnavailable when the machine's apt sources name no mirror.
    """
    mirror, security = apt.debian_mirror(), apt.security_mirror()
    if mirror is None:
        message = "stand-ins are made of Debian packages, and this machine's apt sources name no Debian mirror"
        raise BaseUnavailable(message, hint="set [bases] mirror or archives in versions.local.toml")
    archives = [(mirror, suite)]
    for address, updates in zip((mirror, security), _suites(suite), strict=True):
        if address and _serves(address, updates):
            archives.append((address, updates))
        elif address == security:
            console.warn(
                f"{address} does not serve {updates}: stand-ins lack Debian's security updates, and the record says so"
            )
    return [f"deb {address} {name} main" for address, name in archives]


def _serves(mirror: str, suite: str) -> bool:
    """Whether the mirror has the suite; one that does not answer has none."""
    import httpx

    url = f"{mirror.rstrip('/')}/dists/{suite}/InRelease"
    try:
        context = ssl.create_default_context()
        return httpx.head(url, follow_redirects=True, timeout=_PROBE_SECONDS, verify=context).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


@contextlib.contextmanager
def _temporary(purpose: str) -> Iterator[Path]:
    """A temporary folder whose name has this process's pid, for `_sweep`."""
    with tempfile.TemporaryDirectory(prefix=f"{_FOLDERS}{purpose}-{os.getpid()}-") as folder:
        yield Path(folder)


def _sweep() -> None:
    """Remove the temporary folders of runs that were killed; a Debian root in one has hundreds of megabytes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*-*-*"):
        owner = folder.name.split("-")[-2]
        if owner.isdigit() and not alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def packages(image: str) -> dict[str, str]:
    """The versions of the Debian packages in an image of the engine, by name."""
    listed = engine.cli(
        "run", "--rm", "--network", "none", "--entrypoint", "dpkg-query", image,
        "--show", "--showformat", r"${Package} ${Version}\n",
    )  # fmt: skip
    return dict(line.split(" ", 1) for line in listed.stdout.splitlines())


def _mmdebstrap(manifest: Manifest) -> list[str]:
    """The command that makes a Debian root: the installed one, else one that is unpacked from its package."""
    if shutil.which("mmdebstrap"):
        return ["mmdebstrap"]
    unpacked = manifest.workspace.tools / "mmdebstrap"
    program = unpacked / "usr/bin/mmdebstrap"
    if not program.exists():
        if not shutil.which("apt-get"):
            message = "stand-ins are made with mmdebstrap, which needs Debian or Ubuntu"
            raise MissingTool(message, hint="set [bases] mirror or archives in versions.local.toml")
        unpacked.mkdir(parents=True, exist_ok=True)
        run(["apt-get", *apt.options(), "download", "mmdebstrap"], cwd=unpacked, timeout=300, hint="apt-get update")
        package = next(unpacked.glob("mmdebstrap_*.deb"))
        run(["dpkg-deb", "--extract", str(package), str(unpacked)])
    return ["perl", str(program)]
