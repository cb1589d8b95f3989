"""A release's record, and how skipped gates, waivers and stand-ins are recorded and listed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from build.engine import client as docker
from tests.release.queries import digests, listed, ok, recorded
from tests.support.project import PYTHON, REPOSITORY, Project
from tests.support.stack import reuse_bases
from tests.support.steps import begins
from tests.support.world import World

# Put together here, so that no scanner of this repository takes it for a real one.
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
WAIVER = """\
secrets:
  - id: github-pat
    expired_at: {until}
    statement: revoked long ago
"""


def test_the_summary_of_a_job_names_what_was_released(world: World, tmp_path: Path) -> None:
    """On GitHub the summary has the version, its tag, the skipped gates, and each image with its digest."""
    summary = tmp_path / "summary.md"

    ok(world.clone.release(GITHUB_STEP_SUMMARY=str(summary)))

    text = summary.read_text(encoding="utf-8")
    assert text.startswith("### Released: ")
    assert "0.1.0, tag v0.1.0; scan SKIPPED; smoke SKIPPED" in text
    assert all(digest in text for digest in digests(world, "0.1.0").values())


def test_the_record_is_the_same_bytes_in_git_and_registry(world: World) -> None:
    """The git tag and the artifact contain the same record; it matches its schema and names what was released."""
    ok(world.clone.release())
    repository = f"{world.namespace}/release"

    manifest = world.hub.manifest(repository, "0.1.0")
    (layer,) = manifest["layers"]
    content = world.hub.blob(repository, layer["digest"])

    assert content == world.record_bytes("v0.1.0")
    record = json.loads(content or b"")
    schema = json.loads((REPOSITORY / "build" / "release" / "release-record.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(record, schema, format_checker=jsonschema.FormatChecker())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record | {"extra": 1}, schema)
    assert manifest["artifactType"] == layer["mediaType"] == "application/vnd.unity-claude.release.v1+json"
    assert record["commit"] == world.clone.git("rev-parse", "HEAD")
    assert {name: one["digest"] for name, one in record["services"].items()} == digests(world, "0.1.0")
    assert {one["origin"] for one in record["services"].values()} == {"built"}
    assert {"engine", "buildx", "compose", "trivy"} <= {name for name, value in record["tools"].items() if value}
    assert record["services"]["one"]["platforms"] == [docker.cli("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}").stdout.strip()]  # fmt: skip


def test_g4_every_image_carries_the_version_that_was_computed(world: World) -> None:
    """The computed version is the tag and the label of every image, and no other version is."""
    ok(world.clone.release("--version", "0.7.0"))

    for name in ("one", "two"):
        repository = f"{world.namespace}/{name}"
        image = world.hub.manifest(repository, world.hub.manifest(repository, "0.7.0")["manifests"][0]["digest"])
        config = json.loads(world.hub.blob(repository, image["config"]["digest"]) or b"")
        assert config["config"]["Labels"]["org.opencontainers.image.version"] == "0.7.0"
        assert sorted(world.hub.tags(repository)) == ["0", "0.7", "0.7.0"]


def test_skipped_gates_are_recorded_permanently(world: World) -> None:
    """A skipped gate is in the record, in the release's output, and in every list from any clone."""
    ran = ok(world.clone.release())

    assert "scan SKIPPED; smoke SKIPPED" in ran.stdout
    other = world.another()
    assert listed(other)["v0.1.0"]["skipped"] == ["scan", "smoke"]
    assert "scan SKIPPED; smoke SKIPPED" in ok(other.inv("releases", COLUMNS="200")).stdout
    assert world.record("v0.1.0")["gates"]["scan"]["verdict"] == "skipped"


def test_c1_the_commit_of_a_source_in_another_repository_is_recorded(world: World) -> None:
    """An image is made of that commit too, so the record names it."""
    source = world.folder / "modules"
    source.mkdir()
    modules = Project(source)
    modules.write("Module.psm1", "function A {}\n")
    modules.git("init", "--quiet", "--initial-branch", "main")
    modules.git("config", "user.name", "Test")
    modules.git("config", "user.email", "test@example.invalid")
    modules.write(".dockerignore", ".git\n")
    commit = modules.commit("feat: a module")
    project = world.clone.project
    text = (project.root / "versions.toml").read_text().replace('watched = ""', f'watched = "{source}"')
    project.write("versions.toml", text.replace("port = 18980", 'port = 18980\ncontexts = { more = "source:watched" }'))
    project.write("docker/one/Dockerfile", "FROM scratch\nCOPY content /content\nCOPY --from=more . /more\n")
    world.clone.share("feat: modules from elsewhere")

    ok(world.clone.release())

    assert world.record("v0.1.0")["tools"]["source watched"] == commit


def _leak(world: World) -> None:
    world.clone.project.write("docker/one/content", f"GITHUB_PAT={TOKEN}\n")
    world.clone.project.append('[filter]\nallow = ["content"]\n')  # it would not be sent otherwise
    world.clone.project.write(".trivyignore.yaml", WAIVER.format(until=(datetime.now(UTC) + timedelta(days=30)).date()))
    world.clone.project.commit("fix: leak")
    world.clone.git("push", "--quiet", "origin", "main")


def test_nothing_is_public_before_the_scan_has_passed_and_waivers_are_recorded(world: World) -> None:
    """A finding stops the release with nothing public; once waived, the same digests are released, with the waiver listed."""
    _leak(world)

    refused = world.clone.inv("release", "--skip-smoke")

    assert refused.code == 5, refused.text
    assert (world.public().git, world.public().images) == ({}, {})
    ran = ok(world.clone.inv("release", "--skip-smoke", UC_GATES_WAIVERS_FILE=".trivyignore.yaml"))
    assert "builds nothing" in ran.stderr, "the digests that were scanned are those that are released"
    scan = world.record("v0.1.0")["gates"]["scan"]
    assert (scan["verdict"], scan["checks"], scan["waivers"]) == ("passed", 2, ["github-pat"])
    assert listed(world.clone)["v0.1.0"]["waivers"] == ["github-pat"]
    assert "waived" in ok(world.clone.inv("releases", COLUMNS="200")).stdout


def test_a_scan_without_a_database_is_refused_where_one_is_required(world: World) -> None:
    """If vulnerabilities must be checked and can't be, the gate could not run: exit 8, and nothing is public."""
    ran = world.clone.inv("release", "--skip-smoke", UC_GATES_REQUIRE_VULNERABILITIES="true")

    assert ran.code == 8, ran.text
    assert "» preflight" in ran.stderr
    assert "» build" not in ran.stderr, "nothing is built for a release that would be refused"
    assert "--skip vulnerabilities" in ran.stderr
    assert (world.public().git, world.public().images) == ({}, {})


def test_a_release_without_vulnerabilities_keeps_the_word_that_allowed_it(world: World) -> None:
    """--skip vulnerabilities leaves out that check alone, for this release, and every list shows it."""
    required = {"UC_GATES_REQUIRE_VULNERABILITIES": "true"}
    ran = ok(world.clone.inv("release", "--skip-smoke", "--skip", "vulnerabilities", **required))

    assert "the check of vulnerabilities is skipped; the release records that permanently" in ran.stderr
    scan = world.record("v0.1.0")["gates"]["scan"]
    assert (scan["verdict"], scan["checks"], scan["unchecked_by"]) == ("passed", 2, "flag")
    assert listed(world.clone)["v0.1.0"]["skipped"] == ["smoke", "vulnerabilities"]


def test_only_ci_releases_where_it_is_the_authority(make_world: Callable[..., World]) -> None:
    """authority = "ci" refuses a person before anything is done, accepts and records --local, and accepts a CI job."""
    world = make_world(authority='"ci"')
    refused = world.clone.release()
    assert refused.code == 14, refused.text
    assert "authority is 'ci'" in refused.stderr
    assert "» " not in refused.stderr
    assert world.clone.inv("release", "--resume").code == 14

    ok(world.clone.release("--local"))
    world.clone.touch()
    ok(world.clone.release("--bump", "patch", CI="true", GITLAB_CI="true"))

    releases = listed(world.clone)
    assert [releases[tag]["authority"] for tag in ("v0.1.0", "v0.1.1")] == ["local", "GitLab CI"]


def test_another_branch_does_not_release(world: World) -> None:
    """A branch that is not in [release] branches is refused before anything is built."""
    world.clone.git("switch", "--quiet", "--create", "feature")

    ran = world.clone.release()

    assert ran.code == 14, ran.text
    assert "branch feature does not release" in ran.stderr
    assert begins("build") not in ran.stderr


def test_a_stand_in_base_is_refused_unless_named(world: World, python_base: dict[str, Any]) -> None:
    """A stand-in base is refused by name before the build; if named in the settings, it is recorded and listed."""
    project = world.clone.project
    text = (project.root / "versions.toml").read_text()
    project.write("versions.toml", text.replace("port = 18980", 'port = 18980\nbases = ["python"]'))
    project.write("docker/one/Dockerfile", "FROM python AS base\nFROM scratch\nCOPY --from=base /etc/hostname /\n")
    reuse_bases(project, python_base)
    project.commit("fix: stand on a base")
    project.git("push", "--quiet", "origin", "main")

    ran = world.clone.release(UC_BASES_SOURCE="stand-in")

    assert ran.code == 14, ran.text
    assert f"python ({PYTHON})" in ran.stderr
    assert begins("build") not in ran.stderr
    allowed = {"UC_BASES_SOURCE": "stand-in", "UC_RELEASE_STAND_INS": "python"}
    ok(world.clone.release(**allowed))
    base = world.record("v0.1.0")["services"]["one"]["bases"]["python"]
    assert (base["reference"], base["source"]) == (PYTHON, "stand-in")
    assert world.record("v0.1.0")["tools"]["base python"].startswith("made 20")
    assert listed(world.clone)["v0.1.0"]["stand_ins"] == ["python"]
    assert digests(world, "0.1") == recorded(world, "v0.1.0")
