"""The search of the packed site, asked as the page asks it: parts of identifiers, forms of words, flags."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docs_rig import HERE, make, pack

# What a reader types: the section that answers it.
OWN = {
    "rotate": "tasks/#secretsrotate",
    "secrets.rotate": "tasks/#secretsrotate",
    "rotated": "operating/secrets/#rotation",
    "rotation": "operating/secrets/#rotation",
    "DB_PATH": "services/langgraph-api/#environment",
    "db_path": "services/langgraph-api/#environment",
    "TTL": "services/langgraph-api/#environment",
    "ttl": "services/langgraph-api/#environment",
    "FileTree": "sources/#powershell-modules",
    "--take-over": "operating/running/#two-checkouts-of-one-project",
    "idempotency-key": "services/api/langgraph-api/#operation-create_threads__thread_id__runs_post",
    "redeliver": "services/api/monitoring/#operation-redeliverEvent",
}
# What a reader types: the page that has the word, in a site in which each kind of word has a page of its own.
WORDS = {
    "rotation": "form/",
    "rotating": "form/",
    "rotat": "form/",
    "powershell": "camel/",
    "PowerShell": "camel/",
    "shell": "camel/",
    "tree": "camel/",
    "filetree": "camel/",
    "get-filetreesummary": "camel/",
    "path": "snake/",
    "langgraph_db": "snake/",
    "1.4": "snake/",
    "versions.toml": "snake/",
    "--dry-run": "flag/",
    '"dry run"': "flag/",
}


def ask(site: Path, *queries: str) -> dict[str, Any]:
    """Each query's results, best first, with the query's words that were found or not, and the completions."""
    argv = ["node", str(HERE / "tests/search.mjs"), str(site), *queries]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def _places(answer: Any) -> list[str]:
    return [item["location"] for item in answer["items"]]


@pytest.fixture(scope="module")
def own(packed: Path) -> dict[str, Any]:
    """The answers of this repository's own site."""
    return ask(packed / "raw", *OWN)


@pytest.mark.parametrize(("query", "place"), OWN.items())
def test_p13_a_reader_finds_what_is_meant(own: dict[str, Any], query: str, place: str) -> None:
    """The section that answers is among the first five pages, and those with every word of the query come first."""
    answer = own[query]
    assert set(answer["items"][0]["terms"].values()) == {True}
    pages = list(dict.fromkeys(location.partition("#")[0] for location in _places(answer)))

    assert place in _places(answer)
    assert place.partition("#")[0] in pages[:5]
    (item,) = (item for item in answer["items"] if item["location"] == place)
    assert set(item["terms"].values()) == {True}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, fake_mermaid: Path) -> dict[str, Any]:
    """The answers of a small site, for every query of the tests below."""
    where = tmp_path_factory.mktemp("words")
    pages = {
        "index": "# Front",
        "form": "# One\n\nThe key was rotated yesterday.",
        "camel": "# Two\n\nCall `Get-FileTreeSummary` of PowerShell.",
        "snake": "# Three\n\nSet `LANGGRAPH_DB_PATH`, in versions.toml or below 1.4.0.",
        "flag": "# Four\n\nUse `--dry-run` first.",
        "other": "# Five\n\nNothing of it.",
    }
    (where / "docs").mkdir()
    (where / "mkdocs.yml").write_text("site_name: Words\ntheme: {name: material}\nplugins: [search]\n")
    for name, text in pages.items():
        (where / f"docs/{name}.md").write_text(f"{text}\n")
    assert make(where, where / "site", DOCS_STRICT="false").code == 0
    done = pack(where / "site", where / "packed", fake_mermaid)
    assert done.code == 0, done.text
    return ask(where / "packed/raw", *WORDS, "fron", "-dry")


@pytest.mark.parametrize(("query", "page"), WORDS.items())
def test_p13_words_are_found_by_their_parts_and_forms(words: dict[str, Any], query: str, page: str) -> None:
    """Each way of writing a word leads to its page alone."""
    assert {location.partition("#")[0] for location in _places(words[query])} == {page}


def test_a_form_is_marked_like_the_word_itself(words: dict[str, Any]) -> None:
    """The result shows where the form stands, and does not list the word as missing."""
    (item,) = (item for item in words["rotation"]["items"] if item["terms"])

    assert "<mark>rotated</mark>" in item["text"]
    assert item["terms"] == {"rotation": True}


def test_a_completion_is_a_word(words: dict[str, Any]) -> None:
    """What is offered to complete a word is a word of a title, never the stem of one."""
    assert words["fron"]["suggest"] == ["front"]


def test_a_word_can_still_be_excluded(words: dict[str, Any]) -> None:
    """A single minus keeps its meaning: pages without the word."""
    assert "flag/" not in _places(words["-dry"])


def test_the_authors_own_settings_of_the_search_stay(project: Path, tmp_path: Path) -> None:
    """A separator or a pipeline in mkdocs.yml is not replaced."""
    config = (project / "mkdocs.yml").read_text()
    (project / "mkdocs.yml").write_text(
        config.replace("plugins: [search]", "plugins: [search: {separator: '[ ]+', pipeline: [trimmer]}]")
    )

    assert make(project, tmp_path / "site").code == 0

    index = json.loads((tmp_path / "site/search/search_index.json").read_text())
    assert (index["config"]["separator"], index["config"]["pipeline"]) == ("[ ]+", ["trimmer"])
