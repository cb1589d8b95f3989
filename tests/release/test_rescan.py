"""The scan of what is released: by the digests of the record, with another database than that of the release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.release.queries import ok, recorded
from tests.support import database_writer
from tests.support.world import World

METADATA = "Metadata-Version: 2.1\nName: Jinja2\nVersion: 2.10\n"


@pytest.fixture
def database(world: World) -> str:
    """Today's database, which knows of what the release of the world did not."""
    bolt = database_writer.bolt(database_writer.advisories())
    made = datetime.now(UTC).replace(microsecond=0)
    return database_writer.push(world.address, f"{world.namespace}/db", database_writer.artifact(bolt, made))


def _pack(world: World, service: str) -> None:
    """Give an image a vulnerable package, in a release without the check of vulnerabilities."""
    project = world.clone.project
    project.write(f"docker/{service}/lib/Jinja2-2.10.dist-info/METADATA", METADATA)
    project.write(f"docker/{service}/Dockerfile", "FROM scratch\nCOPY content /content\nCOPY lib /lib\n")
    world.clone.share(f"feat: pack {service}")


def test_a_release_that_became_bad_is_refused(world: World, database: str) -> None:
    """The same digests that passed are refused once a vulnerability is known; the checkout plays no part in it."""
    _pack(world, "one")
    ok(world.clone.inv("release", "--skip-smoke"))
    world.clone.project.write("docker/one/lib/Jinja2-2.10.dist-info/METADATA", METADATA.replace("2.10", "3.1.6"))
    world.clone.share("fix: upgrade")

    for name in ("0.1.0", "0.1", "newest"):
        ran = world.clone.inv("scan", "--release", name, "--json", UC_GATES_DB_REPOSITORY=database)
        assert ran.code == 5, ran.text
        verdicts = {verdict["service"]: verdict for verdict in ran.result}
        assert {name: verdict["reference"].partition("@")[2] for name, verdict in verdicts.items()} == recorded(
            world, "v0.1.0"
        )
        assert {name: verdict["refused"] for name, verdict in verdicts.items()} == {"one": True, "two": False}
        assert not [verdict for verdict in verdicts.values() if "cdx.json" in verdict["reports"]]

    ok(world.clone.inv("scan", "two", "--release", "newest", UC_GATES_DB_REPOSITORY=database))


def test_a_scan_of_a_release_needs_todays_database(world: World) -> None:
    """Without one the job has not done its work: exit 8. A release that there is not is refused by name."""
    ok(world.clone.release())

    text = (world.clone.project.root / "versions.toml").read_text()
    world.clone.project.write("versions.toml", text.replace("require_vulnerabilities = false\n", ""))

    ran = world.clone.inv("scan", "--release", "newest")
    assert (ran.code, "vulnerabilities were NOT checked, which is required here" in ran.stderr) == (8, True), ran.text
    ran = world.clone.inv("scan", "--release", "9.9.9")
    assert (ran.code, "no complete release 9.9.9" in ran.stderr) == (14, True), ran.text


def test_before_the_first_release_nothing_is_scanned(world: World) -> None:
    """A nightly job of a new project does not fail."""
    ran = ok(world.clone.inv("scan", "--release", "newest"))

    assert "no release yet: nothing to scan" in ran.stderr


def test_each_service_has_a_newest_release_of_its_own(make_world: Callable[..., World]) -> None:
    """In independent mode newest is the last of each line; a pre-release is not, where there is a release."""
    world = make_world(mode='"independent"')
    ok(world.clone.release())
    world.clone.commit("one", "fix: change")
    ok(world.clone.release())
    world.clone.commit("two", "fix: change")
    ok(world.clone.release("--pre", "rc"))

    ran = ok(world.clone.inv("scan", "--release", "newest", "--dry-run", "--json"))

    digests = {name: reference.partition("@")[2] for name, reference in ran.result.items()}
    assert digests == recorded(world, "one/v0.1.1") | recorded(world, "two/v0.1.0")
