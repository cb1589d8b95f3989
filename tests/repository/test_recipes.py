"""Recipes and examples: their settings are accepted, they can be found, and upgrades are listed by version."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from build.config.load import load
from tests.support.project import REPOSITORY

PAGES = REPOSITORY / "docs/pages"
RECIPES = sorted(path for path in (PAGES / "recipes").glob("*.md") if path.name != "index.md")
EXAMPLES = [
    (path, number, block)
    for path in sorted(PAGES.rglob("*.md"))
    for number, block in enumerate(
        re.findall(r"^```toml\n(# versions\.local\.toml\n.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    )
]


@pytest.mark.parametrize(
    "block",
    [block for _, _, block in EXAMPLES],
    ids=[f"{path.relative_to(PAGES)}-{number}" for path, number, _ in EXAMPLES],
)
def test_every_example_of_local_settings_is_accepted(block: str, tmp_path: Path) -> None:
    """A reader who copies an example of versions.local.toml gets a manifest that loads, with the values of the example."""
    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "docker", project / "docker", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(REPOSITORY / "versions.toml", project)
    settings = tomllib.loads(block)
    shipped = tomllib.loads((REPOSITORY / "versions.toml").read_text(encoding="utf-8"))["sources"]
    for folder in filter(None, {**shipped, **settings.get("sources", {})}.values()):
        (project / folder).mkdir(parents=True, exist_ok=True)
    # A reader fills in the digest that an example shortens.
    (project / "versions.local.toml").write_text(block.replace("sha256:…", f"sha256:{'0' * 64}"), encoding="utf-8")

    manifest = load(project, {})

    for section, values in settings.items():
        for key, value in values.items():
            if isinstance(value, str | bool) and "…" not in str(value):
                assert (
                    getattr(manifest, section)[key]
                    if section in {"sources", "build_secrets"}
                    else getattr(getattr(manifest, section), key) == value
                )


def test_d1_every_recipe_is_in_the_list() -> None:
    """The page of recipes leads to each."""
    index = (PAGES / "recipes/index.md").read_text(encoding="utf-8")

    assert {path.name for path in RECIPES if f"]({path.name})" not in index} == set()


def test_the_table_of_upgrades_has_every_version() -> None:
    """Each version of the changelog, and what is unreleased, has a row that says what to do; no other version has one."""
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([^\]]+)\]", changelog, re.M)
    table = (PAGES / "recipes/upgrade.md").read_text(encoding="utf-8").partition("| Version | Changed | To do |")[2]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:] if line]

    assert list(dict.fromkeys(row[0] for row in rows)) == versions
    assert [row for row in rows if len(row) != 3 or not all(row)] == []
