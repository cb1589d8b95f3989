"""The Compose files of a stack: what they say of the model, and that the committed ones are current."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from build.config.load import load
from build.engine import hardening
from build.errors import ManifestError
from build.stack import compose, model
from build.stack.model import Stack
from tests.support.project import REPOSITORY, Project


def _stack(project: Project) -> Stack:
    manifest = project.load()
    return model.stack(
        manifest, dict.fromkeys(manifest.services, "registry/x@sha256:0"), model.checkout(manifest, Path("/s"))
    )


def _web(project: Project) -> dict[str, Any]:
    service: dict[str, Any] = compose.document(_stack(project))["services"]["web"]
    return service


def test_the_hardening_is_in_the_file(project: Project) -> None:
    """Each part of it under the key that Compose knows."""
    web = _web(project)

    assert web["user"] == "10001:10001"
    assert web["read_only"] is True
    assert web["cap_drop"] == ["ALL"]
    assert web["security_opt"] == ["no-new-privileges:true"]
    assert web["tmpfs"] == ["/tmp:size=128m,mode=1777"]
    assert [port["host_ip"] for port in web["ports"]] == ["127.0.0.1"]
    assert web["healthcheck"]["start_interval"] == "500ms"
    assert (web["mem_limit"], web["pids_limit"], web["restart"]) == ("512m", 256, hardening.RESTART)
    assert "privileged" not in web


def test_what_a_container_has_none_of_is_left_out(project: Project) -> None:
    """An empty list of secrets, volumes or dependencies would be noise in a file that people read."""
    assert not {"secrets", "volumes", "depends_on"} & _web(project).keys()


def test_a_source_is_mounted_read_only(project: Project) -> None:
    """The user's tree can be read by a container and never written; a volume comes before it and can."""
    path = project.root / "versions.toml"
    path.write_text(path.read_text().replace('watched = ""', 'watched = "tree"'))
    (project.root / "tree").mkdir()
    project.append('mounts = { watched = "/workspace" }\nvolumes = { data = "/data" }\n')

    assert _web(project)["volumes"] == [
        {"type": "volume", "source": "data", "target": "/data"},
        {"type": "bind", "source": str(project.root / "tree"), "target": "/workspace", "read_only": True},
    ]


def test_secrets_are_files_and_nothing_else(project: Project) -> None:
    """A secret appears as a file under /run/secrets, never in the environment."""
    project.append('secrets = ["alpha"]\n')
    document = compose.document(_stack(project))

    assert document["secrets"] == {"alpha": {"file": "/s/alpha"}}
    assert document["services"]["web"]["secrets"] == ["alpha"]
    assert document["services"]["web"]["environment"] == {"UC_SERVICE": "web", "UC_PUBLISHED_PORT": "18980"}


def test_the_internal_network_reaches_nothing_outside(project: Project) -> None:
    """The internal network has no gateway; the other is an ordinary bridge."""
    networks = compose.document(_stack(project))["networks"]

    assert networks["internal"]["internal"] is True
    assert "internal" not in networks["edge"]


def test_every_container_has_a_fluentd_entry_that_needs_no_fluentd() -> None:
    """The overlay names every container and is asynchronous."""
    manifest = load(REPOSITORY, {}, local=False)

    services = compose.fluentd(
        model.stack(manifest, dict.fromkeys(manifest.services, "x"), model.checkout(manifest, Path()))
    )["services"]

    assert set(services) == set(manifest.containers())
    assert {service["logging"]["options"]["fluentd-async"] for service in services.values()} == {"true"}


def test_rendered_yaml_says_the_same(project: Project) -> None:
    """What is written is what was meant, with a header for people."""
    document = compose.document(_stack(project))
    text = compose.render(document, "Test.")

    assert yaml.safe_load(text) == document
    assert text.startswith("# Test.")


def test_an_overlay_of_an_earlier_start_is_gone(project: Project) -> None:
    """A start without Fluentd leaves no overlay that Compose would read."""
    manifest = project.load()
    compose.write(manifest, {"web": "x"}, with_fluentd=True)
    assert manifest.workspace.compose_fluentd.exists()

    compose.write(manifest, {"web": "x"})

    assert manifest.workspace.compose.exists()
    assert not manifest.workspace.compose_fluentd.exists()


def test_stale_reference_files_are_named_and_renewed(project: Project) -> None:
    """The check writes nothing and names what is stale; writing makes the check pass."""
    (project.root / "docker").mkdir(exist_ok=True)
    with pytest.raises(ManifestError, match=r"docker/compose\.yaml, docker/compose\.fluentd\.yaml") as caught:
        compose.write_reference_files(project.root, check=True)
    assert caught.value.hint == "./inv compose"
    assert not (project.root / "docker/compose.yaml").exists()

    compose.write_reference_files(project.root, check=False)

    compose.write_reference_files(project.root, check=True)


def test_a_version_is_given_where_all_have_it(project: Project) -> None:
    """Images built here have none; services with versions of their own have none in common."""
    manifest = project.load()

    def announced(versions: dict[str, str]) -> dict[str, Any]:
        compose.announce(manifest, {"web": "web@sha256:1", "api": "api@sha256:2"}, versions)
        content: dict[str, Any] = json.loads((manifest.workspace.release / "release.json").read_text())
        return content

    assert announced({})["version"] is None
    assert announced({"web": "1.4.0"})["version"] is None
    assert announced({"web": "1.4.0", "api": "1.5.0"})["version"] is None
    both = announced({"web": "1.4.0", "api": "1.4.0"})
    assert both["version"] == "1.4.0"
    assert both["services"]["web"] == {"version": "1.4.0", "image": "web@sha256:1"}


def test_which_release_runs_may_be_read_by_the_containers_user(project: Project) -> None:
    """Whatever the umask of who starts the stack."""
    folder = project.load().workspace.release
    before = os.umask(0o077)
    try:
        compose.announce(project.load(), {"web": "web@sha256:1"}, {})
    finally:
        os.umask(before)

    assert (folder.stat().st_mode & 0o777, (folder / "release.json").stat().st_mode & 0o777) == (0o755, 0o644)


def test_a_service_that_is_not_started_anew_runs_on_as_it_was_announced(project: Project) -> None:
    """A build of one service, started beside a release, leaves the others that release's; what is gone is not named."""
    manifest = project.load()
    released = {"web": "web@sha256:1", "api": "api@sha256:2", "gone": "gone@sha256:3"}
    compose.announce(manifest, released, dict.fromkeys(released, "1.4.0"))

    compose.announce(manifest, {"web": "web@sha256:9"}, {}, staying={"api"})

    assert json.loads((manifest.workspace.release / "release.json").read_text()) == {
        "version": None,
        "services": {
            "api": {"version": "1.4.0", "image": "api@sha256:2"},
            "web": {"version": None, "image": "web@sha256:9"},
        },
    }
