"""Builds an mkdocs project so that every fault is seen and the pages need no other host.

The author's mkdocs.yml is read as it is; only what the server's promises need is changed, and each change is said.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docsite.errors import SiteProblems, SourceError
from docsite.openapi.plugin import OpenApiPages

# Material prints a banner about mkdocs 2 to stderr at import time; it is no news to a reader of a build log.
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")

from mkdocs.commands.build import build as mkdocs_build
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort, ConfigurationError, MkDocsException

Say = Callable[[str], None]

# mkdocs reports these at level info or not at all unless it is told to; strict mode counts only warnings.
VALIDATION = {
    "nav": {"omitted_files": "warn", "not_found": "warn", "absolute_links": "warn"},
    "links": {"not_found": "warn", "anchors": "warn", "absolute_links": "warn", "unrecognized_links": "warn"},
}
# Identifiers are found by their parts: at signs, at dots that are not in a number, at the humps of camelCase.
SEPARATOR = r"""[\s\-_,;:!?=+*@#$%|~^\[\]{}()"'`/\\]+|\.(?!\d)|&(?:[lg]t|amp|quot);|(?!\b)(?=[A-Z][a-z])"""
OWN_THEME = Path(__file__).with_name("theme")
# Minifying is left to the packer: it stores every text file as brotli 11 and gzip 9.
REPLACED_PLUGINS = frozenset({"minify"})


class _Collector(logging.Handler):
    """Keeps the text of every warning and error that mkdocs, its plugins and its theme log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.problems: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        if text not in self.problems:
            self.problems.append(text)


def build(config_file: Path, out: Path, *, strict: bool, say: Say) -> None:
    """Build into `out`; raise SiteProblems with everything that was wrong (in lenient mode after building)."""
    collector = _Collector()
    logger = logging.getLogger("mkdocs")
    logger.setLevel(logging.INFO)
    logger.addHandler(collector)
    try:
        config = _load(config_file, out, strict=strict, say=say)
        problems = _external_files(config)
        _run(config, collector)
        problems += collector.problems + _missing_files(config)
        # Its gzip header holds a date; the server sends sitemap.xml compressed anyway.
        (out / "sitemap.xml.gz").unlink(missing_ok=True)
    finally:
        logger.removeHandler(collector)
    if problems:
        raise SiteProblems(problems)


def _load(config_file: Path, out: Path, *, strict: bool, say: Say) -> MkDocsConfig:
    config = MkDocsConfig(config_file_path=str(config_file))
    try:
        with config_file.open("rb") as file:
            config.load_file(file)
    except ConfigurationError as error:
        raise SourceError(f"{config_file.name} can't be read: {error}") from error
    config.load_dict({"site_dir": str(out), "strict": strict, "validation": _validation(config)})
    _drop_plugins(config, say)
    errors, warnings = config.validate()
    if errors:
        raise SourceError("; ".join(f"{config_file.name}: {name}: {error}" for name, error in errors))
    for name, warning in warnings:
        logging.getLogger("mkdocs").warning("%s: %s: %s", config_file.name, name, warning)
    config.plugins["docsite/openapi"] = OpenApiPages()
    _own_host_only(config, say)
    _help_readers(config)
    return config


def _validation(config: MkDocsConfig) -> dict[str, dict[str, str]]:
    """The strict table; `absolute_links: relative_to_docs` stays, because it makes such links right."""
    table = {part: dict(rules) for part, rules in VALIDATION.items()}
    given = config.data.get("validation") or {}
    for part in ("nav", "links"):
        rules = given.get(part) if isinstance(given, dict) else None
        value = (rules or {}).get("absolute_links") or (given or {}).get("absolute_links")
        if value == "relative_to_docs":
            table[part]["absolute_links"] = value
    return table


def _plugin_name(entry: Any) -> str:
    return str(next(iter(entry)) if isinstance(entry, dict) and entry else entry)


def _drop_plugins(config: MkDocsConfig, say: Say) -> None:
    plugins: Any = config.data.get("plugins")
    if isinstance(plugins, dict):
        plugins = [{name: options} for name, options in plugins.items()]
    if not isinstance(plugins, list):
        return
    for name in sorted({_plugin_name(entry) for entry in plugins} & REPLACED_PLUGINS):
        say(f"mkdocs.yml: the plugin {name} is left out: files are stored compressed already")
    config.load_dict({"plugins": [entry for entry in plugins if _plugin_name(entry) not in REPLACED_PLUGINS]})


def _own_host_only(config: MkDocsConfig, say: Say) -> None:
    """No web fonts, no CDN highlighter, and links that are right for a site at the root of its host."""
    theme = config.theme
    if theme.name == "material" and theme.get("font"):
        theme["font"] = False
        say("mkdocs.yml: theme.font is off: its fonts come from another host at run time")
    if theme.name in {"mkdocs", "readthedocs"} and theme.get("highlightjs"):
        theme["highlightjs"] = False
        say("mkdocs.yml: theme.highlightjs is off: it comes from another host at run time")
    address = urlsplit(config.site_url or "")
    if address.path.strip("/"):
        config.site_url = f"{address.scheme}://{address.netloc}/"
        say(f"mkdocs.yml: site_url is taken as {config.site_url}: the server has the site at its root")


def _help_readers(config: MkDocsConfig) -> None:
    """In Material: a search that finds parts and forms of words, and a 404 page that leads on; the author's own win."""
    if config.theme.name != "material":
        return
    if search := config.plugins.get("material/search"):
        search.config["separator"] = search.config["separator"] or SEPARATOR
        search.config["pipeline"] = search.config["pipeline"] or ["stemmer", "stopWordFilter", "trimmer"]
    config.theme.dirs.insert(1 if config.theme.custom_dir else 0, str(OWN_THEME))


def _external_files(config: MkDocsConfig) -> list[str]:
    """Name extra files on other hosts, and take them out: the pages' security policy would block them anyway."""
    problems = []
    for option in ("extra_css", "extra_javascript"):
        entries = list(config[option])
        outside = [entry for entry in entries if urlsplit(str(entry)).netloc]
        problems += [
            f"mkdocs.yml: {option}: {entry} is loaded from another host at run time; "
            "put the file into the docs folder and name it by its path"
            for entry in outside
        ]
        config[option] = [entry for entry in entries if entry not in outside]
    return problems


def _missing_files(config: MkDocsConfig) -> list[str]:
    """mkdocs links extra files that don't exist without a word."""
    return [
        f"mkdocs.yml: {option}: {entry} is not in the docs folder"
        for option in ("extra_css", "extra_javascript")
        for entry in config[option]
        if not (Path(config.site_dir) / str(entry)).is_file()
    ]


def _run(config: MkDocsConfig, collector: _Collector) -> None:
    if os.environ.get("SOURCE_DATE_EPOCH") == "":
        del os.environ["SOURCE_DATE_EPOCH"]
    config.plugins.on_startup(command="build", dirty=False)
    try:
        mkdocs_build(config)
    except Abort as error:
        # Raised by strict mode with a count; the collector has the messages behind it.
        if not collector.problems:
            raise SourceError(str(error)) from error
    except MkDocsException as error:
        raise SourceError(f"mkdocs: {error}") from error
    finally:
        config.plugins.on_shutdown()
