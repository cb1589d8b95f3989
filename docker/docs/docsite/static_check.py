"""Problems of a docs source that show without MkDocs: plugins that the image lacks, files and links that lead nowhere.

Needs PyYAML alone and imports nothing of this package, so that a program without the image's packages can load it by
its path. Sources: the user guide of MkDocs ("Configuration", "Writing your docs"); CommonMark 0.31 for links and code.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import unquote, urlsplit

import yaml

CONFIG_NAMES = ("mkdocs.yml", "mkdocs.yaml")
# The plugins of the image's lock, under every name that mkdocs.yml may use; minify is replaced by the packer.
_MATERIAL = ("blog", "group", "info", "meta", "offline", "optimize", "privacy", "projects", "search", "social", "tags")
_OTHERS = ("typeset", "minify", "autorefs", "mkdocstrings")
PLUGINS = frozenset([*_MATERIAL, "typeset", *(f"material/{name}" for name in (*_MATERIAL, "typeset")), *_OTHERS])

_PAGE_SUFFIXES = (".md", ".markdown", ".mdown", ".mkdn", ".mkd")
_FENCE = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+)?(`{3,}|~{3,})")
_CONTAINER = re.compile(r"\s*(?:[-*+]\s|\d+[.)]\s|!!!|\?\?\?|===|\[\^)")
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(
    r"""!?\[(?:[^\[\]\\]|\\.|\[[^\[\]]*\])*\]\(\s*(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()]*\)[^\s()]*)*))"""
)
_DEFINITION = re.compile(r"(?m)^ {0,3}\[(?!\^)[^\]\n]+\]:[ \t]*(?:<([^<>\n]*)>|(\S+))")


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One fault: what kind it is, and where it is and why, in one line."""

    kind: str
    text: str


class ConfigUnreadable(Exception):
    """mkdocs.yml, or a file that it inherits from, is not a readable YAML mapping."""


def check(source: Path) -> list[Problem]:
    """The problems of the folder of an mkdocs.yml; none for a folder without it. ConfigUnreadable if it is no YAML."""
    config = next((source / name for name in CONFIG_NAMES if (source / name).is_file()), None)
    if config is None:
        return []
    settings = read(config)
    docs = source / str(settings.get("docs_dir") or "docs")
    if not docs.is_dir():
        return [
            Problem(
                "missing folder", f"{config.name}: docs_dir: there is no folder {settings.get('docs_dir') or 'docs'}"
            )
        ]
    return [
        *missing_plugins(settings, config.name),
        *_extra_files(settings, docs, config.name),
        *_missing_pages(settings.get("nav"), docs, config.name),
        *_broken_links(docs),
    ]


def counts(problems: Iterable[Problem]) -> dict[str, int]:
    """How many problems there are of each kind, the rarest first."""
    found = Counter(problem.kind for problem in problems)
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def rarest_first(problems: Iterable[Problem]) -> list[Problem]:
    """The problems in an order that shows something of every kind: sixty broken links hide no missing plugin."""
    listed = sorted(set(problems))
    order = counts(listed)
    return sorted(listed, key=lambda problem: list(order).index(problem.kind))


class _Loader(yaml.SafeLoader):
    """Takes the tags of MkDocs (`!ENV`, `!relative`, `!!python/name`) for the values that they stand on."""


def _construct_any(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        values = loader.construct_sequence(node, deep=True)
        return values[-1] if node.tag == "!ENV" and values else values
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return None if node.tag == "!ENV" else node.value


_Loader.add_multi_constructor("!", _construct_any)
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _construct_any)


def read(config: Path, seen: frozenset[Path] = frozenset()) -> dict[str, Any]:
    """The settings of an mkdocs.yml, merged into those that it inherits."""
    try:
        content = yaml.load(config.read_text(encoding="utf-8-sig"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigUnreadable(f"{config.name} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigUnreadable(f"{config.name} is not a mapping of settings")
    parent = content.pop("INHERIT", None)
    if isinstance(parent, str) and config not in seen:
        content = _merged(read(config.parent / parent, seen | {config}), content)
    return {str(key): value for key, value in content.items()}


def _merged(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(parent)
    for key, value in child.items():
        known = both.get(key)
        both[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def missing_plugins(settings: Mapping[str, Any], name: str) -> list[Problem]:
    """The plugins that are named and that the image does not have."""
    plugins = settings.get("plugins")
    listed = plugins if isinstance(plugins, list | dict) else []
    names = [str(next(iter(entry), "")) if isinstance(entry, dict) else str(entry) for entry in listed]
    return [
        Problem("missing plugin", f"{name}: plugins: {plugin} is not in the image; the site is built without it")
        for plugin in dict.fromkeys(names)
        if plugin and plugin not in PLUGINS
    ]


def extra_entries(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(option, path or address) of each entry of extra_css and extra_javascript."""
    for option in ("extra_css", "extra_javascript"):
        for entry in settings.get(option) or []:
            yield option, str(entry.get("path", "") if isinstance(entry, dict) else entry)


def _extra_files(settings: Mapping[str, Any], docs: Path, name: str) -> Iterator[Problem]:
    for option, entry in extra_entries(settings):
        if urlsplit(entry).netloc:
            yield Problem(
                "other host",
                f"{name}: {option}: {entry} is loaded from another host at run time; put the file into the docs folder "
                "and name it by its path",
            )
        elif not (docs / urlsplit(entry).path).is_file():
            yield Problem("missing extra file", f"{name}: {option}: {entry} is not in the docs folder")


def _missing_pages(nav: object, docs: Path, name: str) -> Iterator[Problem]:
    for entry in nav if isinstance(nav, list) else [nav]:
        if isinstance(entry, dict):
            for value in entry.values():
                yield from _missing_pages(value, docs, name)
        elif isinstance(entry, list):
            yield from _missing_pages(entry, docs, name)
        elif _is_page(entry) and not (docs / entry).is_file():
            yield Problem("missing page", f"{name}: nav: {entry} is not in the docs folder")


def _is_page(entry: object) -> TypeGuard[str]:
    return isinstance(entry, str) and entry.endswith(_PAGE_SUFFIXES) and not urlsplit(entry).scheme


def _broken_links(docs: Path) -> Iterator[Problem]:
    for page in sorted(docs.rglob("*")):
        shown = page.relative_to(docs).as_posix()
        if (
            page.suffix not in _PAGE_SUFFIXES
            or any(part.startswith(".") for part in shown.split("/"))
            or not page.is_file()
        ):
            continue
        try:
            text = page.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            yield Problem("unreadable page", f"{shown} can't be read as UTF-8: {error}")
            continue
        for target in dict.fromkeys(links(text)):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(shown), target))
            if path.startswith("../") or not (docs / path).is_file():
                yield Problem("broken link", f"{shown}: {target} is not in the docs folder")


def links(text: str) -> Iterator[str]:
    """The relative paths that the links and images of a Markdown text name, without code and comments."""
    prose = _CODE.sub("", _COMMENT.sub("", "\n".join(_prose(text))))
    for expression in (_LINK, _DEFINITION):
        for match in expression.finditer(prose):
            try:
                address = urlsplit(match[1] or match[2] or "")
            except ValueError:
                continue
            if address.path and not (address.scheme or address.netloc or address.path.startswith(("/", "{", "$"))):
                yield unquote(address.path)


def _prose(text: str) -> Iterator[str]:
    """The lines outside of fenced and indented code."""
    fence, in_container, blank = "", False, True
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif mark:
            fence = mark[1]
        elif not line.strip():
            blank = True
        else:
            indented = line.startswith(("    ", "\t"))
            if not indented:
                in_container = bool(_CONTAINER.match(line)) or (in_container and not blank)
            if not (indented and blank and not in_container):
                yield line
                blank = False
