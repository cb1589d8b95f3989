"""The paths of .uc/, which the toolkit writes to; no other module names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace folder and the paths in it; no property touches the disk."""

    root: Path

    @property
    def images(self) -> Path:
        """The images of the last build, by service (JSON)."""
        return self.root / "images.json"

    @property
    def images_env(self) -> Path:
        """The variables of docker/compose.yaml, for `docker compose --env-file`."""
        return self.root / "images.env"

    @property
    def trees(self) -> Path:
        """A git directory of our own for each repository that files are sent of, and what is known of its trees."""
        return self.root / "trees"

    @property
    def bases(self) -> Path:
        """The resolved base images (JSON)."""
        return self.root / "bases.json"

    @property
    def checkout(self) -> Path:
        """What identifies this checkout, and the checkouts whose stack it has taken over (JSON)."""
        return self.root / "checkout.json"

    @property
    def backups(self) -> Path:
        """The backups of data that were not written to a path of the caller's."""
        return self.root / "backups"

    @property
    def candidates(self) -> Path:
        """The candidates staged last, which the next release reuses instead of building again (JSON)."""
        return self.root / "candidates.json"

    @property
    def staged(self) -> Path:
        """Every image that was staged from this checkout, and when, until it is cleaned from the registry (JSON)."""
        return self.root / "staged.json"

    @property
    def registry_policy(self) -> Path:
        """The cached result of a registry probe (JSON)."""
        return self.root / "registry-policy.json"

    @property
    def bake_definition(self) -> Path:
        """The bake file of the last build (JSON)."""
        return self.root / "bake.json"

    def bake_metadata(self, pid: int) -> Path:
        """What buildx writes for the build of a process: the digests (JSON).

        The buildx of a killed build may outlive it and write later than the next one.
        """
        return self.root / f"metadata.{pid}.json"

    @property
    def layouts(self) -> Path:
        """OCI layouts, a folder for each process that exports images."""
        return self.root / "layouts"

    @property
    def compose(self) -> Path:
        """The Compose file that the last `up` used."""
        return self.root / "compose.yaml"

    @property
    def compose_fluentd(self) -> Path:
        """The Compose overlay that sends logs to Fluentd; absent without it."""
        return self.root / "compose.fluentd.yaml"

    @property
    def release(self) -> Path:
        """The folder that containers read: release.json in it says what the last `up` has started."""
        return self.root / "release"

    @property
    def deploy(self) -> Path:
        """What was applied last to each deploy target, a folder each."""
        return self.root / "deploy"

    @property
    def secrets(self) -> Path:
        """The runtime secrets, one file each."""
        return self.root / "secrets"

    @property
    def fetched(self) -> Path:
        """The images that were fetched for a sandbox alone, and are removed with it (JSON)."""
        return self.root / "fetched.json"

    @property
    def empty_secret(self) -> Path:
        """The empty file mounted for a build secret that is not configured."""
        return self.root / "empty-secret"

    @property
    def empty_source(self) -> Path:
        """The empty folder used as build context of a source that is not configured."""
        return self.root / "empty"

    @property
    def trivy(self) -> Path:
        """Trivy's cache with the vulnerability database; absolute, because Trivy runs in it."""
        return (self.root / "trivy").absolute()

    @property
    def tools(self) -> Path:
        """Unpacked programs that the machine lacks."""
        return self.root / "tools"

    @property
    def reports(self) -> Path:
        """Reports of scans, smoke checks and tests, logs, and evidence of failures."""
        return self.root / "reports"

    @property
    def contexts(self) -> Path:
        """Copies of the build contexts from which the filter leaves something out."""
        return self.root / "contexts"

    @property
    def left_out(self) -> Path:
        """What the filter left out of the last build, a line each."""
        return self.reports / "left-out.txt"

    @property
    def build_log(self) -> Path:
        """The whole log of the last build."""
        return self.reports / "build.log"

    @property
    def setup_log(self) -> Path:
        """What pip and uv said when .venv was made, or added to."""
        return self.root / "setup.log"

    @property
    def setup_lock(self) -> Path:
        """The file that is locked while .venv is being made, or added to."""
        return self.root / "setup.locked"

    @property
    def setup_input(self) -> Path:
        """A folder for copies of the lock files while they are being installed."""
        return self.root / "setup"

    @property
    def previous_venv(self) -> Path:
        """The .venv of before while a new one is being made, which may fail."""
        return self.root / "venv.old"

    @property
    def venv_unfinished(self) -> Path:
        """A file that is there while .venv is being made: after a kill, what is called .venv is not whole."""
        return self.root / "venv.making"
