"""What each task has as its `result` with --json: types, from which output_schema.py writes a JSON Schema."""

from __future__ import annotations

from typing import Any, TypedDict  # noqa: TID251  (no pydantic reads these)

from build.bundle.load import Loaded
from build.bundle.write import WrittenBundle
from build.deploy.backup import BackedUp
from build.deploy.changes import Change
from build.deploy.ledger import DataChange
from build.deploy.status import Status
from build.diagnosis import Row
from build.gates.scan.verdict import ImageVerdict
from build.gates.smoke.checks import CheckResult
from build.git.comparison import Difference
from build.git.conventional import Checked
from build.git.next_versions import NextVersions
from build.images.bases import Resolved
from build.images.build import Built
from build.images.image import Image
from build.registry.policy import Policy
from build.release.catalog import Release
from build.release.checks import Verification
from build.release.clean import Cleaned
from build.release.difference import ReleaseDifference
from build.release.record import Record
from build.release.yank import Yanked
from build.signing.keys import KeyFiles
from build.sources.examination import Examined
from build.stack.logs import Line
from build.stack.mcp_clients import Configuration
from build.stack.status import Running
from build.views.tables import Start, Stopped


class Bases(TypedDict):
    """The source of each base image, and why others have none."""

    bases: dict[str, Resolved]
    unavailable: dict[str, str]


class PlannedStart(TypedDict):
    """The containers that a start would start, and the Compose file that it would use."""

    containers: list[Start]
    compose: dict[str, Any]


class PlannedCheck(TypedDict):
    """A request that a smoke test would send."""

    container: str
    check: str
    kind: str
    request: str


class Quickstart(TypedDict):
    """The closing table of a quickstart, by service."""

    images: dict[str, Image]
    urls: dict[str, str]
    scan: dict[str, str]
    smoke: dict[str, str]
    missing: dict[str, str]


class Steps(TypedDict):
    """The steps of a quickstart."""

    steps: list[str]


class Written(TypedDict):
    """The files that were not current and have been written."""

    written: list[str]


class LocalFile(TypedDict):
    """versions.local.toml as it was written, or would be: its settings, and its text with comments."""

    file: str
    settings: dict[str, Any]
    text: str


class Versions(TypedDict):
    """The version of HEAD, and the next ones of each line."""

    version: str
    commit: str
    branch: str | None
    dirty: bool
    changed: list[str]
    differences: list[Difference]
    lines: list[NextVersions]


class ChangelogEntry(TypedDict):
    """A commit in the changelog."""

    type: str
    scope: str
    description: str
    breaking: bool
    notes: list[str]
    commit: str


class Section(TypedDict):
    """A release, or what is not released yet, in the changelog."""

    title: str
    line: str
    version: str
    tag: str
    before: str
    date: int | None
    changes: dict[str, list[ChangelogEntry]]


class Changelog(TypedDict):
    """The sections of the changelog, the newest first."""

    sections: list[Section]


class Released(TypedDict):
    """The records of what a release released, and of what it finished first."""

    released: list[Record]
    finished: list[Record]


class Registry(TypedDict):
    """The embedded registry."""

    address: str
    container: str


class Rotated(TypedDict):
    """A secret that was renewed, or whose old value was ended."""

    secret: str
    file: str
    old_value_accepted: bool


class Tested(TypedDict):
    """The result of each nox session, and a line for each test that failed."""

    sessions: dict[str, str]
    failed_tests: list[str]


class Completion(TypedDict):
    """What makes a shell complete ./inv."""

    shell: str
    script: str


class DeployPlan(TypedDict):
    """What a deploy or a roll back would change at a target; `basis` is what the plan depends on."""

    target: str
    place: str
    action: str
    version: str
    release: str
    before: str | None
    records: dict[str, str]
    changes: list[Change]
    data: dict[str, DataChange]
    basis: str


class Deployed(TypedDict):
    """What a deploy or a roll back did; `number` is 0 where nothing had to be done.

    Of one that failed (exit 16, 17), the entry of the journal as it is left: rolled-back, failed or open; no `changes`.
    """

    target: str
    number: int
    action: str
    state: str
    release: str | None
    before: str | None
    changes: list[Change]
    seconds: float


class Deploy(TypedDict):
    """An entry of a target's journal."""

    number: int
    action: str
    state: str
    release: str
    before: str | None
    who: str
    host: str
    began: str
    ended: str
    reason: str


class Restored(TypedDict):
    """What a restore brought into which volumes of a target, and the number of the entry in its journal."""

    target: str
    number: int
    file: str
    release: str
    backup: str
    volumes: dict[str, DataChange]
    seconds: float


class Verified(TypedDict):
    """The checks of a release, of each line, and whether none failed."""

    verified: bool
    releases: list[Verification]


class CheckedBundle(TypedDict):
    """A bundle whose hashes are right: its releases, and the checks of each; none without a public key."""

    file: str
    releases: list[str]
    verified: list[Verification]


class Manifests(TypedDict):
    """What would be applied to a target, as files by name, and the paths they were written to."""

    files: dict[str, str]
    written: list[str]


# A task may print one of several; None where it has nothing to say but that it went well.
RESULTS: dict[str, tuple[Any, ...]] = {
    "quickstart": (Quickstart, Steps),
    "init": (LocalFile,),
    "doctor": (list[Row], Policy),
    "engine": (dict[str, str],),
    "sources": (list[Examined],),
    "build": (Built, dict[str, Any]),
    "scan": (list[ImageVerdict], dict[str, str]),
    "bases": (Bases,),
    "version": (Versions,),
    "changelog": (Changelog,),
    "up": (list[Running], PlannedStart),
    "down": (Stopped,),
    "ps": (list[Running],),
    "logs": (list[Line],),
    "watch": (),
    "smoke": (list[CheckResult], list[PlannedCheck]),
    "compose": (Written,),
    "schema": (Written,),
    "release": (Released, dict[str, Any]),
    "releases": (list[Release],),
    "verify": (Verified,),
    "sbom": (dict[str, Any],),
    "diff": (list[ReleaseDifference],),
    "deploy": (Deployed, DeployPlan),
    "rollback": (Deployed, DeployPlan),
    "status": (Status,),
    "deploys": (list[Deploy],),
    "backup": (BackedUp,),
    "restore": (Restored,),
    "manifests": (Manifests,),
    "test": (Tested,),
    "completion": (Completion,),
    "yank": (list[Yanked],),
    "commits.check": (Checked,),
    "keys.init": (KeyFiles,),
    "bundle.write": (WrittenBundle,),
    "bundle.verify": (CheckedBundle,),
    "bundle.load": (Loaded,),
    "mcp.config": (Configuration,),
    "registry.up": (Registry,),
    "registry.down": (Stopped,),
    "registry.ls": (dict[str, list[str]],),
    "registry.clean": (Cleaned,),
    "secrets.init": (dict[str, str],),
    "secrets.rotate": (Rotated,),
}
