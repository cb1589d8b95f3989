"""What differs between two releases, read from a real registry, real bills of materials and a real clone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from tests.release.queries import ok, recorded
from tests.support.world import World

DOCKERFILE = """\
FROM scratch
COPY content /content
COPY lib /lib
ENV MODE={mode} SAME=1
USER {user}
LABEL org.unity-claude.data-format.one-data="{data}"
"""
BSD = "Classifier: License :: OSI Approved :: BSD License\n"
MIT = "Classifier: License :: OSI Approved :: MIT License\n"


def _package(world: World, name: str, version: str, license_: str) -> None:
    world.clone.project.write(
        f"docker/one/lib/{name}.dist-info/METADATA",
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{license_}",
    )


@pytest.fixture(scope="module")
def released(make_world: Callable[..., World]) -> World:
    """A world of three releases: 0.1.0, 0.2.0 with another image of `one`, and 0.3.0, which skipped its scan."""
    world = make_world()
    project = world.clone.project
    text = (project.root / "versions.toml").read_text()
    project.write("versions.toml", text.replace("port = 18980", 'port = 18980\nvolumes = { one-data = "/data" }'))
    project.write("docker/one/Dockerfile", DOCKERFILE.format(mode="a", user="65532", data="1"))
    _package(world, "Jinja2", "2.10", BSD)
    _package(world, "Left_Pad", "1.0", BSD)
    world.clone.share("feat: packages")
    ok(world.clone.inv("release", "--skip-smoke"))
    project.write("docker/one/Dockerfile", DOCKERFILE.format(mode="b|`c`", user="65533", data="2 reads 1"))
    project.write("docker/one/content", "x" * 5_000)
    _package(world, "Jinja2", "3.1.6", BSD)
    _package(world, "Right.Pad", "2.0", MIT)
    shutil.rmtree(project.root / "docker/one/lib/Left_Pad.dist-info")
    world.clone.share("feat(one): the right `pad` | or none")
    ok(world.clone.inv("release", "--skip-smoke"))
    world.clone.commit("one", "feat: unscanned")
    ok(world.clone.release())
    return world


def test_what_differs_is_read_of_both_releases(released: World) -> None:
    """Commits, digests, sizes, settings, formats of data, packages and licences: of the one image that changed."""
    (difference,) = ok(released.clone.inv("diff", "0.1.0", "0.2.0", "--json")).result

    services = {service["service"]: service for service in difference["services"]}
    one, two = services["one"], services["two"]
    before, after = recorded(released, "v0.1.0"), recorded(released, "v0.2.0")
    assert (one["change"], one["digest_before"], one["digest_after"]) == ("changed", before["one"], after["one"])
    assert (two["change"], two["digest_after"], two["packages"], two["settings"]) == ("same", before["two"], [], [])
    assert [
        (each["package"], each["change"], each["before"], each["after"], each["licenses_after"])
        for each in one["packages"]
    ] == [
        ("pkg:pypi/jinja2", "changed", ["2.10"], ["3.1.6"], ["BSD-3-Clause"]),
        ("pkg:pypi/left-pad", "went", ["1.0"], [], []),
        ("pkg:pypi/right-pad", "came", [], ["2.0"], ["MIT"]),
    ]
    assert [(each["license"], each["change"]) for each in one["licenses"]] == [("MIT", "came")]
    assert [(each["name"], each["before"], each["after"]) for each in one["settings"]] == [
        ("env MODE", "a", "b|`c`"), ("user", "65532", "65533"),
    ]  # fmt: skip
    assert one["data"] == [{"name": "one-data", "before": "1", "after": "2 reads 1"}]
    (size,) = one["sizes"]
    assert size["platform"] == one["platforms_after"][0]
    assert size["after"] == _pulled(released, after["one"])
    assert (one["findings_after"]["counts"]["HIGH"], one["findings_after"]["vulnerabilities_checked"]) == (0, False)
    assert [(each["type"], each["scope"]) for each in difference["commits"]["came"]] == [("feat", "one")]
    assert difference["before"]["commit"] == released.record("v0.1.0")["commit"]
    assert one["notes"] == two["notes"] == []


def _pulled(world: World, digest: str) -> int:
    """The bytes of the configuration and the layers of an image, as the registry's manifest has them."""
    index = world.hub.manifest(f"{world.namespace}/one", digest)
    (image,) = [each for each in index["manifests"] if "vnd.docker.reference.type" not in each.get("annotations", {})]
    body = world.hub.manifest(f"{world.namespace}/one", image["digest"])
    return sum(part["size"] for part in {part["digest"]: part for part in (body["config"], *body["layers"])}.values())


def test_people_and_release_notes_get_the_same(released: World) -> None:
    """A table with the services first, and Markdown in which no text of a commit or an image is markup; floats work."""
    table = ok(released.clone.inv("diff", "0.1", "0.2", COLUMNS="200")).stdout
    assert "0.1.0 → 0.2.0: 1 commit, 1 of 2 images changed" in table.splitlines()[0]
    assert "1 came, 1 went, 1 changed" in table
    assert table.index("two") < table.index("Packages") < table.index("right-pad")

    notes = ok(released.clone.inv("diff", "0.1", "0.2", "--markdown")).stdout
    assert "| + | `right-pad` | pypi |  | `2.0` | MIT | one |" in notes
    assert "| feat | one | the right &#96;pad&#96; \\| or none |" in notes
    assert "<code>b\\|&#96;c&#96;</code>" in notes
    assert "jinja" not in ok(released.clone.inv("diff", "0.1", "0.2", "two", "--markdown")).stdout


def test_a_release_without_a_bill_is_compared_for_the_rest(released: World) -> None:
    """Where a scan was skipped, packages and licences are unknown, by name; digests, sizes and commits are not."""
    ran = ok(released.clone.inv("diff", "0.2.0", "0.3.0", "--json"))

    (difference,) = ran.result
    one = difference["services"][0]
    assert (one["change"], one["packages"], one["licenses"], one["settings"]) == ("changed", None, None, [])
    nothing = {"vulnerabilities_checked": False, "counts": None, "outdated": None}
    assert one["findings_after"] == {"scan": "skipped", **nothing}
    assert ["v0.3.0 has no bill of materials of one" in note for note in one["notes"]] == [True]
    assert [each["description"] for each in difference["commits"]["came"]] == ["unscanned"]
    assert [(gate["before"], gate["after"]) for gate in difference["gates"] if gate["gate"] == "scan"] == [
        ("passed; vulnerabilities NOT checked", "skipped")
    ]
    table = ok(released.clone.inv("diff", "0.2.0", "0.3.0"))
    assert "not compared" in table.stdout
    assert "v0.3.0 has no bill of materials of one" in table.stderr


def test_what_there_is_not_is_refused_by_name(released: World) -> None:
    """A release or a service that does not exist: exit 14 or 2, and which; two outputs at once are none."""
    for words, code, message in (
        (("0.1.0", "9.9.9"), 14, "there is no release 9.9.9"),
        (("8.8", "9.9.9"), 14, "there is no release 8.8 and no release 9.9.9"),
        (("0.1.0", "0.2.0", "--service", "onw"), 2, "unknown service 'onw' (did you mean 'one'?)"),
        (("0.1.0", "0.2.0", "--json", "--markdown"), 1, "--json prints a document, and --markdown another"),
    ):
        ran = released.clone.inv("diff", *words)
        assert (ran.code, message in ran.stderr) == (code, True), ran.text


def test_another_clone_without_the_commits_says_so(released: World) -> None:
    """A clone that was never fetched compares all but the commits, and names the command that fetches them."""
    other = released.another()
    other.git("update-ref", "-d", "refs/remotes/origin/main")
    other.git("checkout", "--quiet", "--orphan", "empty")
    other.git("branch", "-D", "main")
    for tag in other.git("tag").split():
        other.git("tag", "-d", tag)
    other.git("reflog", "expire", "--expire=now", "--all")
    other.git("gc", "--quiet", "--prune=now")

    ran = ok(other.inv("diff", "0.1.0", "0.2.0"))

    assert "commits not known, 1 of 2 images changed" in ran.stdout
    assert "git fetch --tags origin" in ran.stderr


@pytest.fixture(scope="module")
def lines(make_world: Callable[..., World]) -> World:
    """Independent lines: `one` has 0.1.0 and 0.1.1, `two` has 0.1.0."""
    world = make_world(mode='"independent"')
    ok(world.clone.release())
    world.clone.commit("one", "fix: change")
    ok(world.clone.release())
    return world


def test_each_line_that_has_both_is_compared(lines: World) -> None:
    """In independent mode the versions are those of a line; where none has both, the refusal says what each has."""
    (difference,) = ok(lines.clone.inv("diff", "0.1.0", "0.1.1", "--json")).result
    assert (difference["line"], [each["service"] for each in difference["services"]]) == ("one", ["one"])
    assert ok(lines.clone.inv("diff", "one/v0.1.0", "one/v0.1.1", "--json")).result == [difference]

    for words, message in (
        (("0.1.1", "0.2.0"), "no line has both 0.1.1 and 0.2.0: one has 0.1.1, two has neither"),
        (("0.1.0", "0.1.1", "two"), "there is no release 0.1.1"),
    ):
        refused = lines.clone.inv("diff", *words)
        assert (refused.code, message in refused.stderr) == (14, True), refused.text


def test_what_is_lost_or_withdrawn_is_named(lines: World) -> None:
    """A lost image leaves its size and settings unknown, a withdrawn release is warned of, and the rest is compared."""
    digest = recorded(lines, "one/v0.1.0")["one"]
    assert lines.hub.delete(f"{lines.namespace}/one", digest) == 202
    ok(lines.clone.inv("yank", "0.1.1", "--service", "one", "--reason", "too bad"))

    document = ok(lines.clone.inv("diff", "0.1.0", "0.1.1", "--json")).document

    (one,) = document["result"][0]["services"]
    assert (one["settings"], [size["before"] for size in one["sizes"]]) == (None, [None])
    assert "the registry has lost the image of 0.1.0" in json.dumps(one["notes"])
    assert document["warnings"] == ["one 0.1.1 was withdrawn: too bad"]
