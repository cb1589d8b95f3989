"""Which files and folders beside an mkdocs.yml a build of it needs, so that nothing else of its folder is sent.

Sources: the user guide of MkDocs ("Configuration": INHERIT, docs_dir, theme.custom_dir, hooks, `!ENV`, `!relative`) and
PyMdown's page on Snippets (base_path).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from build.errors import ManifestError

_SNIPPETS = ("pymdownx.snippets", "snippets", "pymdownx.extra.snippets")


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """`paths` are relative to the file's folder, sorted, none inside another; `outside` leads out of that folder.

    `missing` are those of both that do not exist.
    """

    paths: tuple[str, ...]
    outside: tuple[str, ...]
    missing: tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """Reads values and takes every tag of MkDocs and its extensions for what it stands on."""


def _construct_any(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None


def _construct_env(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    """`!ENV NAME` or `!ENV [NAME, …, default]`: the default, because a build in a container has none of the names."""
    if not isinstance(node, yaml.SequenceNode):
        return None
    values = loader.construct_sequence(node, deep=True)
    return values[-1] if len(values) > 1 else None


_Loader.add_multi_constructor("!", _construct_any)
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _construct_any)
_Loader.add_constructor("!ENV", _construct_env)


def needs(config: Path) -> Needs:
    """What a build of this mkdocs.yml reads. ManifestError when it, or one that it inherits from, is no mapping."""
    named: list[str] = []
    merged: dict[str, Any] = {}
    contents = list(_inherited(config))
    for name, content in contents:  # from the child to its parents: what is there already wins
        named.append(name)
        theme, own = content.get("theme"), merged.get("theme")
        merged = content | merged
        if isinstance(theme, dict) and isinstance(own, dict):
            merged["theme"] = theme | own
    docs = _text(merged.get("docs_dir")) or "docs"
    named.append(docs)
    theme = merged.get("theme")
    if isinstance(theme, dict) and (custom := _text(theme.get("custom_dir"))):
        named.append(custom)
    named += filter(None, map(_text, _list(merged.get("hooks"))))
    for _, content in contents:
        named += _snippet_folders(content.get("markdown_extensions"), docs)
    return _settled(config.parent, named)


def _inherited(config: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file itself and, one after the other, those that INHERIT names; paths relative to the first one's folder."""
    name, seen = config.name, set[str]()
    while name and name not in seen:
        seen.add(name)
        content = _read(config.parent / name)
        yield name, content
        parent = _text(content.get("INHERIT"))
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), parent)) if parent else ""


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=_Loader)  # noqa: S506 - derived from SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file}: can't be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ManifestError(f"{file}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{file}: is not a mapping of settings, as mkdocs.yml is")
    return {str(key): value for key, value in content.items()}


def _snippet_folders(extensions: object, docs: str) -> Iterator[str]:
    """`base_path` of the snippets extension; the folder of mkdocs.yml itself, its default, stands for no folder."""
    entries = extensions.items() if isinstance(extensions, dict) else _pairs(extensions)
    for name, options in entries:
        if name not in _SNIPPETS or not isinstance(options, dict):
            continue
        for path in _list(options.get("base_path")):
            if folder := _text(path):
                for prefix, instead in (("$config_dir", "."), ("$docs_dir", docs)):
                    if folder == prefix or folder.startswith(f"{prefix}/"):
                        folder = instead + folder[len(prefix) :]
                yield folder


def _pairs(extensions: object) -> Iterator[tuple[object, object]]:
    for entry in _list(extensions):
        if isinstance(entry, dict):
            yield from entry.items()


def _settled(root: Path, named: list[str]) -> Needs:
    paths = {posixpath.normpath(name.replace("\\", "/")) for name in named} - {"."}
    outside = {path for path in paths if path.startswith(("../", "/")) or path == ".."}
    inside = sorted(paths - outside)
    kept = [path for path in inside if not any(path.startswith(f"{other}/") for other in inside)]
    return Needs(
        paths=tuple(kept),
        outside=tuple(sorted(outside)),
        missing=tuple(path for path in [*kept, *sorted(outside)] if not (root / path).exists()),
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
