"""The Compose file of the stack, made from the manifest: every container gets the same hardening by construction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from build.config.manifest import Container, Manifest, Service

USER = "10001:10001"
_HEADER = """\
# {purpose}
# Generated from versions.toml by `./inv compose`; do not edit. `nox -s lint` fails when it is stale.
"""
_HEALTH = {
    # The command is the image's own HEALTHCHECK; without start_interval the first answer would wait a whole interval.
    "interval": "10s",
    "timeout": "5s",
    "retries": 3,
    "start_period": "60s",
    "start_interval": "500ms",
}
_HARDENING: dict[str, Any] = {
    "user": USER,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "tmpfs": ["/tmp:size=128m,mode=1777"],
    "restart": "unless-stopped",
    "stop_grace_period": "10s",
    "healthcheck": _HEALTH,
}
_LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


def stack(manifest: Manifest, images: Mapping[str, str], *, secrets: Path) -> dict[str, Any]:
    """The Compose model of every container whose service has an entry in `images` (service → image reference).

    A dependency on a container that is left out is left out too.
    """
    containers = {name: entry for name, entry in manifest.containers().items() if entry[0] in images}
    used_secrets = sorted({secret for _, settings in containers.values() for secret in settings.secrets})
    used_volumes = sorted({volume for _, settings in containers.values() for volume in settings.volumes})
    project = manifest.project.name
    return {
        "name": project,
        "services": {
            name: _container(manifest, name, manifest.services[service], settings, images[service], containers)
            for name, (service, settings) in containers.items()
        },
        "networks": {
            "edge": {"name": f"{project}-edge", "driver": "bridge"},
            "internal": {"name": f"{project}-internal", "driver": "bridge", "internal": True},
        },
        "volumes": {volume: {"name": f"{project}-{volume}"} for volume in used_volumes},
        "secrets": {secret: {"file": str(secrets / secret)} for secret in used_secrets},
    }


def _container(
    manifest: Manifest,
    name: str,
    service: Service,
    settings: Container,
    image: str,
    present: Mapping[str, object],
) -> dict[str, Any]:
    mounts = [
        {"type": "bind", "source": str(manifest.source(key)), "target": target, "read_only": True}
        for key, target in settings.mounts.items()
        if manifest.source(key)
    ]
    volumes = [{"type": "volume", "source": key, "target": target} for key, target in settings.volumes.items()]
    depends = {other: {"condition": "service_healthy"} for other in settings.depends_on if other in present}
    return {
        "image": image,
        **_HARDENING,
        "environment": {"UC_SERVICE": name, **settings.environment},
        "networks": list(service.networks),
        "ports": [{"host_ip": "127.0.0.1", "published": str(settings.port), "target": service.port, "protocol": "tcp"}],
        **({"volumes": [*volumes, *mounts]} if volumes or mounts else {}),
        **({"secrets": list(settings.secrets)} if settings.secrets else {}),
        **({"depends_on": depends} if depends else {}),
        "mem_limit": service.memory,
        "cpus": service.cpus,
        "pids_limit": service.pids,
        "logging": _LOGGING,
    }


def fluentd(manifest: Manifest) -> dict[str, Any]:
    """The overlay that sends every container's stdout to Fluentd; asynchronous, so a missing Fluentd stops nothing."""
    options = {
        "fluentd-address": "${FLUENTD_ADDRESS:-127.0.0.1:24224}",
        "fluentd-async": "true",
        "fluentd-max-retries": "3",
        "tag": f"{manifest.project.name}.{{{{.Name}}}}",
    }
    return {
        "services": {name: {"logging": {"driver": "fluentd", "options": options}} for name in manifest.containers()}
    }


def render(model: Mapping[str, Any], purpose: str) -> str:
    """A Compose model as YAML with a header that says where it comes from."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
            return True

    return _HEADER.format(purpose=purpose) + yaml.dump(model, Dumper=Plain, sort_keys=False, width=120)


def reference_files(manifest: Manifest) -> dict[str, str]:
    """The two committed files under docker/, by name: images as variables, paths relative to the project."""
    images = {
        name: "${" + name.upper().replace("-", "_") + "_IMAGE:?run ./inv build first}" for name in manifest.services
    }
    relative = _relative(manifest)
    return {
        "docker/compose.yaml": render(
            stack(relative, images, secrets=Path("../.uc/secrets")),
            "The stack. `./inv up` runs it with the built digests.",
        ),
        "docker/compose.fluentd.yaml": render(fluentd(manifest), "Overlay: logs to Fluentd (`./inv up --fluentd`)."),
    }


def _relative(manifest: Manifest) -> Manifest:
    from dataclasses import replace

    return replace(manifest, root=Path(".."))
