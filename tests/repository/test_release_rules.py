"""Release rules that comparable tools are known to break, and the tests that enforce each.

P: partial releases. I: repeated commands (idempotence). F: floating tags. A: races (atomicity). G: versions from git.

For each test the table quotes an action and an assertion from its source. A test that is emptied, skipped or renamed,
or loses either of them, is detected here, in the suite that runs everywhere.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.source import parsed

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Held:
    """A test that enforces a rule: `does` appears in it or its helpers, `asserts` in one of its assertions."""

    test: str
    does: str
    asserts: str


RULES = {
    "P1": "if a service fails to build, no service gets a version tag, git tag or float",
    "P2": "if a push dies between tags, floats still name one set, and resuming finishes",
    "P3": "a service that can't be published is found in preflight",
    "P4": "login and push rights are checked before anything irreversible",
    "P5": "the release becomes complete last, after all manifests are read back",
    "P6": "branch and tag are pushed atomically; a rejected branch leaves no tag",
    "P7": "a run deletes nothing that it did not create",
    "P8": "an incomplete release is detected and finished before the next",
    "P9": "a dry run, a plan and a build without --push write nothing",
    "I1": "the tag exists with the same digest: success, no PUT",
    "I2": "the tag exists with another digest: stop, name both, the version is burned",
    "I3": "resuming never builds",
    "I4": "a stale local record is not published, and unbuilt is not the same as unpushed",
    "I5": "the registry, not the last run, says what was pushed",
    "I6": "a half-published release is finished without a fix in its own commit",
    "I7": "several platforms in an immutable repository: children by digest",
    "F1": "a backport moves only its own minor",
    "F2": "a repair moves no float",
    "F3": "a release candidate does not hold back a patch",
    "F4": "a pre-release moves nothing",
    "F5": "versions compare as numbers; a sha or a date is not a version",
    "F6": "a float has the digest of its release",
    "F7": "latest is refused",
    "F8": "a registry that moves floats itself is left to it",
    "A1": "one of two racing releases wins, the loser publishes nothing",
    "A2": "the version is derived from the remote's tags, right before the claim",
    "A3": "every tag is read back after its PUT",
    "A4": "an image is taken by digest, not by a tag that may move",
    "G1": "a shallow or tagless clone is refused",
    "G2": "a dirty tree is not released",
    "G3": "build metadata never reaches an image tag",
    "G4": "each service is tagged with the computed version",
}
HELD = [
    Held(
        "test_p1_a_service_that_fails_to_build_stops_all", "clone.release(", "world.public().git, world.public().images"
    ),
    Held(
        "test_p2_floats_name_one_set_until_all_is_published",
        "inv('release', '--resume')",
        "digests(faulty, '0.1') == digests(faulty, '0') == recorded(faulty, 'v0.1.0')",
    ),
    Held(
        "test_p3_p4_a_repository_that_takes_no_push_is_found_before_the_build",
        "clone.release(",
        "begins('build') not in ran.stderr",
    ),
    Held(
        "test_p4_a_remote_that_takes_no_tag_is_found_before_the_build",
        "clone.release(",
        "begins('build') not in ran.stderr",
    ),
    Held("test_p5_the_record_comes_after_every_tag_was_read_back", "clone.release(", "last < record < floats"),
    Held(
        "test_p6_a_rejected_branch_leaves_no_tag",
        "clone.release(",
        "(world.git_tags(), world.public().images) == ({}, {})",
    ),
    Held("test_p7_a_failed_release_deletes_nothing", "hook.write_text(", "is_public_write(str(one))] == []"),
    Held(
        "test_p8_an_incomplete_release_is_finished_before_the_next",
        "clone.release(",
        "planned(faulty.clone)['unfinished'] == ['v0.1.0']",
    ),
    Held(
        "test_p9_read_only_commands_write_nothing",
        "inv('release', '--plan'",
        "one.method not in {'GET', 'HEAD'}] == []",
    ),
    Held("test_i1_an_equal_tag_is_left_alone", "inv('release', '--resume')", "proxy.count("),
    Held("test_i2_another_digest_burns_the_version", "world.hub.put(", "world.hub.digest(repository, '0.1.0')"),
    Held(
        "test_i2_a_burned_version_is_seen_before_anything_is_built",
        "world.hub.put(",
        "begins('build') not in ran.stderr",
    ),
    Held("test_i3_resuming_never_builds", "inv('release', '--resume')", "begins('build') not in ran.stderr"),
    Held(
        "test_i3_resuming_needs_git_and_no_engine", "inv('release', '--resume', **bare)", "recorded(faulty, 'v0.1.0')"
    ),
    Held("test_i4_a_stale_local_record_is_not_published", "clone.release(", "digests(world, '0.1.1')['one'] !="),
    Held(
        "test_i4_i5_a_candidate_that_the_registry_lacks_is_built_again",
        "state.write_text(",
        "'builds one, two' in ran.stderr",
    ),
    Held("test_i5_a_second_try_reuses_the_staged_images", "hook.unlink(", "'staged by an earlier try'"),
    Held(
        "test_i6_an_old_claim_is_finished_from_a_later_commit",
        "inv('release', '--resume')",
        "digests(faulty, '0.1.1') == digests(faulty, '0.1') == recorded(faulty, 'v0.1.1')",
    ),
    Held(
        "test_i7_an_image_for_two_platforms_in_an_immutable_repository",
        "publish.pin(",
        "faulty.hub.digest(repository, '1.0.0') == digest",
    ),
    Held("test_f1_a_backport_moves_only_its_own_minor", "past", "past.named('1.3.5') =="),
    Held("test_f2_a_repair_of_an_old_release_moves_no_float", "'--resume'", "past.world.public() == before"),
    Held("test_f3_a_release_candidate_does_not_hold_back_a_patch", "past", "past.named('1.4.1') =="),
    Held("test_f4_a_pre_release_moves_nothing", "past", "past.named('1.5.0-rc.1') == past.named('1.3.5')"),
    Held("test_f5_ten_is_above_nine_and_a_sha_is_not_a_version", "past", "named['1.10']"),
    Held("test_f5_numbers_are_compared_as_numbers", "winners(", "Version(1, 10, 10)"),
    Held("test_f5_versions_rank_as_semver_says", "precedence", "sorted(map(of_key, keys))"),
    Held("test_f6_a_float_is_the_same_bytes_as_its_release", "world.hub", "len(contents) == 1"),
    Held("test_f7_latest_is_neither_made_nor_started", "inv('up'", "name.endswith(':latest')] == []"),
    Held("test_f8_a_registry_that_moves_floats_itself_is_left_to_it", "clone.release(", "proxy.count("),
    Held("test_f8_where_floats_are_refused_a_release_goes_without_them", "clone.release(", "proxy.count("),
    Held("test_a1_the_loser_of_a_race_publishes_nothing", "faulty", "list(faulty.git_tags()) == ['v0.1.0']"),
    Held("test_a2_the_version_comes_from_the_remote_s_tags", "stale.release(", "world.record('v0.1.2')['commit']"),
    Held("test_a2_a_tag_that_appears_before_the_claim_is_seen", "'push'", "faulty.public().images == {}"),
    Held(
        "test_a2_a_version_that_is_taken_before_the_preflight_is_lost",
        "clone.release(",
        "'v0.1.0 was taken while this release was made; nothing of it was published' in ran.stderr",
    ),
    Held("test_a3_a_tag_that_was_acknowledged_and_lost_is_put_again", "clone.release(", "rule.taken == 1"),
    Held(
        "test_a3_a_success_that_kept_another_s_image_is_noticed",
        "faulty.hub.put(",
        "faulty.hub.tags(f'{faulty.namespace}/release') == []",
    ),
    Held("test_a4_an_unchanged_image_is_taken_by_digest", "world.hub.put(", "digests(world, '0.1.1')['two'] =="),
    Held("test_g1_a_shallow_clone_is_not_released", "clone.release(", "'git fetch --unshallow --tags' in ran.stderr"),
    Held("test_g1_a_shallow_clone_is_refused_with_the_fetch_command", "refuse(shallow)", "RepositoryError"),
    Held("test_g1_the_fetch_command_repairs_a_shallow_clone", "'--unshallow'", "last(shallow) =="),
    Held("test_g1_a_tagless_clone_is_refused_with_the_fetch_command", "refuse(tagless)", "'origin has 1' in"),
    Held("test_g1_before_the_first_release_a_clone_is_not_refused", "require_history(", "last(fresh) =="),
    Held("test_g1_the_version_task_refuses_a_shallow_clone", "'--depth'", "(ran.code, ran.stdout) == (3, '')"),
    Held("preflight.py::test_g2_a_dirty_tree_is_not_released", "preflight.check_tree(", "RepositoryError"),
    Held("plan.py::test_g2_a_dirty_tree_is_not_released", "clone.release(", "begins('build') not in ran.stderr"),
    Held("test_g2_a_changed_file_makes_the_tree_dirty", "released.write(", ".endswith('.dirty')"),
    Held("test_g2_a_renamed_and_a_deleted_file_are_named", "'mv'", "'docker/web/gone.txt'"),
    Held("test_g3_build_metadata_never_reaches_an_image_tag_nor_makes_two_versions_one", "snapshot(", "version =="),
    Held("test_g4_every_image_carries_the_version_that_was_computed", "clone.release(", "world.hub.tags(repository)"),
    Held("test_g4_each_service_is_tagged_with_its_own_version", "manifest", "manifest.image('api')"),
]


def _rules_of(test: str) -> list[str]:
    """Return the rules in a test's name: P3 and P4 for test_p3_p4_…."""
    numbers = re.match(r"test((?:_[pifag]\d)+)_", test.rpartition("::")[2])
    return numbers[1].upper().split("_")[1:] if numbers else []


@functools.cache
def _modules() -> dict[str, ast.Module]:
    """The syntax tree of every test module that holds a rule or is named for one, by its path below tests/."""
    listed = "|".join({held.test.rpartition("::")[2] for held in HELD})
    wanted = re.compile(rf"^def (?:test_[pifag]\d|(?:{listed})\b)", re.MULTILINE)
    paths = (path for path in TESTS.rglob("test_*.py") if wanted.search(path.read_text(encoding="utf-8")))
    return {str(path.relative_to(TESTS)): parsed(path) for path in paths}


def _found(wanted: str) -> list[tuple[ast.Module, ast.FunctionDef]]:
    """Return the tests of this name; FILE.py::NAME restricts them to modules with that path."""
    file, _, name = wanted.rpartition("::")
    return [
        (module, node)
        for path, module in _modules().items()
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name == name and path.endswith(file)
    ]


def _with_helpers(module: ast.Module, test: ast.FunctionDef) -> str:
    """The source of a test and of the functions and fixtures of its module that it names, without docstrings."""
    local = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    todo, seen = [test.name], dict[str, str]()
    while todo:
        name = todo.pop()
        if name in local and name not in seen:
            statements = [
                node for node in ast.walk(local[name]) if isinstance(node, ast.Call | ast.Attribute | ast.Name)
            ]
            seen[name] = "\n".join(map(ast.unparse, statements))
            todo += [node.id for node in ast.walk(local[name]) if isinstance(node, ast.Name)]
            todo += [node.arg for node in ast.walk(local[name]) if isinstance(node, ast.arg)]
    return "\n".join(seen.values())


def _assertions(test: ast.FunctionDef) -> Iterator[str]:
    """Return a test's assertions, also in loops: non-constant assertions and expected exceptions."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            yield ast.unparse(node.test)
        elif isinstance(node, ast.With):
            yield from (ast.unparse(item) for item in node.items if "pytest.raises" in ast.unparse(item))


def missing(held: Held, module: ast.Module, test: ast.FunctionDef) -> str:
    """Return why a test does not match the table, or "" if it does."""
    marks = [ast.unparse(mark) for mark in test.decorator_list]
    calls = [ast.unparse(node.func) for node in ast.walk(test) if isinstance(node, ast.Call)]
    if any("skip" in text or "xfail" in text for text in (*marks, *calls)):
        return "it is skipped"
    if any(isinstance(node, ast.Return) for node in test.body):
        return "it ends early"
    if held.does not in _with_helpers(module, test):
        return f"it does no {held.does}"
    if not any(held.asserts in text for text in _assertions(test)):
        return f"it asserts no {held.asserts}"
    return ""


@pytest.mark.parametrize("held", HELD, ids=lambda held: held.test)
def test_each_listed_test_does_and_asserts_what_its_rule_is_about(held: Held) -> None:
    """Each listed test exists once, is not skipped, and contains the action and the assertion."""
    found = _found(held.test)

    assert len(found) == 1, f"{len(found)} tests are called {held.test}"
    assert missing(held, *found[0]) == ""


def test_each_rule_is_held() -> None:
    """Each rule's number is in the name of a listed test: test_p1_…, or test_p3_p4_… for two."""
    assert {rule for held in HELD for rule in _rules_of(held.test)} == set(RULES)


def test_each_test_that_is_named_for_a_rule_is_listed() -> None:
    """Every test with a rule's number in its name is in the table."""
    named = {
        node.name
        for module in _modules().values()
        for node in module.body
        if isinstance(node, ast.FunctionDef) and _rules_of(node.name)
    }

    assert named == {held.test.rpartition("::")[2] for held in HELD}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def test_p1_x(world):\n    act(world)\n    assert world.tags() == {}", ""),
        (
            "def helper(world):\n    act(world)\ndef test_p1_x(world):\n    helper(world)\n    assert world.tags() == {}",
            "",
        ),
        ("def test_p1_x(world):\n    with pytest.raises(world.tags()):\n        act(world)", ""),
        ("def test_p1_x(world):\n    pass", "it does no act("),
        ("def test_p1_x(world):\n    'act('\n    assert world.tags() == {}", "it does no act("),
        ("def test_p1_x(world):\n    act(world)", "it asserts no world.tags()"),
        ("def test_p1_x(world):\n    act(world)\n    world.tags()\n    assert True", "it asserts no world.tags()"),
        ("def test_p1_x(world):\n    act(world)\n    assert 'world.tags()'", "it asserts no world.tags()"),
        ("def test_p1_x(world):\n    return\n    act(world)\n    assert world.tags() == {}", "it ends early"),
        ("@pytest.mark.skip\ndef test_p1_x(world):\n    act(world)\n    assert world.tags() == {}", "it is skipped"),
        ("def test_p1_x(world):\n    pytest.skip()\n    act(world)\n    assert world.tags() == {}", "it is skipped"),
    ],
)
def test_a_gutted_test_is_seen(source: str, reason: str) -> None:
    """A test without its action or assertion, or that is skipped or returns early, is detected."""
    module = ast.parse(source)
    test = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))

    assert missing(Held("test_p1_x", "act(", "world.tags()"), module, test) == reason
