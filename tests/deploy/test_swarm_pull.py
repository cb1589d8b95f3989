"""How the images of a set get to every node of a swarm, and what a node that can't have them says."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from build.deploy.targets.swarm import trial
from build.engine.api import Api
from build.engine.remote import Engine
from build.errors import ToolFailed
from tests.support.nodes import Nodes
from tests.support.own_engine import until
from tests.support.swarm_site import SwarmSite


def test_images_are_pulled_on_every_node(swarm_place: SwarmSite, swarm: Nodes) -> None:
    """Each node of the swarm has it afterwards, and no service stays."""
    image = swarm.image("pulled", "LABEL pulled=1")

    swarm_place.target.pull(swarm_place.wanted({"web": image}).specs.values())

    for node in swarm.all[:3]:
        node.docker("image", "inspect", image)
    assert "trial" not in swarm.first.docker("service", "ls", "--format", "{{.Name}}")


def test_a_trial_that_a_deploy_has_swept_is_made_again(swarm_place: SwarmSite, swarm: Nodes) -> None:
    """A plan holds no lock: a deploy beside it takes its trials for what a killed one had left."""
    api = Api(Engine(host=swarm.first.host))
    image = swarm.image("swept", "LABEL swept=1")

    def started() -> set[str]:
        return {one["ID"] for one in api.get("/services", filters={"label": [trial.TRIAL_LABEL]})}

    with ThreadPoolExecutor(1) as pool:
        tried = pool.submit(lambda: list(trial.failures(api, swarm_place.name, [trial.Trial(image=image)], seconds=60)))
        until(lambda: bool(started()) or tried.done(), 30, lambda: "nothing is tried")
        first = started()
        trial.sweep(api, swarm_place.name)
        until(lambda: bool(started() - first) or tried.done(), 30, lambda: "it is not tried again")
        again = started() - first
        assert tried.result() == []
    assert first and again, "it was over before it was swept"
    assert started() == set()


def test_a_node_without_credentials_is_named(
    swarm_place: SwarmSite, swarm: Nodes, swarm_images: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that fixes it; after it each node gets the login, and so does the service."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    secured = swarm.secured(tmp_path / "secured")
    secured.start()
    try:
        image = swarm_images["newer"].replace(swarm.registry.address, secured.address)
        with pytest.raises(ToolFailed) as caught:
            swarm_place.target.pull(swarm_place.wanted({"web": image}).specs.values())
        assert [node.name in str(caught.value) for node in swarm.all] == [True, True, True, False]
        assert f"docker login {secured.address}" in caught.value.hint

        login = base64.b64encode(b"user:secret").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {secured.address: {"auth": login}}}))
        swarm_place.bring(swarm_place.wanted({"web": image}))
        swarm_place.target.pull(swarm_place.wanted({"web": image}).specs.values())
    finally:
        secured.stop()
