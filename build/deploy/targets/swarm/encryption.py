"""Whether traffic passes an encrypted network: a kernel without ESP drops it, and everything else looks well.

Tried with a server on one node and a client on each of the others, from an image of the set that has perl, as every
one of Debian and Ubuntu does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from build.deploy.targets.swarm.nodes import Node
from build.deploy.targets.swarm.tasks import ENDED
from build.deploy.targets.swarm.trial import TRIAL_LABEL, new_name, once
from build.engine.api import Api, ApiError
from build.errors import BuildError

_SECONDS = 8
_SILENT = 9  # the exit code of a client that got no answer
_START_SECONDS = 60
_REMOVE_SECONDS = 20
_POLL_SECONDS = 0.3
_SERVER = """\
socket(S, 2, 1, 0) and bind(S, pack("S n x12", 2, 9000)) and listen(S, 9) or die $!;
while (1) { syswrite(C, "ok") if accept(C, S); close C }
"""
_CLIENT = """\
$SIG{ALRM} = sub { exit SILENT }; alarm SECONDS;
while (1) {
    socket(S, 2, 1, 0) or die $!;
    exit 0 if connect(S, pack("S n C4 x8", 2, 9000, split(/[.]/, "ADDRESS"))) && sysread(S, $_, 2) == 2;
    select(undef, undef, undef, 0.5);
}
"""


@dataclass(slots=True)
class Crossing:
    """A try to get from every node to another one over a network of its own, with these options of the driver."""

    api: Api
    project: str
    image: str
    auth: str
    options: dict[str, str]

    def silent(self, nodes: Sequence[Node]) -> list[str] | None:
        """The nodes that got no answer from the first one; None if it can't be tried with this image."""
        name = new_name()
        network = {
            "Name": name,
            "Driver": "overlay",
            "Internal": True,
            "Options": self.options,
            "Labels": {TRIAL_LABEL: self.project},
        }
        self.api.post("/networks/create", network)
        try:
            return self._silent(name, nodes)
        finally:
            self._remove(name)

    def _silent(self, name: str, nodes: Sequence[Node]) -> list[str] | None:
        first, *others = nodes
        server = self._start(name, "server", _SERVER, f"node.id == {first.id}")
        tasks = self._awaited(server, 1, {"running", *ENDED})
        if [task["Status"]["State"] for task in tasks] != ["running"]:
            return None
        address = tasks[0]["NetworksAttachments"][0]["Addresses"][0].partition("/")[0]
        script = _CLIENT.replace("ADDRESS", address).replace("SECONDS", str(_SECONDS)).replace("SILENT", str(_SILENT))
        clients = self._start(name, "clients", script, f"node.id != {first.id}")
        names = {node.id: node.name for node in others}
        return sorted(
            names.get(task["NodeID"], task["NodeID"])
            for task in self._awaited(clients, len(others), ENDED)
            if (task["Status"].get("ContainerStatus") or {}).get("ExitCode") == _SILENT
        )

    def _start(self, network: str, role: str, script: str, constraint: str) -> str:
        command = ["perl", "-e", script]
        body = once(f"{network}-{role}", self.project, self.image, command, [constraint])
        body["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] = 1
        body["TaskTemplate"]["Networks"] = [{"Target": network}]
        body["EndpointSpec"] = {"Mode": "dnsrr"}
        return str(self.api.post("/services/create", body, registry_auth=self.auth)["ID"])

    def _awaited(self, service: str, count: int, states: set[str]) -> list[dict[str, Any]]:
        """The tasks of a service, once so many are in one of these states; those that are by the deadline."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            tasks = self.api.get("/tasks", filters={"service": [service]})
            there = [task for task in tasks if task["Status"]["State"] in states]
            if len(there) >= count or time.monotonic() > deadline:
                return there
            time.sleep(_POLL_SECONDS)

    def _remove(self, name: str) -> None:
        """Remove what was created for it. What does not go now is removed by the next deploy that settles."""
        with contextlib.suppress(BuildError):
            for role in ("clients", "server"):
                self.api.delete(f"/services/{name}-{role}")
            deadline = time.monotonic() + _REMOVE_SECONDS
            while time.monotonic() < deadline:
                with contextlib.suppress(ApiError):  # its tasks are still there
                    self.api.delete(f"/networks/{name}")
                    return
                time.sleep(_POLL_SECONDS)
