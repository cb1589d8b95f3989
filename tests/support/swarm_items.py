"""A container on a swarm that has every item of the model, and whether all of them arrived there."""

from __future__ import annotations

import json

from tests.support.swarm_site import SwarmSite

VALUE = "the value"


def with_every_item(place: SwarmSite) -> SwarmSite:
    """The site whose `web` has every item, on the second node, where its source is; its secret's file is there, too."""
    node = place.nodes.all[1]
    place.project.append(
        'secrets = ["alpha"]\nvolumes = { data = "/data" }\nmounts = { watched = "/watched" }\nmemory = "64m"\n'
        'cpus = "0.5"\npids = 64\nnetworks = ["edge", "internal"]\nrelease_folder = "/run/uc"\n'
        'environment = { SIDE = "left $HOME {{.Node.Hostname}}" }\n'
    )
    place.project.write("values/alpha", f"{VALUE}\n")
    (node.folder / "watched").mkdir(exist_ok=True)
    return place.changed(
        secrets="values",
        placement={"web": (f"node.hostname == {node.name}",)},
        sources={"watched": str(node.folder / "watched")},
    )


def has_no_new_privileges(place: SwarmSite) -> bool:
    """Whether the container can't gain privileges, by the kernel and by the engine's record; fails if they differ."""
    status = _status(place)
    option = "no-new-privileges" in "".join(place.inspected("web")["HostConfig"]["SecurityOpt"] or ())
    assert (status["NoNewPrivs"] == "1") == option
    return option


def assert_arrived(place: SwarmSite, image: str) -> None:
    """Fail unless every item but no-new-privileges is in the running container, by its engine and from inside."""
    record = place.inspected("web")
    host, config = record["HostConfig"], record["Config"]
    status = _status(place)
    mounts = place.inside("web", "cat", "/proc/mounts").splitlines()
    attributes = 'my @s = stat "/run/secrets/alpha"; printf "%o %d %d", $s[2] & 07777, $s[4], $s[5]'
    assert (status["CapEff"], status["CapBnd"]) == ("0" * 16, "0" * 16)
    assert (status["Uid"].split()[0], status["Gid"].split()[0]) == ("10001", "10001")
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert any(line.startswith("tmpfs /tmp ") and "size=131072k" in line for line in mounts), mounts
    assert place.inside("web", "perl", "-e", 'printf "%o", (stat "/tmp")[2] & 07777') == "1777"
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 64)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    assert place.inside("web", "cat", "/run/secrets/alpha") == VALUE
    assert place.inside("web", "perl", "-e", attributes) == "400 10001 10001"
    assert place.inside("web", "sh", "-c", "echo kept > /data/x && cat /data/x") == "kept"
    assert "Read-only" in place.inside("web", "sh", "-c", "echo x 2>&1 > /watched/x || true")
    assert {(mount["Type"], mount["Destination"], mount["RW"]) for mount in record["Mounts"]} >= {
        ("volume", "/data", True), ("bind", "/watched", False),
    }  # fmt: skip
    assert set(config["Env"]) >= {"UC_SERVICE=web", "SIDE=left $HOME {{.Node.Hostname}}"}
    assert "UC_RELEASE_FILE" not in "".join(config["Env"])
    assert config["Image"] == image
    assert (config["Healthcheck"]["StartInterval"], config["Healthcheck"]["Retries"]) == (200_000_000, 2)
    assert set(record["NetworkSettings"]["Networks"]) >= {f"{place.name}-edge", f"{place.name}-internal"}
    internal = json.loads(place.nodes.first.docker("network", "inspect", f"{place.name}-internal"))[0]
    assert (internal["Internal"], internal["Driver"]) == (True, "overlay")


def _status(place: SwarmSite) -> dict[str, str]:
    """What the kernel says of the container's first process."""
    lines = place.inside("web", "cat", "/proc/1/status").splitlines()
    return dict(line.split(":\t") for line in lines if ":\t" in line)
