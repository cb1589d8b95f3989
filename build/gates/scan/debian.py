"""Debian's security updates: which packages of an image are older than what the security suite has.

A verdict of its own beside the vulnerability database, never in its place: it knows only what Debian has fixed. apt
itself fetches the suite and verifies its signature, in a folder of its own and without root.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build import json_file
from build.config.manifest import Manifest
from build.diagnosis import Diagnosis
from build.engine import apt
from build.errors import MissingTool, ScanBroken, ToolFailed
from build.process import run
from build.waiting import waiting

CONFIGURATION = apt.CONFIGURATION
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # of the package debian-archive-keyring
_CODENAMES = {"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky", "15": "duke"}
_SECONDS = 20  # for all that apt does: a firewall may drop its packets
_SETTINGS = """\
Dir "{folder}";
Dir::Cache "{folder}/cache";
Dir::Etc "{folder}/etc";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::GzipIndexes "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "0";
"""
_TIMEOUTS = 'Acquire::http::Timeout "5";\nAcquire::https::Timeout "5";\n'


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """The comparison of an image with the security suite of its release: what is older, or why it was not made.

    `suite` is empty for an image without Debian packages, `date` is that of the suite.
    """

    suite: str = ""
    date: str = ""
    outdated: tuple[str, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        packages = "package" if len(self.outdated) == 1 else "packages"
        return f"{len(self.outdated)} {packages} older than {self.suite}" if self.outdated else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Suite:
    date: str = ""
    versions: Mapping[str, str]


def compare(manifest: Manifest, report: Mapping[str, Any]) -> Compared:
    """Compare the packages in Trivy's report on an image with the suite. Nothing is compared where that is off."""
    system = report.get("Metadata", {}).get("OS") or {}
    if manifest.gates.debian_security == "off" or system.get("Family") != "debian":
        return Compared()
    release = str(system.get("Name", "")).partition(".")[0]
    packages = [package for result in report.get("Results") or [] for package in _installed(result)]
    architecture = next((package["Arch"] for package in packages if package.get("Arch") not in {None, "", "all"}), "")
    if not architecture:
        return Compared()
    if release not in _CODENAMES:
        return Compared(suite="Debian's security suite", problem=f"the code name of Debian {release} is not known here")
    suite = f"{_CODENAMES[release]}-security"
    try:
        known = _fetch(manifest.workspace.root.absolute() / "apt", suite, architecture, CONFIGURATION)
        outdated = sorted(set(_outdated(packages, known.versions)))
    except (MissingTool, ToolFailed) as error:
        return Compared(suite=suite, problem=_reason(error))
    return Compared(suite=suite, date=known.date, outdated=tuple(outdated))


def _installed(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(result.get("Packages") or []) if result.get("Class") == "os-pkgs" else []


def _outdated(packages: list[dict[str, Any]], versions: Mapping[str, str]) -> Iterator[str]:
    for package in packages:
        name, installed = package["Name"], _version(package)
        if name in versions and versions[name] != installed and _is_older(installed, versions[name]):
            yield f"{name} {installed}, there {versions[name]}"


def _version(package: Mapping[str, Any]) -> str:
    """The version as dpkg has it, which Trivy takes apart."""
    epoch = f"{package['Epoch']}:" if package.get("Epoch") else ""
    release = f"-{package['Release']}" if package.get("Release") else ""
    return f"{epoch}{package.get('Version', '')}{release}"


@functools.cache
def _is_older(installed: str, there: str) -> bool:
    return run(["dpkg", "--compare-versions", installed, "lt", there], ok_codes=(0, 1), timeout=10).returncode == 0


def _fetch(workspace: Path, suite: str, architecture: str, configuration: Path) -> _Suite:
    """The suite as apt has verified it. Raises MissingTool without apt, mirror or keyring, ToolFailed as apt does."""
    known = fetched(workspace, suite, architecture, configuration)
    if isinstance(known, ToolFailed | MissingTool):
        raise known
    return known


@functools.cache
def fetched(workspace: Path, suite: str, architecture: str, configuration: Path) -> _Suite | ToolFailed | MissingTool:
    """The suite, or why it can't be had; a failure too is remembered as long as this process lives."""
    try:
        source = _source(configuration)
        folder = workspace / f"{suite}-{architecture}"
        shutil.rmtree(folder / "etc", ignore_errors=True)
        for name in ("etc/apt.conf.d", "etc/sources.list.d", "state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        fields = {"Types": "deb", **source, "Suites": suite, "Components": "main"}
        text = "".join(f"{key}: {value}\n" for key, value in fields.items())
        json_file.replace(folder / "etc/sources.list.d/security.sources", text)
        json_file.replace(folder / "status", "")
        settings = _SETTINGS.format(folder=folder, architecture=architecture) + _network() + _TIMEOUTS
        json_file.replace(folder / "apt.conf", settings)
        environment = {"APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C.UTF-8"}
        with waiting(f"fetching {suite} from {source['URIs']}"):
            run(["apt-get", "--error-on=any", "-qq", "update"], env=environment, timeout=_SECONDS)
    except (ToolFailed, MissingTool) as error:
        return error
    return _read(folder / "state" / "lists")


def _source(configuration: Path) -> dict[str, str]:
    """The address of the security updates, and the keys that sign them, as fields of sources.list(5)."""
    if shutil.which("apt-get") is None:
        raise MissingTool("there is no apt on this machine")
    if (address := apt.security_mirror(configuration)) is None:
        raise MissingTool(f"{configuration} names no mirror of Debian")
    own = [source for source in apt.sources(configuration) if source.address == address]
    keys = next((source.options["Signed-By"] for source in own if "Signed-By" in source.options), "")
    if not keys and not _KEYRING.is_file():
        raise MissingTool(f"Debian's keys are not here: {_KEYRING}", hint="apt-get install debian-archive-keyring")
    return {"URIs": address, "Signed-By": keys or str(_KEYRING)}


def _network() -> str:
    """The proxies and certificates of the machine's apt, whose other settings and hooks are left out."""
    dump = run(["apt-config", "dump"], timeout=10).stdout
    lines = [line for line in dump.splitlines() if re.match(r"Acquire::https?::(?!\w*Timeout)", line)]
    return "".join(f"{line}\n" for line in lines)


def _read(lists: Path) -> _Suite:
    """What apt has verified and put into its lists."""
    dates = [re.search(r"^Date: (.*)$", file.read_text(), re.M) for file in lists.glob("*InRelease")]
    versions = {}
    for file in lists.glob("*_Packages"):
        for stanza in file.read_text(encoding="utf-8").split("\n\n"):
            fields = dict(re.findall(r"^(Package|Version): (.*)$", stanza, re.M))
            if len(fields) == 2:
                versions[fields["Package"]] = fields["Version"]
    return _Suite(date=next((found[1] for found in dates if found), ""), versions=versions)


def _reason(error: ToolFailed | MissingTool) -> str:
    """Why apt could not: its own first error, if it has one."""
    errors = re.findall(r"^E: (.*)$", getattr(error, "output", ""), re.M)
    return errors[0] if errors else str(error)


def examine(manifest: Manifest) -> Diagnosis:
    """Where Debian's security updates would be fetched from; nothing is fetched."""
    if manifest.gates.debian_security == "off":
        return Diagnosis("skip", 'gates.debian_security is "off"')
    try:
        return Diagnosis("ok", _source(CONFIGURATION)["URIs"])
    except MissingTool as error:
        found = f"{error}: packages are not compared with them"
        if manifest.gates.debian_security == "refuse":
            return Diagnosis("fail", found, error.hint)
        return Diagnosis("skip", found)


def require(manifest: Manifest) -> None:
    """Raise ScanBroken if the comparison may refuse a release and can't be made."""
    if manifest.gates.debian_security == "refuse":
        try:
            _source(CONFIGURATION)
        except MissingTool as error:
            raise uncompared(Compared(suite="Debian's security updates", problem=str(error))) from None


def uncompared(comparison: Compared) -> ScanBroken:
    """The error for a comparison that is demanded and could not be made."""
    message = f'gates.debian_security is "refuse", and {comparison.suite} can\'t be compared with: {comparison.problem}'
    return ScanBroken(message, hint='apt-get update shows more; or gates.debian_security = "warn"')
