"""apt on this machine: the Debian sources it is configured with, one more suite beside them, installing packages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.engine import root
from build.errors import MissingTool
from build.process import run
from build.waiting import waiting

CONFIGURATION = Path("/etc/apt")
# Stated, because the releases of apt differ in their defaults (apt.conf(5), apt-transport-http(1)).
TRANSFERS = ("Acquire::Retries=5", "Acquire::http::Timeout=30", "Acquire::https::Timeout=30")

_OPTIONS = {"signed-by": "Signed-By", "trusted": "Trusted"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An archive of binary packages: its address, suites and components, and the options that say why it is trusted."""

    address: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: Mapping[str, str]

    @property
    def is_debian(self) -> bool:
        """Whether it is a mirror of Debian's main archive: not of security updates, not of another project."""
        return bool(re.search(r"/debian/?$", self.address)) or self.address.startswith("mirror+file:")


def sources(folder: Path = CONFIGURATION) -> Iterator[Source]:
    """Every enabled source of binary packages below apt's folder, of either format: sources.list(5)."""
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))):
        if path.is_file():
            yield from _one_line_sources(path.read_text(encoding="utf-8"))
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        yield from _deb822_sources(path.read_text(encoding="utf-8"))


def _one_line_sources(text: str) -> Iterator[Source]:
    entry = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<address>\S+)\s+(?P<suite>\S+)(?P<components>.*)")
    for line in text.splitlines():
        if match := entry.fullmatch(line.partition("#")[0].strip()):
            pairs = (option.partition("=") for option in (match["options"] or "").split())
            yield Source(
                address=match["address"],
                suites=(match["suite"],),
                components=tuple(match["components"].split()),
                options={_OPTIONS[key.lower()]: value for key, _, value in pairs if key.lower() in _OPTIONS},
            )


def _deb822_sources(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.M)):
        fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.M))
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes") == "no":
            continue
        for address in fields.get("URIs", "").split():
            yield Source(
                address=address,
                suites=tuple(fields.get("Suites", "").split()),
                components=tuple(fields.get("Components", "").split()),
                options={key: fields[key] for key in _OPTIONS.values() if key in fields},
            )


def debian_mirror(folder: Path = CONFIGURATION) -> str | None:
    """The address of the first Debian mirror in apt's sources that is reached over HTTP; None without one."""
    addresses = (source.address for source in sources(folder) if source.is_debian)
    return next((address for address in addresses if address.startswith(("http://", "https://"))), None)


def security_mirror(folder: Path = CONFIGURATION) -> str | None:
    """The address of Debian's security updates over HTTP: apt's own source of them, else the folder beside the mirror.

    None without a mirror. A mirror of the main archive need not have that folder.
    """
    addresses = [source.address for source in sources(folder) if re.search(r"/debian-security/?$", source.address)]
    configured = next((address for address in addresses if address.startswith(("http://", "https://"))), None)
    mirror = debian_mirror(folder)
    return configured or (mirror and re.sub(r"/debian/?$", "/debian-security", mirror))


def add_suite(suite: str, beside: str, folder: Path, sudo: Sequence[str]) -> list[Path]:
    """Add a suite from the mirror that serves the suite `beside`, pinned so low that only what names it comes from it.

    Returns the files written. Raises MissingTool when apt's sources name no such mirror.
    """
    mirrors = (source for source in sources(folder) if source.is_debian and "main" in source.components)
    origin = next((source for source in mirrors if beside in source.suites), None)
    if origin is None:
        hint = "see https://docs.docker.com/engine/install/debian/"
        raise MissingTool(f"{folder} names no Debian mirror to take Docker's packages from", hint=hint)
    fields = {"Types": "deb", "URIs": origin.address, **origin.options, "Suites": suite, "Components": "main"}
    source = folder / f"sources.list.d/unity-claude-{suite}.sources"
    preferences = folder / f"preferences.d/unity-claude-{suite}"
    root.write(source, "".join(f"{key}: {value}\n" for key, value in fields.items()), sudo)
    root.write(preferences, f"Package: *\nPin: release n={suite}\nPin-Priority: 100\n", sudo)
    return [source, preferences]


def options(*more: str) -> list[str]:
    """The arguments that give apt-get TRANSFERS and `more`."""
    return [part for option in (*TRANSFERS, *more) for part in ("--option", option)]


def install(packages: Sequence[str], sudo: Sequence[str]) -> None:
    """Install packages. Raises MissingTool when apt would remove anything or replace libc, ToolFailed when it fails."""
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "apt-get"]
    apt += options("DPkg::Lock::Timeout=120")
    hint = "sudo apt-get update   (apt's sources and proxy are the machine's own)"
    with waiting("reading the package lists"):
        run([*apt, "update"], timeout=600, hint=hint)
    argv = ["install", "--yes", "--no-install-recommends", "--option", "Dpkg::Options::=--force-confold", *packages]
    planned = run([*apt, "--simulate", *argv], timeout=300, hint=hint).stdout
    if harm := re.findall(r"^(?:Remv \S+|Inst libc6 \[.*)", planned, re.M):
        message = f"apt would do more than add packages: {', '.join(harm)}"
        hint = "install Docker by hand: https://docs.docker.com/engine/install/"
        raise MissingTool(message, hint=hint, output=planned)
    with waiting(f"installing {' '.join(packages)}"):
        run([*apt, *argv], timeout=1800, hint=hint)
