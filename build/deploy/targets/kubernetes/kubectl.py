"""The program kubectl, run on the cluster and the namespace of a target and on no other."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from build import process
from build.config.deploy import TargetSettings
from build.errors import MissingTool, ToolFailed

MANAGER = "uc"  # the field manager of everything that is applied
MINIMUM = (1, 27)  # the first whose server refuses unknown fields, which otherwise would be dropped without a word
_DOCS = "https://kubernetes.io/docs/tasks/tools/"
_SECONDS = 30
_UNREACHABLE = re.compile(
    r"Unable to connect to the server|The connection to the server|does not exist\n|no configuration has been provided"
    r"|must be logged in|\(Unauthorized\)|dial tcp|i/o timeout|TLS handshake|x509:|: no such file or directory"
    r"|invalid configuration|error loading config file|context deadline exceeded|Client\.Timeout|unexpected EOF"
    r"|\(ServiceUnavailable\)|getting credentials"
)


class Kubectl:
    """kubectl with the context, the kubeconfig and the namespace of a target on every call."""

    def __init__(self, settings: TargetSettings, namespace: str) -> None:
        self.namespace = namespace
        self._settings = settings

    @functools.cached_property
    def context(self) -> str:
        """The context of the target, else the one that is current now; "" inside a cluster's pod.

        Raises MissingTool if there is none.
        """
        if self._settings.context:
            return self._settings.context
        current = process.run(
            ["kubectl", *self._config, "config", "current-context"], ok_codes=(0, 1), env=_ENVIRONMENT, hint=_DOCS
        )
        if name := current.stdout.strip():
            return name
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not self._settings.kubeconfig:
            return ""
        raise MissingTool(
            "kubectl has no current context: which cluster is meant is not known",
            hint="set context, and kubeconfig if it is not the usual one, in [deploy.targets.NAME]",
        )

    @property
    def place(self) -> str:
        """The cluster and the namespace in words. Raises MissingTool as `context` does."""
        where = f"Kubernetes, context {self.context}" if self.context else "Kubernetes, the cluster of this pod"
        current = "" if self._settings.context or not self.context else " (the current one)"
        return f"{where}{current}, namespace {self.namespace}"

    def run(
        self, *arguments: str, objects: Sequence[Mapping[str, Any]] = (), text: str = "", seconds: int = _SECONDS
    ) -> str:
        """Run kubectl and return what it printed; `objects` or `text` go to its standard input.

        Raises MissingTool if it is missing or the cluster can't be reached, ToolFailed if it fails otherwise.
        """
        context = [f"--context={self.context}"] if self.context else []
        argv = ["kubectl", *self._config, *context, f"--namespace={self.namespace}", f"--request-timeout={seconds}s"]
        if objects:
            text = "\n".join(map(json.dumps, objects))
        try:
            outcome = process.run(
                [*argv, *arguments], stdin=text or None, env=_ENVIRONMENT, timeout=seconds * 4, hint=_DOCS,
            )  # fmt: skip
        except ToolFailed as error:
            if _UNREACHABLE.search(f"{error.output}\n") or str(error).startswith("timed out"):
                reason = (error.output.strip().splitlines() or [str(error)])[-1]
                hint = f"kubectl {' '.join([*self._config, *context, 'cluster-info'])}"
                raise MissingTool(f"{self.place} can't be reached: {reason}", hint=hint, output=error.output) from None
            lines = [line for line in error.output.strip().splitlines() if not line.startswith("Warning:")]
            message = f"kubectl {arguments[0]} failed: {lines[-1] if lines else error}"
            raise error.with_message(message, hint=error.hint if error.hint != _DOCS else "") from None
        return outcome.stdout

    def read(self, *arguments: str, objects: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
        """Run kubectl and return the objects that it prints, as a List or one after the other. Raises as `run` does."""
        text = self.run(*arguments, "--output=json", objects=objects).strip()
        found: list[dict[str, Any]] = []
        decoder, place = json.JSONDecoder(), 0
        while place < len(text):
            item, place = decoder.raw_decode(text, place)
            found += item["items"] if str(item.get("kind", "")).endswith("List") else [item]
            place += len(text[place:]) - len(text[place:].lstrip())
        return found

    def items(self, kinds: Sequence[str], selector: str = "", *, fields: bool = False) -> list[dict[str, Any]]:
        """All objects of these kinds in the namespace; `fields`: with who manages which. Raises as `run` does."""
        arguments = ["get", ",".join(kinds), *([f"--selector={selector}"] if selector else [])]
        if fields:
            arguments.append("--show-managed-fields")
        return self.read(*arguments)

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Apply objects on the server, as the manager of all that they say. Raises as `run` does."""
        self.run("apply", "--server-side", f"--field-manager={MANAGER}", "--force-conflicts", "--filename=-",
                 objects=objects)  # fmt: skip

    def applied(self, objects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What objects would be once applied, without doing it. Raises as `run` does."""
        if not objects:
            return []
        return self.read("apply", "--server-side", f"--field-manager={MANAGER}", "--force-conflicts",
                           "--dry-run=server", "--show-managed-fields", "--filename=-", objects=objects)  # fmt: skip

    def create(self, item: Mapping[str, Any]) -> bool:
        """Create an object; False if there is one of its name. Raises as `run` does."""
        try:
            self.run("create", f"--field-manager={MANAGER}", "--filename=-", objects=[item])
        except ToolFailed as error:
            if "(AlreadyExists)" in error.output:
                return False
            raise
        return True

    def require(self) -> None:
        """Raise MissingTool for a kubectl that is missing or too old, or a cluster that is or can't be reached."""
        versions = self.read("version")[0]
        for key, what in (("clientVersion", "kubectl"), ("serverVersion", "the cluster")):
            version = versions.get(key, {}).get("gitVersion", "")
            match = re.match(r"v(\d+)\.(\d+)", version)
            if not match or (int(match[1]), int(match[2])) < MINIMUM:
                expected = ".".join(map(str, MINIMUM))
                raise MissingTool(f"{what} is {version or 'unknown'}, expected {expected} or later", hint=_DOCS)

    @functools.cached_property
    def _config(self) -> list[str]:
        path = self._settings.kubeconfig
        return [f"--kubeconfig={Path(path).expanduser()}"] if path else []


# A file of preferences changes what flags mean.
_ENVIRONMENT = {"KUBERC": "off"}
