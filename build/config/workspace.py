"""Where the toolkit writes: the files and folders of .uc/, named here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of everything that is written, and what stands in it; nothing here touches the disk."""

    root: Path

    @property
    def images(self) -> Path:
        """The record of the images that were built last, by service (JSON)."""
        return self.root / "images.json"

    @property
    def images_env(self) -> Path:
        """The variables of docker/compose.yaml, for `docker compose --env-file`."""
        return self.root / "images.env"

    @property
    def bases(self) -> Path:
        """The record of the base images that were resolved (JSON)."""
        return self.root / "bases.json"

    @property
    def candidates(self) -> Path:
        """The candidates that were staged last, so that a second release does not build again (JSON)."""
        return self.root / "candidates.json"

    @property
    def registry_policy(self) -> Path:
        """What a probe learnt of the registry (JSON)."""
        return self.root / "registry-policy.json"

    @property
    def bake_definition(self) -> Path:
        """The bake file of the last build (JSON)."""
        return self.root / "bake.json"

    @property
    def bake_metadata(self) -> Path:
        """What bake said of the last build: the digests (JSON)."""
        return self.root / "metadata.json"

    @property
    def layouts(self) -> Path:
        """A folder of OCI layouts for each process that exports images."""
        return self.root / "layouts"

    @property
    def compose(self) -> Path:
        """The Compose file that the last `up` used."""
        return self.root / "compose.yaml"

    @property
    def compose_fluentd(self) -> Path:
        """The overlay of that file which sends logs to Fluentd; absent without it."""
        return self.root / "compose.fluentd.yaml"

    @property
    def secrets(self) -> Path:
        """The runtime secrets, a file for each."""
        return self.root / "secrets"

    @property
    def empty_secret(self) -> Path:
        """The empty file that is mounted for a build secret which is not configured."""
        return self.root / "empty-secret"

    @property
    def empty_source(self) -> Path:
        """The empty folder that is the build context of a source which is not configured."""
        return self.root / "empty"

    @property
    def trivy(self) -> Path:
        """Trivy's cache, the vulnerability database in it; absolute, because Trivy runs inside it."""
        return (self.root / "trivy").absolute()

    @property
    def tools(self) -> Path:
        """Programs that are unpacked here because the machine does not have them."""
        return self.root / "tools"

    @property
    def reports(self) -> Path:
        """Reports of scans, smoke checks and tests, logs, and the evidence of what failed."""
        return self.root / "reports"

    @property
    def build_log(self) -> Path:
        """The whole log of the last build."""
        return self.reports / "build.log"
