"""./inv init: versions.local.toml from flags, from what a project has, and from answers."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from build.config import load, local_file
from build.errors import ManifestError, UsageError
from build.machine import init, own_project
from build.machine.init import Flags
from tests.support import rough_tree
from tests.support.project import Project

CONTAINERS = """
[services.many.containers.many-a]
published = 18001
[services.many.containers.many-b]
published = 18002
"""


@pytest.fixture
def shop(project: Project) -> Project:
    """A project with every source, a service, and one with two containers."""
    path = project.root / "versions.toml"
    others = "".join(f'{key} = ""\n' for key in ("modules", "agents", "docs", "nupkgs"))
    path.write_text(path.read_text().replace("[sources]\n", f"[sources]\n{others}"))
    project.service("many", 8000)
    project.append(CONTAINERS)
    for folder in ("Modules", "other"):
        (project.root / folder).mkdir()
    return project


def _compose(project: Project, flags: Flags | None = None, *, ask: bool = False) -> dict[str, Any]:
    """The settings; the text has exactly these, and the project that it is written into loads with them."""
    text, settings = init.compose(project.root, flags or Flags(), ask=ask)
    assert tomllib.loads(text) == {"sources": {}, "registry": {}} | settings
    local_file.write(project.root, text)
    project.load()
    return settings


def _answers(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_flags_become_settings(shop: Project) -> None:
    """Each flag is one setting; a port goes where its container is, and a registry elsewhere is not embedded."""
    settings = _compose(shop, Flags(
        sources={"modules": "Modules", "agents": ""}, registry={"address": "r.example:5000", "username": "ada"},
        published=["web=18981", "many-b=18003"],
    ))  # fmt: skip

    assert settings == {
        "sources": {"modules": "Modules"},
        "registry": {"address": "r.example:5000", "username": "ada", "embedded": False},
        "services": {"web": {"published": 18981}, "many": {"containers": {"many-b": {"published": 18003}}}},
    }


def test_without_a_flag_nothing_differs(shop: Project) -> None:
    """The file says what could differ, and nothing does."""
    before = shop.load()

    assert _compose(shop) == {}
    assert shop.load() == before


def test_every_comment_is_a_setting_of_versions_toml(shop: Project) -> None:
    """Whoever removes the # of each line has a file that changes nothing."""
    before = shop.load()
    text, _ = init.compose(shop.root, Flags(), ask=False)
    setting = re.compile(r"# (?=\w+ = |\[)")
    local_file.write(shop.root, "\n".join(setting.sub("", line) for line in text.splitlines()))
    after = shop.load()

    assert "# published = 18980\n" in text
    assert (after.sources, after.registry) == (before.sources, before.registry)
    assert after.containers() == before.containers()


def test_a_flag_is_checked_as_the_reader_does(shop: Project) -> None:
    """A folder that is not there, an address with a scheme, a port twice: in the reader's words; nothing is written."""
    for flags, message in (
        (Flags(sources={"modules": "nowhere"}), "sources.modules: no such folder: nowhere"),
        (Flags(registry={"address": "https://r.example"}), "registry.address: expected HOST or HOST:PORT"),
        (Flags(registry={"ca_file": "ca.pem"}), "registry.ca_file: no such file: ca.pem"),
        (Flags(published=["web=18001"]), "18001 is already the port of"),
        (Flags(published=["web=70000"]), "services.web.published: expected a port between 1 and 65535"),
    ):
        with pytest.raises(ManifestError) as error:
            init.compose(shop.root, flags, ask=False)
        assert str(error.value).startswith(message) or message in str(error.value)
        assert load.LOCAL not in str(error.value)
    assert not (shop.root / load.LOCAL).exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (Flags(published=["wep=1"]), "unknown container 'wep' (did you mean 'web'?)"),
        (Flags(published=["web"]), "expected CONTAINER=PORT, found 'web'"),
        (Flags(published=["web=eighty"]), "expected CONTAINER=PORT"),
        (Flags(root="../nowhere"), "--root: no such folder: ../nowhere"),
    ],
)
def test_a_flag_that_names_nothing_is_refused(shop: Project, flags: Flags, message: str) -> None:
    """An unknown container, no port and a missing folder are errors of the command line."""
    with pytest.raises(UsageError) as error:
        init.compose(shop.root, flags, ask=False)
    assert message in str(error.value)


def test_the_ports_of_two_services_can_be_swapped(shop: Project) -> None:
    """Flags are checked together, not one after the other."""
    settings = _compose(shop, Flags(published=["many-a=18002", "many-b=18001"]))

    assert settings["services"]["many"]["containers"] == {
        "many-a": {"published": 18002},
        "many-b": {"published": 18001},
    }


def test_an_existing_file_is_never_overwritten(shop: Project) -> None:
    """It is refused with exit code 2 and the way to change it, also as a dangling link and when it came meanwhile."""
    path = shop.write(load.LOCAL, "# mine\n")
    for act in (lambda: init.compose(shop.root, Flags(), ask=False), lambda: local_file.write(shop.root, "x = 1\n")):
        with pytest.raises(ManifestError, match="not overwritten") as error:
            act()
        assert error.value.exit_code == 2
        assert "edit it" in error.value.hint
    assert path.read_text() == "# mine\n"

    path.unlink()
    path.symlink_to("elsewhere.toml")
    with pytest.raises(ManifestError, match="not overwritten"):
        init.compose(shop.root, Flags(), ask=False)


def test_the_folder_of_a_project_gives_all_sources(
    shop: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--root finds modules, agents, documentation and the tree; what is not there is named, a flag comes first."""
    rough = rough_tree.write(tmp_path / "orchard")
    root = os.path.relpath(rough.root, shop.root)
    settings = _compose(shop, Flags(root=root, sources={"watched": "other"}))

    sources = settings["sources"]
    assert (sources["modules"], sources["agents"]) == (f"{root}/Modules", f"{root}/agents")
    assert sources["watched"] == "other"
    assert sources["docs"].startswith(root)
    assert f"nupkgs: none in {root}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "source", "expected"),
    [
        (["docs/mkdocs.yml", "mkdocs.yml"], "docs", ["docs", "mkdocs.yml"]),
        (["mkdocs.yml", "docs/index.md", "site/index.html"], "docs", ["mkdocs.yml", "site"]),
        (["docs/index.html"], "docs", ["docs"]),
        (["docs/index.md"], "docs", []),
        (["src/Modules/A/A.psd1"], "modules", ["src/Modules"]),
        (["Modules/readme.txt"], "modules", []),
        (["langgraph.json"], "agents", ["."]),
        (["packages/a.nupkg"], "nupkgs", ["packages"]),
        ([], "watched", ["."]),
    ],
)
def test_what_a_project_offers(tmp_path: Path, files: list[str], source: str, expected: list[str]) -> None:
    """A folder counts by what is in it, not by its name; the better candidate comes first."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    assert own_project.candidates(tmp_path)[source] == expected


def test_answers_become_settings(
    shop: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty answer keeps what is; a wrong one is answered with the reason, and asked again."""
    sources = ["", "", "", "nowhere", "other", ""]
    _answers(
        monkeypatch, "gone", "", *sources, "r.example", "team", "ada", "pass", "", "n", "18981", "x", "18002", "", ""
    )
    settings = _compose(shop, ask=True)

    assert settings["sources"] == {"nupkgs": "other"}
    assert settings["registry"] == {
        "address": "r.example", "embedded": False, "namespace": "team", "username": "ada", "password_file": "pass",
    }  # fmt: skip
    assert settings["services"] == {"web": {"published": 18981}}
    shown = capsys.readouterr().err
    assert "no such folder: gone" in shown
    assert "no such folder: nowhere" in shown
    assert "many.containers.many-a.published: expected an integer, found 'x'" in shown
    assert "18002 is already the port of" in shown


def test_answers_of_enter_alone(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter at every question is a file without a setting."""
    _answers(monkeypatch, *[""] * 20)

    assert _compose(shop, ask=True) == {}


def test_answers_that_end(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D ends it with the way without questions; nothing is written."""
    _answers(monkeypatch, "", "")
    with pytest.raises(UsageError, match="answers ended") as error:
        init.compose(shop.root, Flags(), ask=True)

    assert "--yes" in error.value.hint
    assert not (shop.root / load.LOCAL).exists()


def test_the_task_at_a_terminal_asks(shop: Project) -> None:
    """At a terminal it asks; with --yes and without a terminal it does not, and a second call is refused."""
    master, terminal = pty.openpty()
    asked = subprocess.Popen(shop.command("init", "--dry-run"), cwd=shop.root, env=shop.environment(), stdin=terminal,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    os.close(terminal)
    os.write(master, b"\n" * 20)
    shown, questions = asked.communicate(timeout=60)
    os.close(master)
    assert asked.returncode == 0, questions
    assert "your project's folder" in questions
    assert shown.startswith("would write versions.local.toml:\n#:schema")
    assert not (shop.root / load.LOCAL).exists()

    written = shop.inv("init", "--modules", "Modules", "--json")
    assert written.result["settings"] == {"sources": {"modules": "Modules"}}
    assert (shop.root / load.LOCAL).read_text() == written.result["text"]

    again = shop.inv("init", "--json")
    assert (again.code, again.document["error"]["kind"]) == (2, "manifest")


def test_a_path_as_it_was_typed(shop: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """~ is the home, and signs that TOML has a meaning for arrive as they are."""
    odd = tmp_path / 'a "quoted" \\ folder, ä'
    odd.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = _compose(shop, Flags(sources={"modules": "~", "docs": str(odd)}))

    assert settings["sources"] == {"modules": str(tmp_path), "docs": str(odd)}
