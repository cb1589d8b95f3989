"""What a deploy to a swarm applies, as files: the bodies of its requests, and a stack file, which lacks one item."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from build.deploy.changes import ordered
from build.deploy.target import SPEC_LABEL, Spec
from build.deploy.targets.swarm.problems import is_pinned_by_label, networks_of
from build.engine.api import VERSION
from build.stack import swarm_file
from build.stack.swarm import data_label
from build.stack.yaml_file import text

_STACK = """\
# {project} as a stack file:  docker stack deploy --compose-file stack.yaml {project}
# It can't say no-new-privileges: `docker stack deploy` ignores security_opt. Containers that it starts lack that, and
# `./inv status` reports it as drift. README.md has what else differs, the commands that create the secrets, and those
# that bring up the services with no-new-privileges.
"""
_README = """\
# {project} on a Docker swarm

`./inv deploy` brings this set up, one service after the other, each until it is healthy, and goes back when one is not.
By hand, on a manager, in this folder, first create what the services need:

```sh
{needs}
```

## By the Engine API

Each JSON file is a service as the Engine API takes it (`POST /services/create`, API {version}, Docker 25 or newer):

```sh
{commands}
```

A service that is there is updated by `POST /services/NAME/update?version=N`, N being the `Version.Index` that
`docker service inspect NAME` shows.

## By a stack file

```sh
docker stack deploy --with-registry-auth --compose-file stack.yaml {project}
```

`stack.yaml` has the same services, but for what a stack file can't carry:

- no-new-privileges: `docker stack deploy` ignores `security_opt`, so every container runs without it. `./inv status`
  reports `no-new-privileges is off` for each, and the next `./inv deploy` needs `--adopt`, which puts it back.
- the order: all services start at once, and those that need another one fail until it answers.
- the end: the command reports success also where a service does not come up. Look at `docker stack ps {project}`.
"""
_SEND = f"""\
send() {{
  curl --fail-with-body --unix-socket /var/run/docker.sock -H 'Content-Type: application/json' \\
    --data @- http://docker/v{VERSION}/services/create
}}
ids=$(docker secret ls --format 's/"SecretID": "{{{{.Name}}}}"/"SecretID": "{{{{.ID}}}}"/')"""


def files(project: str, wanted: Mapping[str, Spec]) -> dict[str, str]:
    """A JSON file for each container, stack.yaml with all of them, and README.md with the commands that apply either.

    A secret has its name in place of its ID, which only the swarm knows.
    """
    services = {name: _service(spec) for name, spec in wanted.items()}
    networks = networks_of(wanted)
    result = {f"{name}.json": json.dumps(service, indent=2) + "\n" for name, service in services.items()}
    result["stack.yaml"] = _STACK.format(project=project) + text(swarm_file.document(services, networks.values()))
    sent = [f'sed "$ids" {shlex.quote(f"{name}.json")} | send' for name in ordered(wanted)]
    result["README.md"] = _README.format(
        project=project,
        version=VERSION,
        needs="\n".join([*_labels(project, services), *_secrets(wanted)]),
        commands="\n".join([*_networks(networks), _SEND, *sent]),
    )
    return result


def _service(spec: Spec) -> dict[str, Any]:
    service: dict[str, Any] = json.loads(json.dumps(spec.document["Service"]))
    service["Labels"][SPEC_LABEL] = spec.hash
    for secret in service["TaskTemplate"]["ContainerSpec"]["Secrets"]:
        secret["SecretID"] = secret["SecretName"]
    return service


def _labels(project: str, services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not any(is_pinned_by_label(service, project) for service in services.values()):
        return []
    return [f"docker node update --label-add {data_label(project)}=true NODE   # the one that keeps the volumes"]


def _networks(bodies: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for name, body in bodies.items():
        options = [*(["--internal"] if body["Internal"] else []), *(["--opt", "encrypted"] if body["Options"] else [])]
        lines.append(shlex.join(["docker", "network", "create", "--driver", "overlay", *options, name]))
    return lines


def _secrets(wanted: Mapping[str, Spec]) -> list[str]:
    names = {name: secret for spec in wanted.values() for secret, name in spec.secrets.items()}
    return [f"docker secret create {name} FOLDER/{secret}" for name, secret in names.items()]
