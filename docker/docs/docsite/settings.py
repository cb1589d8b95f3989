"""Reads mkdocs.yml so that what the image lacks costs a setting and not the site; each loss is a problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import markdown  # type: ignore[import-untyped]
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import ConfigurationError
from mkdocs.plugins import get_plugins
from mkdocs.utils.yaml import get_yaml_loader, yaml_load

from docsite.errors import SourceError
from docsite.static_check import Problem

Say = Callable[[str], None]
# mkdocs reports these at level info, or not at all, without these settings; strict mode counts only warnings.
VALIDATION = {
    "nav": {"omitted_files": "warn", "not_found": "warn", "absolute_links": "warn"},
    "links": {"not_found": "warn", "anchors": "warn", "absolute_links": "warn", "unrecognized_links": "warn"},
}
# Minifying is left to the packer: it stores every text file as brotli 11 and gzip 9.
REPLACED_PLUGINS = frozenset({"minify"})
# The emoji of Material before its version 9.4; they are in Material itself since.
_RENAMED = re.compile(r"\Amaterialx\.emoji\.(twemoji|to_svg)\Z")
_ESSENTIAL = frozenset({"docs_dir", "site_name", "site_dir"})
_MISSING = object()


class Settings:
    """The readings of one mkdocs.yml; `problems` has what they had to leave out."""

    def __init__(self, config_file: Path, out: Path, *, strict: bool | None, say: Say) -> None:
        self._file, self._out, self._wanted, self._say = config_file, out, strict, say
        self._instead: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.strict = bool(strict)

    def load(self, *, bare: bool = False) -> MkDocsConfig:
        """The validated config, less what can't be used; SourceError when too little is left.

        Without a wish for it `strict` is the file's own. `bare` is without hooks and any plugin but the search.
        """
        while True:
            config = MkDocsConfig(config_file_path=str(self._file))
            values = self._values(config)
            if bare:
                values |= {"plugins": ["search"], "hooks": []}
            self.strict = bool(values.get("strict")) if self._wanted is None else self._wanted
            config.load_dict(
                {**values, "site_dir": str(self._out), "strict": self.strict, "validation": _validation(values)}
            )
            errors, warnings = config.validate()
            if not errors:
                self._note([Problem("setting", f"{self._file.name}: {name}: {text}") for name, text in warnings])
                return config
            self._leave_out(values, [(name, str(error)) for name, error in errors])

    def _leave_out(self, values: dict[str, Any], errors: list[tuple[str, str]]) -> None:
        """Remember not to use these settings."""
        texts = [f"{self._file.name}: {name}: {' '.join(error.split())}" for name, error in errors]
        if any(name in _ESSENTIAL or name not in values or name in self._instead for name, _ in errors):
            raise SourceError("; ".join(texts))
        for (name, _), text in zip(errors, texts, strict=True):
            self._note([Problem("setting", f"{text}; it is left out")])
            self._instead[name] = {"name": "material"} if name == "theme" else _MISSING

    def _note(self, problems: list[Problem]) -> None:
        self.problems += [problem for problem in problems if problem not in self.problems]

    def _values(self, config: MkDocsConfig) -> dict[str, Any]:
        """What the file says, less what is not there or was left out."""
        missing: list[str] = []
        try:
            with self._file.open("rb") as file:
                content = yaml_load(file, _tolerant_loader(config, missing))
        except (ConfigurationError, OSError, yaml.YAMLError) as error:
            raise SourceError(f"{self._file.name} can't be read: {error}") from error
        if not isinstance(content, dict):
            raise SourceError(f"{self._file.name} can't be read: it is not a mapping of settings")
        values = {str(key): _without_missing(value) for key, value in content.items()}
        for name, instead in self._instead.items():
            values[name] = instead
        values = dict(_without_missing(values))
        self._note([Problem("missing extension", f"{self._file.name}: {name} is not in the image") for name in missing])
        self._drop(values, "plugins", "missing plugin", _plugin_test(values))
        self._drop(values, "markdown_extensions", "missing extension", _is_extension)
        return values

    def _drop(self, values: dict[str, Any], option: str, kind: str, is_there: Callable[[str], bool]) -> None:
        """Take the entries out of a list, or a mapping by name, that the image does not have."""
        entries = values.get(option)
        if isinstance(entries, dict):
            entries = [{name: options} for name, options in entries.items()]
        if not isinstance(entries, list):
            return
        names = list(dict.fromkeys(map(_name, entries)))
        for name in (name for name in names if option == "plugins" and name in REPLACED_PLUGINS):
            self._say(f"mkdocs.yml: the plugin {name} is left out: files are stored compressed already")
        gone = [name for name in names if name not in REPLACED_PLUGINS and not is_there(name)]
        text = f"{self._file.name}: {option}: {{}} is not in the image; the site is built without it"
        self._note([Problem(kind, text.format(name)) for name in gone])
        values[option] = [entry for entry in entries if _name(entry) not in {*gone, *REPLACED_PLUGINS}]


def _name(entry: Any) -> str:
    return str(next(iter(entry)) if isinstance(entry, dict) and entry else entry)


def _plugin_test(values: dict[str, Any]) -> Callable[[str], bool]:
    theme, known = values.get("theme"), get_plugins()
    prefix = theme.get("name") if isinstance(theme, dict) else theme
    return lambda name: name in known or f"{prefix}/{name}" in known


def _is_extension(name: str) -> bool:
    try:
        markdown.Markdown(extensions=[name])
    except Exception:  # noqa: BLE001 - an import of whatever the author named
        return False
    return True


def _tolerant_loader(config: MkDocsConfig, missing: list[str]) -> Any:
    """MkDocs' own loader; a `!!python/name` of a module that is not there is a gap instead of the end."""

    class Loader(get_yaml_loader(config=config)):  # type: ignore[misc]
        """Its constructors are its own."""

    def construct(loader: Any, suffix: str, node: yaml.Node) -> object:
        try:
            return loader.construct_python_name(_RENAMED.sub(r"material.extensions.emoji.\1", suffix), node)
        except yaml.YAMLError:
            missing.append(suffix)
            return _MISSING

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", construct)
    return Loader


def _without_missing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_missing(item) for key, item in value.items() if item is not _MISSING}
    if isinstance(value, list):
        return [_without_missing(item) for item in value if item is not _MISSING]
    return value


def _validation(values: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The strict table; `absolute_links: relative_to_docs` stays, because it makes such links right."""
    table = {part: dict(rules) for part, rules in VALIDATION.items()}
    given = values.get("validation")
    given = given if isinstance(given, dict) else {}
    for part in ("nav", "links"):
        rules = given.get(part)
        own = rules.get("absolute_links") if isinstance(rules, dict) else None
        if (own or given.get("absolute_links")) == "relative_to_docs":
            table[part]["absolute_links"] = "relative_to_docs"
    return table
