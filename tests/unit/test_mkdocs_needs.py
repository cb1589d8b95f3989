"""Of the folder of an mkdocs.yml only what its build reads is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from build.errors import ManifestError
from build.mkdocs_needs import needs


def _tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root / "mkdocs.yml"


def test_s8_the_usual_repository_needs_two_things(tmp_path: Path) -> None:
    """mkdocs.yml in the root with docs/ beside it: the rest of the repository is not needed."""
    config = _tree(tmp_path, mkdocs_dot_yml="site_name: x\n", docs__index_dot_md="# x", src__big_dot_bin="x")

    assert needs(config).paths == ("docs", "mkdocs.yml")
    assert needs(config).outside == needs(config).missing == ()


def test_s8_everything_that_a_build_reads_is_named(tmp_path: Path) -> None:
    """An inherited file, theme.custom_dir, hooks and the folders of snippets; what lies inside another is not repeated."""
    config = _tree(
        tmp_path,
        mkdocs_dot_yml="INHERIT: etc/base.yml\nhooks: [tools/hook.py]\ntheme: {name: material}\nextra_css: [a.css]\n",
        etc__base_dot_yml=(
            "INHERIT: root.yml\ndocs_dir: pages\ntheme: {custom_dir: overrides}\n"
            "markdown_extensions:\n- toc\n- pymdownx.snippets: {base_path: [., snippets, $docs_dir/parts, pages/more]}\n"
        ),
        etc__root_dot_yml="site_name: x\n",
        tools__hook_dot_py="",
        pages__index_dot_md="",
        overrides__main_dot_html="",
        snippets__a_dot_md="",
    )

    found = needs(config)

    assert found.paths == (
        "etc/base.yml",
        "etc/root.yml",
        "mkdocs.yml",
        "overrides",
        "pages",
        "snippets",
        "tools/hook.py",
    )
    assert found.missing == ()


def test_s8_tags_of_mkdocs_are_read_without_running_anything(tmp_path: Path) -> None:
    """`!ENV` is its default, `!!python/name` and `!relative` are texts; nothing is imported."""
    config = _tree(
        tmp_path,
        mkdocs_dot_yml=(
            "site_name: !ENV SITE\ndocs_dir: !ENV [WHERE, pages]\n"
            "markdown_extensions:\n"
            "- pymdownx.emoji: {emoji_index: !!python/name:materialx.emoji.twemoji }\n"
            "- pymdownx.snippets: {base_path: !relative $config_dir/parts }\n"
            "- x: !!python/object/apply:os.system [touch made]\n"
        ),
    )

    assert needs(config).paths == ("mkdocs.yml", "pages", "parts")
    assert needs(config).missing == ("pages", "parts")
    assert not (tmp_path / "made").exists()


def test_s8_what_leads_out_of_the_folder_is_named_apart(tmp_path: Path) -> None:
    """A path above the folder of mkdocs.yml can't be sent with it: the caller has to refuse or to send more."""
    config = _tree(tmp_path / "site", mkdocs_dot_yml="docs_dir: ../docs\ntheme: {custom_dir: /srv/theme}\n")

    assert needs(config).outside == ("../docs", "/srv/theme")
    assert needs(config).paths == ("mkdocs.yml",)


@pytest.mark.parametrize("text", ["[a", "- a\n", "text", "a: &a [*a", "\x00"])
def test_s8_a_file_that_is_no_mkdocs_yml_is_refused(tmp_path: Path, text: str) -> None:
    """The refusal names the file."""
    config = _tree(tmp_path, mkdocs_dot_yml=text)

    with pytest.raises(ManifestError, match=r"mkdocs\.yml"):
        needs(config)


def test_s8_an_inherited_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The refusal names the missing file; a circle of INHERIT ends."""
    with pytest.raises(ManifestError, match=r"gone\.yml"):
        needs(_tree(tmp_path / "a", mkdocs_dot_yml="INHERIT: gone.yml\n"))
    assert needs(_tree(tmp_path / "b", mkdocs_dot_yml="INHERIT: mkdocs.yml\n")).paths == ("docs", "mkdocs.yml")
