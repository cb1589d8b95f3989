"""The Compose model: the same hardening for every container, from the manifest alone."""

from __future__ import annotations

from pathlib import Path

import yaml

from build.config.load import load
from build.stack import compose
from tests.support.project import REPOSITORY, Project


def _stack(project: Project, *services: str) -> dict[str, object]:
    manifest = project.load()
    images = dict.fromkeys(services or manifest.services, "registry/x@sha256:0")
    return compose.stack(manifest, images, secrets=Path("/s"))


def test_a_new_service_is_hardened_without_asking(project: Project) -> None:
    """What a service table does not mention is at its safest."""
    web = _stack(project)["services"]["web"]  # type: ignore[index]

    assert web["user"] == "10001:10001"
    assert web["read_only"] is True
    assert web["cap_drop"] == ["ALL"]
    assert web["security_opt"] == ["no-new-privileges:true"]
    assert [port["host_ip"] for port in web["ports"]] == ["127.0.0.1"]
    assert "privileged" not in web


def test_health_is_asked_often_while_starting(project: Project) -> None:
    """Without start_interval the first answer waits a whole interval."""
    assert _stack(project)["services"]["web"]["healthcheck"]["start_interval"]  # type: ignore[index]


def test_a_dependency_that_is_left_out_is_not_waited_for(project: Project) -> None:
    """A service whose image can't be had does not keep the others from starting."""
    project.service("api", 18981, depends_on='["web"]')

    assert "depends_on" in _stack(project)["services"]["api"]  # type: ignore[index]
    assert "depends_on" not in _stack(project, "api")["services"]["api"]  # type: ignore[index]


def test_a_source_is_mounted_read_only(project: Project) -> None:
    """The user's tree can be read by a container and never written."""
    path = project.root / "versions.toml"
    path.write_text(path.read_text().replace('watched = ""', 'watched = "tree"'))
    (project.root / "tree").mkdir()
    project.append('mounts = { watched = "/workspace" }\n')

    (mount,) = _stack(project)["services"]["web"]["volumes"]  # type: ignore[index]

    assert (mount["source"], mount["target"], mount["read_only"]) == (str(project.root / "tree"), "/workspace", True)


def test_secrets_are_files_and_nothing_else(project: Project) -> None:
    """A secret appears as a file under /run/secrets, never in the environment."""
    project.append('secrets = ["alpha"]\n')
    model = _stack(project)

    assert model["secrets"] == {"alpha": {"file": "/s/alpha"}}
    assert model["services"]["web"]["environment"] == {"UC_SERVICE": "web"}  # type: ignore[index]


def test_the_internal_network_reaches_nothing_outside(project: Project) -> None:
    """Service-to-service traffic has a network without a gateway."""
    assert _stack(project)["networks"]["internal"]["internal"] is True  # type: ignore[index]


def test_every_container_has_a_fluentd_entry_that_needs_no_fluentd() -> None:
    """The overlay names every container and is asynchronous."""
    manifest = load(REPOSITORY, {}, local=False)

    services = compose.fluentd(manifest)["services"]

    assert set(services) == set(manifest.containers())
    assert {one["logging"]["options"]["fluentd-async"] for one in services.values()} == {"true"}


def test_rendered_yaml_says_the_same(project: Project) -> None:
    """What is written is what was meant, with a header for people."""
    model = _stack(project)
    text = compose.render(model, "Test.")

    assert yaml.safe_load(text) == model
    assert text.startswith("# Test.")
