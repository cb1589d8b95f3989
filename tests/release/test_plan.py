"""Plans that are saved, reviewed and applied, or refused because something changed; and commits without a release."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from tests.release.queries import INDEX, OTHER, digests, listed, ok, planned, recorded
from tests.support.invariants import assert_invariants
from tests.support.proxy import Proxy
from tests.support.samples import deep
from tests.support.steps import begins
from tests.support.world import FAST, Clone, World


def _head(world: World) -> None:
    world.clone.project.commit("chore: later")


def _remote_tags(world: World) -> None:
    world.clone.git("push", "--quiet", "origin", "HEAD:refs/tags/v0.0.1")


def _registry(world: World) -> None:
    world.hub.put(f"{world.namespace}/release", "9.9.9-yanked", OTHER, INDEX)


def _manifest(world: World) -> None:
    world.clone.environment["UC_GATES_SEVERITY"] = "LOW"


def _sources(world: World) -> None:
    world.clone.project.write("docker/one/content", "not what was reviewed\n")


@pytest.mark.parametrize(
    ("move", "part"),
    [
        (_head, "HEAD"),
        (_remote_tags, "the remote's tags"),
        (_registry, "the registry"),
        (_manifest, "the manifest"),
        (_sources, "the images' sources"),
    ],
)
def test_a_plan_is_refused_when_the_world_moved(
    make_world: Callable[..., World], move: Callable[[World], None], part: str
) -> None:
    """The error names what changed since the plan was saved, and nothing is done."""
    world = make_world()
    world.clone.environment = dict(world.clone.environment)
    ok(world.clone.inv("release", "--plan", ".uc/plan.json"))
    move(world)

    ran = world.clone.release("--apply", ".uc/plan.json")

    assert ran.code == 14, ran.text
    assert f"the plan is stale: {part} moved since it was made" in ran.stderr
    assert set(world.git_tags()) <= {"v0.0.1"}


def test_a_saved_plan_is_carried_out(world: World) -> None:
    """Applying a plan does exactly what was reviewed: version, images, tags."""
    ok(world.clone.inv("release", "--bump", "minor", "--plan", ".uc/plan.json"))
    saved = json.loads((world.clone.project.root / ".uc" / "plan.json").read_text())

    ok(world.clone.release("--apply", ".uc/plan.json"))

    (line,) = saved["lines"]
    assert list(world.git_tags()) == [line["tag"]]
    moved = {f"{one['repository'].rpartition('/')[2]}:{one['tag']}" for one in line["tags"]}
    assert moved == {name for name in world.public().images if not name.startswith("release:")}


@pytest.mark.parametrize("line", [begins("record"), *deep(begins("build"), begins("claim"))])
def test_a_plan_whose_release_was_killed_is_carried_out_by_the_same_command(world: World, line: str) -> None:
    """Killed before the claim, the plan still applies; after it, its release is finished and no other is made."""
    ok(world.clone.inv("release", "--bump", "minor", "--plan", ".uc/plan.json"))
    running = world.clone.start("release", *FAST, "--apply", ".uc/plan.json")
    assert running.when(line, lambda: running.kill(children=True)).wait().code == -9

    ok(world.clone.release("--apply", ".uc/plan.json"))

    saved = json.loads((world.clone.project.root / ".uc" / "plan.json").read_text())
    assert list(world.git_tags()) == [saved["lines"][0]["tag"]]
    assert_invariants(world)


@pytest.mark.parametrize(("text", "reason"), [(None, "no such file"), ("{}", "not a plan"), ("x", "not a plan")])
def test_a_file_that_is_not_a_plan_is_refused(world: World, text: str | None, reason: str) -> None:
    """A missing file and a file that is not a plan are refused, with the command that creates one."""
    if text is not None:
        world.clone.project.write(".uc/plan.json", text)

    ran = world.clone.release("--apply", ".uc/plan.json")

    assert ran.code == 14, ran.text
    assert reason in ran.stderr
    assert "--plan" in ran.stderr


def test_a_plan_that_can_t_be_saved_is_reported(world: World) -> None:
    """A missing folder is created; a path that can't be written to is named, and nothing else happens."""
    ok(world.clone.inv("release", "--plan", "plans/today/plan.json"))
    assert json.loads((world.clone.project.root / "plans/today/plan.json").read_text())["lines"]

    ran = world.clone.inv("release", "--plan", "versions.toml/plan.json")

    assert ran.code == 14, ran.text
    assert "can't be saved" in ran.stderr
    assert "Traceback" not in ran.text


def _stale(world: World) -> Clone:
    """A clone with a commit after the last release, but without the tag of that one, which was made elsewhere."""
    ok(world.clone.release())
    world.clone.commit("one")
    stale = world.another()
    ok(world.clone.release())
    stale.git("switch", "--quiet", "--create", "0.1.x")
    stale.commit("two")
    return stale


def test_a_dry_run_knows_what_the_remote_knows(world: World) -> None:
    """A dry run in a clone that never fetched a tag plans the same version as a release would make."""
    stale = _stale(world)

    (line,) = planned(stale, "--bump", "patch")["lines"]

    assert (line["version"], line["previous"]) == ("0.1.2", "0.1.1")


def test_a_plan_of_a_stale_clone_is_carried_out(world: World) -> None:
    """A plan is saved with the remote's tags, so a release records what was reviewed."""
    stale = _stale(world)
    ok(stale.inv("release", "--bump", "patch", "--plan", ".uc/plan.json"))

    ok(stale.release("--apply", ".uc/plan.json"))

    assert world.record("v0.1.2")["previous"] == "0.1.1"


def test_a_plan_asks_the_registry_about_what_it_would_do_and_no_more(faulty: World, proxy: Proxy) -> None:
    """A plan makes one request for each reused image and each tag it moves; an empty plan makes none."""
    ok(faulty.clone.release())
    faulty.clone.commit("one")
    proxy.heal()

    (line,) = planned(faulty.clone)["lines"]

    asked = [one.path for one in proxy.seen if re.search("/(one|two)/manifests/", one.path)]
    names = [
        f"{faulty.namespace}/{one['service']}/manifests/{one['digest']}" for one in line["services"] if one["digest"]
    ]
    names += [f"{one['repository']}/manifests/{one['tag']}" for one in line["tags"]]
    assert sorted(asked) == sorted(f"/v2/{name}" for name in names)
    proxy.heal()
    faulty.clone.git("reset", "--quiet", "--hard", "v0.1.0")
    assert planned(faulty.clone)["lines"] == []
    assert proxy.count("/(one|two)/manifests/") == 0


def test_a_dry_run_names_a_release_interrupted_elsewhere(world: World) -> None:
    """A dry run names a release that another clone claimed but did not finish: it would be finished first."""
    other = world.another()
    running = world.clone.start("release", *FAST)
    assert running.when(begins("publish"), running.kill).wait().code == -9

    assert planned(other)["unfinished"] == ["v0.1.0"]


def test_a_release_claimed_elsewhere_is_listed(world: World) -> None:
    """A clone that has not fetched lists it as interrupted; if the remote is unreachable it says so and lists its own tags."""
    other = world.another()
    running = world.clone.start("release", *FAST)
    assert running.when(begins("publish"), running.kill).wait().code == -9

    assert listed(other)["v0.1.0"]["state"] == "interrupted"

    other.git("remote", "set-url", "origin", str(world.folder / "gone"))
    ran = ok(other.inv("releases", "--json"))
    assert [one["tag"] for one in ran.result] == ["v0.1.0"]
    assert "the tags of this clone are listed" in ran.stderr


def test_nothing_to_release_is_not_a_failure(world: World) -> None:
    """A push that bumps nothing is not an error: exit 0 with the reason, and nothing is made."""
    ok(world.clone.release())
    world.clone.commit("one", "docs: words")
    before = world.public()

    ran = ok(world.clone.release())

    assert "nothing to release" in ran.text
    assert "no commit since 0.1.0 bumps a version" in ran.text
    assert world.public() == before
    assert planned(world.clone)["lines"] == []


def test_pre_releases_climb_to_their_release(world: World) -> None:
    """rc.1, rc.2, then the release itself with exactly the images of rc.2."""
    clone = world.clone
    for arguments, version in (
        (("--version", "1.4.0"), "1.4.0"),
        (("--bump", "minor", "--pre", "rc"), "1.5.0-rc.1"),
        (("--bump", "minor", "--pre", "rc"), "1.5.0-rc.2"),
        ((), "1.5.0"),
    ):
        assert f"→ {version};" in ok(clone.release(*arguments)).stderr
        clone.touch()

    assert recorded(world, "v1.5.0") == recorded(world, "v1.5.0-rc.2") == digests(world, "1")
    assert digests(world, "1.5.0-rc.1") != {}
    assert [listed(clone)[tag]["state"] for tag in ("v1.5.0-rc.1", "v1.5.0")] == ["complete", "complete"]


def test_an_explicit_version(world: World) -> None:
    """--version takes a valid version that is unused and higher than the last."""
    ok(world.clone.release("--version", "2.0.0"))
    world.clone.touch()

    for version, code, reason in (
        ("2.0.0", 15, "is taken"),
        ("1.0.0", 3, "ranks below 2.0.0"),
        ("2.1", 3, "not a semantic version"),
        ("2.1.0+meta", 3, "build metadata can't be in an image tag"),
        ("2.1.0-yanked", 3, "yanked"),
        (f"2.1.0-{'a' * 116}", 3, "121 at most"),
    ):
        ran = world.clone.release("--version", version)
        assert (ran.code, reason in ran.stderr) == (code, True), ran.text
    both = world.clone.release("--version", "3.0.0", "--bump", "major")
    assert both.code == 14
    assert list(world.git_tags()) == ["v2.0.0"]


def test_g2_a_dirty_tree_is_not_released(world: World) -> None:
    """A changed file, or an untracked file that gets into an image, stops a release before anything is built."""
    for name in ("docker/one/content", "docker/one/stray"):
        world.clone.project.write(name, "changed\n")
        ran = world.clone.release()
        assert (ran.code, name in ran.stderr) == (3, True), ran.text
        assert begins("build") not in ran.stderr
        world.clone.git("checkout", "--quiet", ".")
    assert world.git_tags() == {}


def test_c1_what_the_commit_does_not_have_is_not_released(world: World) -> None:
    """A file that git ignores, and that a build sends, stops a release with its path, its reason and the way out."""
    world.clone.project.write(".git/info/exclude", "settings.local\n")
    world.clone.project.write("docker/one/settings.local", "TOKEN=secret\n")

    for ran in (world.clone.release(), world.clone.inv("version")):
        assert "docker/one/settings.local (ignored by git and still sent)" in ran.stderr, ran.text
    refused = world.clone.release()
    assert (refused.code, ".dockerignore" in refused.stderr) == (3, True), refused.text
    assert ".gitignore" not in refused.stderr
    assert begins("build") not in refused.stderr
    assert world.git_tags() == {}


def test_g1_a_shallow_clone_is_not_released(world: World) -> None:
    """A shallow clone is refused with the command that fixes it, and that command works."""
    ok(world.clone.release())
    world.clone.commit("one")
    world.clone.commit("two")
    clone: Clone = world.another()
    clone.git("fetch", "--quiet", "--depth", "1", "origin", "main", "--update-shallow")
    root = clone.project.root
    (root / ".git" / "shallow").write_text(clone.git("rev-parse", "HEAD") + "\n")

    ran = clone.release()

    assert ran.code == 3, ran.text
    assert "git fetch --unshallow --tags" in ran.stderr
    clone.git("fetch", "--quiet", "--unshallow", "--tags")
    ok(clone.release())
    assert sorted(world.git_tags()) == ["v0.1.0", "v0.1.1"]


def test_v1_a_release_and_its_preview_warn_of_what_looks_conventional(world: World) -> None:
    """A commit that was probably meant to bump is named by the dry run, in its JSON and by the release that finds nothing."""
    ok(world.clone.release())
    commit = world.clone.touch("feat!(one): drop a port")

    shown, document = world.clone.inv("release", "--dry-run"), world.clone.inv("release", "--dry-run", "--json")
    made = world.clone.release()

    warning = f"warning: {commit[:7]} 'feat!(one): drop a port' is not a Conventional Commit: probably 'feat(one)!: drop a port'"
    assert warning in shown.stderr
    assert [miss["commit"] for miss in document.result["near_misses"]] == [commit]
    assert warning in made.stderr
    assert "nothing to release" in made.text
