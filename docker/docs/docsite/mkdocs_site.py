"""Builds an mkdocs project so that every fault is seen and the pages need no other host.

The author's mkdocs.yml is read as it is; only what the server's promises need is changed, and each change is said.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# Material prints a banner about mkdocs 2 to stderr at import time; it is no news to a reader of a build log.
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")

from mkdocs.commands.build import build as mkdocs_build
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort
from mkdocs.utils import get_build_date

from docsite.errors import SourceError
from docsite.kinds import problems_of
from docsite.openapi.plugin import OpenApiPages
from docsite.settings import Say, Settings
from docsite.static_check import Problem

# Identifiers are found by their parts: at signs, at dots that are not in a number, at the humps of camelCase.
SEPARATOR = r"""[\s\-_,;:!?=+*@#$%|~^\[\]{}()"'`/\\]+|\.(?!\d)|&(?:[lg]t|amp|quot);|(?!\b)(?=[A-Z][a-z])"""
OWN_THEME = Path(__file__).with_name("theme")


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """What is wrong with the site, and whether its author wants none that has faults."""

    problems: list[Problem]
    strict: bool


class _Collector(logging.Handler):
    """Keeps every warning and error that mkdocs, its plugins and its theme log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.problems: list[Problem] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.problems += [found for found in problems_of(record.getMessage()) if found not in self.problems]


def build(config_file: Path, out: Path, *, strict: bool | None, say: Say) -> Built:
    """Build into `out`; SourceError when there can be no site. A strict build with problems may leave none."""
    collector = _Collector()
    logger = logging.getLogger("mkdocs")
    logger.setLevel(logging.INFO)
    logger.addHandler(collector)
    settings = Settings(config_file, out, strict=strict, say=say)
    try:
        try:
            problems = _run(settings.load(), collector, say)
        except _PluginBroke as error:
            problems = [error.problem]
            try:
                problems += _run(settings.load(bare=True), collector, lambda _text: None)
            except _PluginBroke as again:
                raise SourceError(f"mkdocs: {again.problem.text}") from again
        # Its gzip header holds a date; the server sends sitemap.xml compressed anyway.
        (out / "sitemap.xml.gz").unlink(missing_ok=True)
        _forget_build_date(out / "sitemap.xml")
    finally:
        logger.removeHandler(collector)
    return Built(problems=[*settings.problems, *problems, *collector.problems], strict=settings.strict)


def _forget_build_date(sitemap: Path) -> None:
    """Take the build's date from the pages that have no date of their own: they did not change on it."""
    if sitemap.is_file():
        text = sitemap.read_text(encoding="utf-8")
        sitemap.write_text(text.replace(f"<lastmod>{get_build_date()}</lastmod>", ""), encoding="utf-8")


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


def _external_files(config: MkDocsConfig) -> list[Problem]:
    """Name extra files on other hosts, and take them out: the pages' security policy would block them anyway."""
    problems = []
    for option in ("extra_css", "extra_javascript"):
        entries = list(config[option])
        outside = [entry for entry in entries if urlsplit(str(entry)).netloc]
        problems += [
            Problem(
                "other host",
                f"mkdocs.yml: {option}: {entry} is loaded from another host at run time; "
                "put the file into the docs folder and name it by its path",
            )
            for entry in outside
        ]
        config[option] = [entry for entry in entries if entry not in outside]
    return problems


def _missing_files(config: MkDocsConfig) -> list[Problem]:
    """mkdocs links extra files that don't exist without a word."""
    return [
        Problem("missing extra file", f"mkdocs.yml: {option}: {entry} is not in the docs folder")
        for option in ("extra_css", "extra_javascript")
        for entry in config[option]
        if not (Path(config.site_dir) / str(entry)).is_file()
    ]


class _PluginBroke(Exception):
    """A plugin or a hook raised what no build survives."""

    def __init__(self, error: BaseException, message: str = "") -> None:
        text = message or " ".join(f"{type(error).__name__}: {error}".split())
        self.problem = Problem(
            "broken plugin", f"a plugin or hook broke the build, the site is built without any: {text}"
        )
        super().__init__(text)


def _run(config: MkDocsConfig, collector: _Collector, say: Say) -> list[Problem]:
    """Build, and return what mkdocs itself does not report."""
    config.plugins["docsite/openapi"] = OpenApiPages()
    _own_host_only(config, say)
    _help_readers(config)
    problems = _external_files(config)
    try:
        config.plugins.on_startup(command="build", dirty=False)
        mkdocs_build(config)
    except Abort as error:
        # Raised by strict mode with a count; the collector has the messages behind it.
        if not collector.problems:
            raise SourceError(str(error)) from error
        if not config.strict:
            raise _PluginBroke(error, collector.problems[-1].text) from error
    except Exception as error:
        raise _PluginBroke(error) from error
    finally:
        config.plugins.on_shutdown()
    return problems + _missing_files(config)
