"""What a swarm keeps of its deploys: configs, which are replicated to every manager and can't be changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from build.deploy.target import TARGET_LABEL, Item
from build.engine.api import Api, ApiError
from build.errors import DeployRefused


@dataclass(frozen=True, slots=True)
class ConfigStore:
    """The store of a project's target: a config for each object. The swarm itself lets no two have one name."""

    api: Api
    project: str

    def items(self) -> list[Item]:
        """Everything that is kept. Raises DeployRefused for a config with our label and other content."""
        kept = self.api.get("/configs", filters={"label": [f"{TARGET_LABEL}={self.project}"]})
        return [self._item(entry) for entry in kept if entry["Spec"]["Name"].startswith(self._prefix)]

    def create(self, name: str, content: Mapping[str, Any], *, exclusive: bool = False) -> bool:  # noqa: ARG002  (always)
        """Keep an object; False if there is one of this name."""
        body = {
            "Name": f"{self._prefix}{name}",
            "Labels": {TARGET_LABEL: self.project},
            "Data": base64.b64encode(json.dumps(content).encode()).decode(),
        }
        try:
            self.api.post("/configs/create", body)
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def remove(self, item: Item) -> None:
        """Remove this very item; no failure if it is gone."""
        self.api.delete(f"/configs/{item.identity}")

    @property
    def _prefix(self) -> str:
        return f"{self.project}-deploy-"

    def _item(self, entry: Mapping[str, Any]) -> Item:
        name = entry["Spec"]["Name"]
        try:
            content = json.loads(base64.b64decode(entry["Spec"].get("Data") or ""))
        except ValueError:
            content = None
        if not isinstance(content, dict):
            message = f"the config {name} of the swarm is none of the toolkit's"
            raise DeployRefused(message, hint=self.api.engine.shown("config", "rm", name))
        return Item(name=name.removeprefix(self._prefix), identity=entry["ID"], content=content)
