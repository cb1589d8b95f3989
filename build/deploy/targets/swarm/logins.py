"""The login of a registry as a node gets it: what `docker service create --with-registry-auth` sends along."""

from __future__ import annotations

from dataclasses import dataclass

from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.engine.api import registry_auth
from build.registry import credentials


@dataclass(frozen=True, slots=True)
class Logins:
    """The logins of the manifest's registry and of Docker's config.json."""

    manifest: Manifest
    settings: TargetSettings

    def header(self, image: str) -> str:
        """The value of X-Registry-Auth for an image, "" without a login. Raises RegistryError for an unreadable one."""
        host = image.partition("/")[0]
        login = None
        if host in {self.manifest.registry.address, self.settings.registry}:
            login = credentials.configured(self.manifest)
        login = login or credentials.from_docker(credentials.docker_config(), host)
        return registry_auth(host, login, is_token=login[0] == credentials.IDENTITY) if login else ""
