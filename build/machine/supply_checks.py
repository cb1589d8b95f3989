"""The doctor's checks of what a build is supplied with: registry and its credentials, base images, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from build.config.manifest import Bases, Manifest
from build.diagnosis import Diagnosis
from build.errors import BuildError, RegistryError, SecretError
from build.images import bases as base_images
from build.images import secrets as image_secrets
from build.images import support
from build.images.bases import Resolved
from build.images.image import short
from build.process import run
from build.registry import credentials
from build.registry.client import RegistryClient
from build.registry.transport import START
from build.signing import cosign
from build.sources import examine
from build.stack import secret_folder
from build.stack import secrets as stack_secrets
from build.views import sources as view

_REGISTRY_SECONDS = 3
_STALE_DAYS = 60  # upstream images are made again every few weeks, with the fixes since


def credential_helpers(_manifest: Manifest) -> Diagnosis:
    """Whether the credential helpers of the Docker configuration can be run."""
    config = credentials.read(credentials.docker_config())
    names = {str(name) for name in (config.get("credsStore"), *config["credHelpers"].values()) if name}
    for program in sorted(f"docker-credential-{name}" for name in names):
        remedy = f"remove it from {credentials.docker_config()} (credsStore, credHelpers), or put {program} on PATH"
        try:
            run([program, "version"], timeout=10)
        except (BuildError, OSError) as error:
            return Diagnosis("fail", f"{program} can't be run, so every pull and push fails: {error}", remedy)
    return Diagnosis("ok", ", ".join(sorted(names)) or "none configured")


def registry(manifest: Manifest) -> Diagnosis:
    """Whether the registry answers, and accepts the login if it demands one; what a release would say, if not."""
    settings = manifest.registry
    try:
        with RegistryClient(manifest, attempts=1, read_timeout=_REGISTRY_SECONDS) as client:
            client.ping()
    except RegistryError as error:
        if error.hint == START:
            return Diagnosis("warn", f"{settings.address} is not up (embedded)", START)
        remedy = error.hint.replace("docker login", f"docker login {settings.address}")
        return Diagnosis("fail", str(error), remedy or "set UC_REGISTRY_ADDRESS to the address of a registry")
    return Diagnosis("ok", f"{settings.address} answers")


def bases(manifest: Manifest) -> Iterator[tuple[str, Diagnosis]]:
    """A row for each base image: its source, or the sources that will be tried."""
    resolved = base_images.recorded(manifest, manifest.bases.images)
    settings = manifest.bases
    for key, base in settings.images.items():
        label = f"base {base.reference}"
        if key in resolved:
            yield label, _cared_for(settings, resolved[key], support.today())
            continue
        sources = "upstream, mirror, archive, stand-in" if settings.source == "auto" else settings.source
        found = f"not resolved yet; will try: {sources if settings.mirror else sources.replace(' mirror,', '')}"
        folders = [manifest.root / folder for folder in settings.archives]
        if base.archive and not any((folder / base.archive).is_file() for folder in folders):
            found += f"; {base.archive}, which its stand-in needs, is in no archive folder"
        yield label, Diagnosis("warn", found, "./inv bases")


def _cared_for(settings: Bases, base: Resolved, day: date) -> Diagnosis:
    """The source and age of a base, and whether its line still gets security fixes."""
    days = support.age(base, day)
    found = f"{base.source}, {short(base.digest)}" + ("" if days is None else f", made {days} days ago")
    if base.source == "stand-in" and "security" not in base.suites:
        return Diagnosis(
            "warn", f"{found}, without Debian's security updates", "./inv bases --refresh, on a mirror of them"
        )
    for line in support.lines(settings, base, day):
        if line.ended(day):
            remedy = (
                f'reference = "{line.newer}" in versions.toml' if line.newer else "set a newer line in versions.toml"
            )
            return Diagnosis("warn", f"{found}; {line.name} has had no security fixes since {line.until}", remedy)
    if days is not None and days > _STALE_DAYS:
        return Diagnosis("warn", found, "./inv bases --refresh")
    return Diagnosis("ok", found)


def sources(manifest: Manifest) -> Diagnosis:
    """What files alone say of the user's own folders: what they declare, and requirements that conflict."""
    examined = examine.examine(manifest, quick=True)
    stopping = [problem for each in examined for problem in each.problems if problem.stops]
    others = [item for each in examined for item in (*each.failed, *each.problems)]
    summary = view.line(examined)
    if stopping:
        return Diagnosis("fail", f"{stopping[0].text}; {summary}", "./inv sources")
    return Diagnosis("warn", summary, "./inv sources") if others else Diagnosis("ok", summary)


def signing(manifest: Manifest) -> Iterator[tuple[str, Diagnosis]]:
    """A row for cosign, where it signs releases."""
    if found := cosign.diagnosis(manifest):
        yield cosign.PROGRAM, found


def build_secrets(manifest: Manifest) -> Iterator[tuple[str, Diagnosis]]:
    """A row for the CA bundle and for each build secret that is configured."""
    for name, value in manifest.build_secrets.items():
        label = "CA bundle" if name == "ca_bundle" else f"build secret {name}"
        try:
            path = image_secrets.path(manifest, name)
        except SecretError as error:
            yield label, Diagnosis("fail", str(error), error.hint)
            continue
        if value or name == "ca_bundle":
            found = str(path) if path.stat().st_size else "none: the certificates of the base image are used"
            yield label, Diagnosis("ok", found)


def runtime_secrets(manifest: Manifest) -> Diagnosis:
    """Whether the secret files of the containers exist, and which of them are empty."""
    names = {
        name: manifest.secrets[name] for _, container in manifest.containers().values() for name in container.secrets
    }
    try:
        stack_secrets.check(manifest, names)
    except SecretError as error:
        return Diagnosis("warn", "; ".join(str(error).splitlines()), error.hint)
    folder = secret_folder.locate(manifest)
    place = f" in {folder}, because this disk keeps no file modes" if folder != manifest.workspace.secrets else ""
    empty = [name for name, kind in names.items() if kind == "external" and not (folder / name).stat().st_size]
    return Diagnosis("ok", f"{len(names)} files{place}" + (f"; empty, so offline: {', '.join(empty)}" if empty else ""))
