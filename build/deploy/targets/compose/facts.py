"""What a container was made with, by the engine's record, against what its Compose file says: where they differ.

The engine's record has defaults that no file names, and other units; so each item is compared in a form of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from build.deploy.target import Spec
from build.stack.sizes import in_bytes

Record = Mapping[str, Any]


def differences(record: Record, image: Record, spec: Spec) -> list[str]:
    """Each item in which a container differs from its spec, as "NAME is …, expected …"."""
    (wanted,) = spec.document["services"].values()
    result = []
    for name, (expected, actual) in ITEMS.items():
        left, right = expected(wanted, spec.document, image), actual(record)
        if left != right:
            result.append(_worded(name, right, left))
    return result


def paths(spec: Spec) -> list[str]:
    """What a container mounts by its path: folders, and its secrets' files."""
    (wanted,) = spec.document["services"].values()
    folders = [volume["source"] for volume in wanted.get("volumes", []) if volume["type"] == "bind"]
    files = [spec.document["secrets"][name]["file"] for name in wanted.get("secrets", [])]
    return [_plain(path) for path in (*folders, *files)]


def _worded(name: str, actual: Any, expected: Any) -> str:
    if isinstance(actual, dict) and isinstance(expected, dict):
        changed = sorted(key for key in {*actual, *expected} if actual.get(key) != expected.get(key))
        shown = (f"{key} is {actual.get(key, 'absent')}, expected {expected.get(key, 'absent')}" for key in changed)
        return f"{name}: {', '.join(shown)}"
    return f"{name} is {_text(actual)}, expected {_text(expected)}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, (list, tuple)) else str(value)


def seconds(text: str) -> float:
    """Seconds that Compose means by 10s or 500ms."""
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


def _variables(entries: Any) -> dict[str, str]:
    return dict(sorted(entry.split("=", 1) for entry in entries or []))


def _wanted_environment(wanted: Record, _document: Record, image: Record) -> dict[str, str]:
    own = {name: _plain(value) for name, value in wanted["environment"].items()}
    return _variables((image.get("Config") or {}).get("Env")) | own


def _plain(text: str) -> str:
    return text.replace("$$", "$")


def _wanted_mounts(wanted: Record, document: Record, _image: Record) -> dict[str, str]:
    mounts = {
        f"/run/secrets/{name}": f"{_plain(document['secrets'][name]['file'])} ro" for name in wanted.get("secrets", [])
    }
    for volume in wanted.get("volumes", []):
        named = volume["type"] == "volume"
        source = document["volumes"][volume["source"]]["name"] if named else volume["source"]
        mounts[volume["target"]] = f"{_plain(source)} {'ro' if volume.get('read_only') else 'rw'}"
    return dict(sorted(mounts.items()))


def _mounts(record: Record) -> dict[str, str]:
    return dict(
        sorted(
            (mount["Destination"], f"{mount.get('Name') or mount['Source']} {'rw' if mount['RW'] else 'ro'}")
            for mount in record["Mounts"]
            if mount["Type"] != "tmpfs"
        )
    )


def _wanted_ports(wanted: Record, _document: Record, _image: Record) -> dict[str, str]:
    return {f"{port['target']}/tcp": f"{port['host_ip']}:{port['published']}" for port in wanted["ports"]}


def _ports(record: Record) -> dict[str, str]:
    bound = record["HostConfig"]["PortBindings"] or {}
    return {
        port: ", ".join(f"{binding['HostIp']}:{binding['HostPort']}" for binding in bindings or [])
        for port, bindings in bound.items()
    }


def _wanted_health(wanted: Record, _document: Record, _image: Record) -> dict[str, float]:
    check = wanted["healthcheck"]
    return {key: value if key == "retries" else seconds(value) for key, value in sorted(check.items())}


def _health(record: Record) -> dict[str, float]:
    check = record["Config"].get("Healthcheck") or {}
    named = {
        "interval": "Interval", "retries": "Retries", "start_interval": "StartInterval", "start_period": "StartPeriod",
        "timeout": "Timeout",
    }  # fmt: skip
    return {key: check.get(name, 0) if key == "retries" else check.get(name, 0) / 1e9 for key, name in named.items()}


def _listed(key: str) -> Callable[[Record], Any]:
    return lambda record: record["HostConfig"][key] or []


def _host(key: str) -> Callable[[Record], Any]:
    return lambda record: record["HostConfig"][key]


# What is compared: what the service, its whole file and its image's record say, and what the container's record says.
ITEMS: dict[str, tuple[Callable[[Record, Record, Record], Any], Callable[[Record], Any]]] = {
    "image": (lambda wanted, *_: wanted["image"], lambda record: record["Config"]["Image"]),
    "user": (lambda wanted, *_: wanted["user"], lambda record: record["Config"]["User"]),
    "read-only root": (lambda wanted, *_: wanted["read_only"], _host("ReadonlyRootfs")),
    "dropped capabilities": (lambda wanted, *_: wanted["cap_drop"], _listed("CapDrop")),
    "added capabilities": (lambda *_: [], _listed("CapAdd")),
    "privileged": (lambda *_: False, _host("Privileged")),
    "security options": (lambda wanted, *_: wanted["security_opt"], _listed("SecurityOpt")),
    "tmpfs": (
        lambda wanted, *_: dict(entry.split(":", 1) for entry in wanted["tmpfs"]),
        lambda record: record["HostConfig"].get("Tmpfs") or {},
    ),
    "restart": (
        lambda wanted, *_: wanted["restart"],
        lambda record: record["HostConfig"]["RestartPolicy"]["Name"],
    ),
    "stop grace": (
        lambda wanted, *_: seconds(wanted["stop_grace_period"]),
        lambda record: float(record["Config"].get("StopTimeout") or 10),
    ),
    "health check": (_wanted_health, _health),
    "environment": (_wanted_environment, lambda record: _variables(record["Config"]["Env"])),
    "networks": (
        lambda wanted, document, _: sorted(document["networks"][key]["name"] for key in wanted["networks"]),
        lambda record: sorted(record["NetworkSettings"]["Networks"]),
    ),
    "ports": (_wanted_ports, _ports),
    "mounts": (_wanted_mounts, _mounts),
    "memory": (lambda wanted, *_: in_bytes(wanted["mem_limit"]), _host("Memory")),
    "CPUs": (lambda wanted, *_: float(wanted["cpus"]), lambda record: record["HostConfig"]["NanoCpus"] / 1e9),
    "processes": (lambda wanted, *_: wanted["pids_limit"], _host("PidsLimit")),
    "logging": (
        lambda wanted, *_: {"driver": wanted["logging"]["driver"], **wanted["logging"]["options"]},
        lambda record: {
            "driver": record["HostConfig"]["LogConfig"]["Type"], **(record["HostConfig"]["LogConfig"]["Config"] or {})
        },
    ),
}  # fmt: skip
