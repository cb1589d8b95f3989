"""The look at configured sources: what is sent of each, what won't work, and how it is shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from build.config.manifest import Manifest
from build.errors import Incomplete
from build.sources import docs, examine
from build.sources.examination import Examined, Problem
from build.views import sources as view
from tests.support import rough_tree
from tests.support.project import REPOSITORY, Project
from tests.support.rough.agents import CONFLICTS
from tests.support.rough.docs import BROKEN


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rough tree."""
    return rough_tree.write(tmp_path_factory.mktemp("rough") / "orchard").root


@pytest.fixture
def manifest(empty_project: Project, tree: Path) -> Manifest:
    """A project with services that are built from the tree's agents and documentation, and mount the whole tree."""
    for name, key in (("langgraph", "agents"), ("docs", "docs")):
        empty_project.service(f"{name}-service", 18900 + len(name), contexts=f'{{ {key} = "source:{key}" }}')
        folder = empty_project.root / f"docker/{name}-service"
        shutil.copytree(
            REPOSITORY / "docker" / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tests")
        )
    empty_project.service("watcher", 18930, mounts='{ watched = "/workspace" }')
    file = empty_project.root / "versions.toml"
    sources = f'agents = "{tree}/agents"\ndocs = "{tree}/mkdocs.yml"\nwatched = "{tree}"'
    file.write_text(file.read_text().replace('watched = ""', sources))
    return empty_project.load()


def _examined(manifest: Manifest, *, quick: bool = False) -> dict[str, Examined]:
    return {each.key: each for each in examine.examine(manifest, quick=quick)}


def test_s6_s7_what_agents_declare_and_what_conflicts(manifest: Manifest) -> None:
    """Graphs and roles by name, and each conflicting pin."""
    agents = _examined(manifest)["agents"]

    assert {(each.kind, each.name) for each in agents.declared if each.kind == "graph"} == {
        ("graph", "ledger"), ("graph", "waiting"),
    }  # fmt: skip
    assert sum(each.kind == "role" for each in agents.declared) == 2
    assert sum(each.kind == "requirements" for each in agents.problems) == len(CONFLICTS)


def test_s8_an_mkdocs_yml_stands_for_what_its_site_needs(manifest: Manifest) -> None:
    """Not the megabyte beside it; the problems of the pages are all there, by kind."""
    documentation = _examined(manifest)["docs"]

    assert documentation.bytes < 500_000
    assert documentation.services == ("docs-service",)
    kinds = {problem.kind for problem in documentation.problems}
    assert any("plugin" in kind for kind in kinds)
    # Anchors need a built page: the static check sees the rest of the 60.
    links = [each for each in documentation.problems if "link" in each.kind or "missing file" in each.kind]
    assert len(links) >= sum(BROKEN.values()) - BROKEN["missing anchor"]


def test_s2_what_is_left_out_is_named_before_the_build(manifest: Manifest) -> None:
    """Every secret of the folders that are sent, by its file or its folder."""
    examined = _examined(manifest)
    left_out = {f"agents/{each.path}" for each in examined["agents"].left_out}
    left_out |= {each.path for each in examined["docs"].left_out}
    planted = [secret.path for secret in rough_tree.secrets() if secret.path.startswith(("agents/", "docs/"))]

    assert planted
    assert [path for path in planted if not any(path == out or path.startswith(f"{out}/") for out in left_out)] == []


def test_a_source_that_is_only_mounted_is_not_sent(manifest: Manifest) -> None:
    """Nothing is counted of the watched tree, which may be huge."""
    watched = _examined(manifest)["watched"]

    assert (watched.files, watched.services) == (0, ("watcher",))


def test_a_quick_look_reads_no_contents(manifest: Manifest) -> None:
    """The doctor asks neither an engine nor every file."""
    assert _examined(manifest, quick=True)["agents"].files == 0


@pytest.mark.parametrize(("files", "reason"), [({}, "neither mkdocs.yml"), ({"mkdocs.yml": "- a\n"}, "not a mapping")])
def test_s8_a_folder_without_a_site_stops_a_build(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    """No configuration and no built site, or one that is no YAML mapping."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    [problem] = docs.examine(tmp_path, REPOSITORY / "docker/docs").problems

    assert reason in problem.text
    assert problem.stops


def test_a_problem_that_stops_a_build_is_an_error() -> None:
    """The first is named, and how many more there are."""
    problems = tuple(Problem(kind="x", text=f"wrong {number}", stops=True) for number in range(3))

    with pytest.raises(Incomplete, match=r"docs: wrong 0 \(and 2 more\)"):
        examine.require([Examined(key="docs", path="docs", problems=problems)])


def test_s8_many_problems_are_counted_and_the_first_shown(
    empty_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty of a kind on the screen, and all of them in the file."""
    problems = tuple(Problem(kind="broken link", text=f"page {number}.md") for number in range(60))
    view.report(empty_project.load(), [Examined(key="docs", path="docs", problems=problems)])

    shown = capsys.readouterr().out

    assert "page 19.md" in shown
    assert "page 20.md" not in shown
    assert "broken link: 40 more" in shown
    assert "page 59.md" in (empty_project.root / ".uc/reports/sources.json").read_text()


def test_the_line_of_all_sources_has_counts() -> None:
    """For quickstart and the doctor; nothing is shown as nothing."""
    assert view.line([Examined(key="docs", path="docs")]) == "nothing to say"
    assert view.line([Examined(key="docs", path="docs", problems=(Problem(kind="x", text="y"),))]) == "docs: 1 problem"
