"""The rough tree is what it says it is: what other suites search it for is in it, and nothing else."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from build.secret_files import VIRTUALENV_MARK, content_rule, path_rules
from tests.support import rough_tree
from tests.support.project import REPOSITORY
from tests.support.rough import agents, docs
from tests.support.rough.modules import FAILS, HIDDEN, IMPORTS
from tests.support.rough_tree import RoughTree

_LINK = re.compile(r"\[[^]]*\]\(([^)#]*)(#[^)]*)?\)")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> RoughTree:
    return rough_tree.write(tmp_path_factory.mktemp("rough") / "orchard")


def _files(tree: RoughTree) -> dict[str, bytes]:
    return {
        path.relative_to(tree.root).as_posix(): path.read_bytes()
        for path in tree.root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(tree.root).parts
    }


def _rules(tree: RoughTree, path: str, data: bytes) -> Iterator[str]:
    """Why a file is left out of an image: by the names on its path, its content, or a virtualenv around it."""
    yield from (rule for _, rule in path_rules(path))
    if rule := content_rule(data):
        yield rule
    for folder in Path(path).parents:
        if (tree.root / folder / VIRTUALENV_MARK).exists():
            yield VIRTUALENV_MARK


def _git(tree: RoughTree, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=tree.root, check=True, capture_output=True, text=True).stdout.strip()


def test_thirty_modules_in_every_state(tree: RoughTree) -> None:
    """Thirty modules: nineteen import, five fail, each for a reason that the service names, six are not listed."""
    assert [len(tree.named(state)) for state in (IMPORTS, FAILS, HIDDEN)] == [19, 5, 6]
    assert sorted(module.why for module in tree.modules if module.state == FAILS) == [
        "missing-required-module", "null-environment", "parse-error", "parse-error", "windows-only-assembly",
    ]  # fmt: skip


def test_an_engine_lists_what_is_said_to_be_listed(tree: RoughTree) -> None:
    """A module is listed whose folder is right below Modules/ and has a manifest or a script of the folder's name."""
    folders = {path.name for path in (tree.root / "Modules").iterdir() if path.is_dir()}
    by_manifest = {
        name for name in folders for end in ("psd1", "psm1") if (tree.root / f"Modules/{name}/{name}.{end}").exists()
    }

    assert by_manifest == tree.listed
    assert {path.stem for path in (tree.root / "Modules").glob("*.psm1")} < tree.hidden


def test_the_slow_module_is_as_slow_as_asked(tmp_path: Path) -> None:
    """The module past the time limit takes 40 seconds, or as many as a test can spend."""
    name = "Modules/Orchard-Slow/Orchard-Slow.psm1"
    for options, seconds in ({}, 40), ({"slow_seconds": 2}, 2):
        root = rough_tree.write(tmp_path / str(seconds), **options).root
        assert f"Start-Sleep -Seconds {seconds}\n" in (root / name).read_text(encoding="utf-8")


def test_three_requirements_conflict_with_the_service_s_lock(tree: RoughTree) -> None:
    """Three pins are not the lock's versions; the rest the lock satisfies, so that its own pins can win offline."""
    lock = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)", _text(REPOSITORY / "docker/langgraph/requirements.txt"), re.MULTILINE)
    )
    lines = _text(tree.root / "agents/requirements.txt").splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]

    conflicts = {each.name for each in wanted if not each.specifier.contains(lock[each.name.lower()])}
    assert conflicts == set(agents.CONFLICTS)
    assert len(wanted) > len(conflicts) == 3


def test_two_graphs_are_declared(tree: RoughTree) -> None:
    """Both graphs of langgraph.json are in files that are Python; there is no agents.toml."""
    assert not (tree.root / "agents/agents.toml").exists()
    for entry in agents.GRAPHS.values():
        path, _, attribute = entry.partition(":")
        code = _text(tree.root / "agents" / path)
        compile(code, path, "exec")
        assert re.search(rf"^(def )?{attribute}\b", code, re.MULTILINE)


def test_two_roles_are_declared(tree: RoughTree) -> None:
    """roles.toml has two roles, each with what every role needs; the tool that it names is a function."""
    roles = tomllib.loads(_text(tree.root / "agents/roles.toml"))["roles"]
    (tool,) = [tool for role in roles.values() for tool in role.get("tools", [])]
    module, _, function = tool.partition(":")

    assert tuple(roles) == agents.ROLES
    assert all({"description", "system_message"} <= set(role) for role in roles.values())
    assert f"def {function}(" in _text(tree.root / f"agents/{module}.py")


def test_sixty_links_are_broken(tree: RoughTree) -> None:
    """Sixty links of the guide lead nowhere: to no page, no image, or no heading."""
    broken = [
        (page, *target) for page in docs.PAGES for target in _LINK.findall(_text(tree.root / "docs" / page))
        if not ((tree.root / "docs" / page).parent / target[0]).exists() or target[1]
    ]  # fmt: skip

    assert len(broken) == sum(docs.BROKEN.values()) == 60
    assert not any("nowhere" in line for page in docs.PAGES for line in _headings(tree.root / "docs" / page))


def test_mkdocs_names_what_is_not_there(tree: RoughTree) -> None:
    """mkdocs.yml is in the root; five plugins and two pages that it names are nowhere."""
    plain = re.sub(r"!\S+", "", _text(tree.root / "mkdocs.yml"))
    settings = yaml.safe_load(plain)
    pages = settings["nav"][2]["Reference"]

    assert {name for name in settings["plugins"] if name != "search"} == set(docs.ABSENT_PLUGINS)
    assert [page for page in pages if not (tree.root / "docs" / page).exists()] == list(docs.ABSENT_PAGES)


@pytest.mark.parametrize(
    ("folder", "generator"),
    [("site", "mkdocs"), ("docs/net/_site", "docfx"), ("docs/python/_build/html", "Sphinx"), ("docs/ts", "TypeDoc")],
)
def test_built_sites(tree: RoughTree, folder: str, generator: str) -> None:
    """Four sites stand there built, each by its generator."""
    assert f'content="{generator}' in _text(tree.root / folder / "index.html")


def test_every_secret_is_in_one_file_and_no_other(tree: RoughTree) -> None:
    """A secret's value is in its own file alone, as the bytes that a search looks for."""
    files = _files(tree)
    places = {
        secret.value: [path for path, data in files.items() if secret.data in data or secret.value.encode() in data]
        for secret in rough_tree.secrets()
    }

    assert places == {secret.value: [secret.path] for secret in rough_tree.secrets()}
    assert len(places) == len(rough_tree.secrets()) == 22


def test_s2_the_filter_leaves_out_every_secret_and_nothing_else(tree: RoughTree) -> None:
    """Each planted file is left out by a rule; of the others only what is installed beside them."""
    refused = {path for path, data in _files(tree).items() if any(_rules(tree, path, data))}
    planted = {secret.path for secret in rough_tree.secrets()}
    installed = {path for path in refused if {"node_modules", "langgraph-env", "py311"} & set(path.split("/"))}

    assert planted <= refused
    assert refused - planted <= installed


def test_secrets_stand_in_every_place(tree: RoughTree) -> None:
    """.env is in the root and in each source, token.txt in three places, and each kind of rule is needed."""
    names = [Path(secret.path).name for secret in rough_tree.secrets()]
    by_content = {
        content_rule(secret.content) for secret in rough_tree.secrets() if not any(path_rules(secret.path))
    } - {""}

    assert [names.count(name) for name in (".env", "token.txt", ".npmrc")] == [4, 3, 2]
    assert by_content == {"it has a private key", "it has a GitHub token"}
    assert {Path(path).parts[0] for path in _files(tree) if path.endswith(VIRTUALENV_MARK)} == {"agents", "py311"}


def test_leaks_are_named(tree: RoughTree, tmp_path: Path) -> None:
    """A secret in a layer is named by its file, as UTF-16 too; bytes without one have none."""
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        archive.add(tree.root / "Modules", "app")

    leaks = [secret.path for secret in rough_tree.leaks(layer.read_bytes())]
    assert sorted(leaks) == sorted(secret.path for secret in rough_tree.secrets() if secret.path.startswith("Modules/"))
    assert not list(rough_tree.leaks(b"nothing"))


def test_the_generator_has_no_secret_itself() -> None:
    """The filter, and a scanner, finds nothing in the files that write the tree."""
    support = REPOSITORY / "tests/support"
    files = [support / "rough_tree.py", *(support / "rough").glob("*.py")]

    assert len(files) == 6
    assert {path.name: rule for path in files if (rule := content_rule(path.read_bytes()))} == {}


def test_the_same_commit_each_time(tree: RoughTree, tmp_path: Path) -> None:
    """Two trees are the same commit, everything is committed, and a setting of this machine changes nothing."""
    other = rough_tree.write(tmp_path / "again")

    assert _git(tree, "rev-parse", "HEAD") == _git(other, "rev-parse", "HEAD")
    assert _git(tree, "status", "--porcelain", "--ignored") == ""


def test_nothing_is_ours(tree: RoughTree) -> None:
    """No module, graph or page of the tree has a name or the text of one of this repository's samples."""
    ours = {path.name for path in (REPOSITORY / "Modules").iterdir()}
    graphs = tomllib.loads(_text(REPOSITORY / "agents/agents.toml"))["graphs"]
    samples = {
        path.read_bytes() for folder in ("Modules", "agents", "watched")
        for path in (REPOSITORY / folder).rglob("*") if path.is_file() and path.stat().st_size
    }  # fmt: skip

    assert not ours & {module.name for module in tree.modules}
    assert not set(graphs) & set(agents.GRAPHS)
    assert not samples & set(_files(tree).values())


def test_small(tree: RoughTree) -> None:
    """The tree is small: a suite writes it in a moment."""
    sizes = [len(data) for data in _files(tree).values()]

    assert len(sizes) < 200
    assert sum(sizes) < 2 << 20


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _headings(path: Path) -> list[str]:
    return [line.lower() for line in _text(path).splitlines() if line.startswith("#")]
