"""What `./inv manifests` writes for a swarm: whoever applies it by hand gets what a deploy brings."""

from __future__ import annotations

import re
import subprocess

from build.deploy.target import DeployedSet
from tests.support import swarm_items
from tests.support.swarm_site import SwarmSite

_TITLES = ("", "By the Engine API", "By a stack file")


def _apply(place: SwarmSite, wanted: DeployedSet, *titles: str) -> None:
    """Write the files, and run the commands that the README has below these titles, on the first manager."""
    for name, text in place.target.files(wanted).items():
        place.project.write(f"out/{name}", text)
    readme = (place.project.root / "out" / "README.md").read_text()
    sections = {section.partition("\n")[0]: section for section in re.split("^#+ ", readme, flags=re.MULTILINE)}
    blocks = [block for title in titles for block in re.findall(r"```sh\n(.*?)```", sections[title], re.DOTALL)]
    assert len(blocks) == len(titles)
    manager = place.nodes.first.host
    script = "".join(blocks).replace("FOLDER", str(place.project.root / "values"))
    script = script.replace("/var/run/docker.sock", manager.removeprefix("unix://"))
    script = script.replace("docker ", f"docker --host {manager} ")
    done = subprocess.run(
        ["sh", "-euc", script], cwd=place.project.root / "out", check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_requests_bring_what_a_deploy_brings(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """The commands of the README bring what a deploy brings: nothing differs."""
    place = swarm_items.with_every_item(swarm_place)
    wanted = place.wanted({"web": swarm_images["good"]})

    _apply(place, wanted, f"{place.name} on a Docker swarm", "By the Engine API")
    place.target.wait("web", wanted.specs["web"])

    assert place.target.observe(wanted.specs)["web"].drift == ()
    assert place.inside("web", "cat", "/run/secrets/alpha") == swarm_items.VALUE


def test_the_stack_file_brings_all_but_no_new_privileges(swarm_place: SwarmSite, swarm_images: dict[str, str]) -> None:
    """`docker stack deploy` takes it, the container is healthy and has every other item; `status` names the one."""
    place = swarm_items.with_every_item(swarm_place)
    wanted = place.wanted({"web": swarm_images["good"]})

    _apply(place, wanted, f"{place.name} on a Docker swarm", "By a stack file")
    place.target.wait("web", wanted.specs["web"])

    swarm_items.assert_arrived(place, swarm_images["good"])
    assert not swarm_items.has_no_new_privileges(place)
    assert place.target.observe(wanted.specs)["web"].drift == ("no-new-privileges is off",)
