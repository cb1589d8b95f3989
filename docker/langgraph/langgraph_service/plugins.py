"""The user's graphs: named in the agents folder's agents.toml (or langgraph.json), loaded once, each on its own."""

from __future__ import annotations

import atexit
import errno
import importlib
import importlib.util
import inspect
import json
import os
import shutil
import sys
import tempfile
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from ucservice import logs

from langgraph_service.errors import Invalid

# The official server's namespace: an assistant has the same id here and there.
NAMESPACE = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
Graph = Pregel[Any, Any, Any, Any]

_log = logs.get("plugins")


@dataclass(kw_only=True)
class Graphs:
    """The graphs that loaded, and why the others did not."""

    loaded: dict[str, Graph] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    copied: set[str] = field(default_factory=set)  # loaded from a copy of the folder, because they write into it
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def resolve(self, assistant: str) -> str:
        """The graph that an assistant id or a graph name means."""
        if assistant in self.loaded:
            return assistant
        for name in self.loaded:
            if assistant_id(name) == assistant.lower():
                return name
        for name, reason in self.failed.items():
            if assistant in {name, assistant_id(name)}:
                raise Invalid(f"Invalid assistant: '{name}' failed to load: {reason}")
        known = ", ".join(self.loaded) or "none"
        raise Invalid(
            f"Invalid assistant: '{assistant}'. Must be either:\n- A valid assistant UUID, or\n"
            f"- One of the registered graphs: {known}"
        )

    def bind(self, saver: BaseCheckpointSaver[Any], store: BaseStore) -> None:
        """Give every graph this service's checkpoints and store, whatever it was compiled with."""
        self.loaded = {
            name: graph.copy({"checkpointer": saver, "store": store, "name": _name(graph, name)})
            for name, graph in self.loaded.items()
        }


def _name(graph: Graph, name: str) -> str:
    return name if graph.get_name() == "LangGraph" else graph.get_name()


def assistant_id(graph: str) -> str:
    """The id of a graph's only assistant."""
    return str(uuid.uuid5(NAMESPACE, graph))


def declared(folder: Path) -> dict[str, str]:
    """The `[graphs]` table of agents.toml, or `graphs` of langgraph.json, as name -> entry point."""
    toml, official = folder / "agents.toml", folder / "langgraph.json"
    table: Any = tomllib.loads(toml.read_text("utf-8")).get("graphs") if toml.is_file() else None
    if table is None and official.is_file():
        table = json.loads(official.read_text("utf-8")).get("graphs", {})
    if table is None:
        raise FileNotFoundError(f"no agents.toml in {folder}: it names the graphs, [graphs] name = 'module:attribute'")
    if not isinstance(table, Mapping):
        raise ValueError("graphs: expected a table of name = 'module:attribute'")
    return {str(name): entry["path"] if isinstance(entry, Mapping) else str(entry) for name, entry in table.items()}


def _import(folder: Path, module: str) -> ModuleType:
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = folder / module
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{module}: not a Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def _read_only(error: BaseException | None) -> bool:
    """Whether an import failed because its folder can't be written to."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _forgotten(folder: Path) -> Iterator[None]:
    """Import anew what is in a folder; afterwards, modules that nobody asked for are those that they were."""
    inside = f"{folder}{os.sep}"
    before = {
        name: module for name, module in sys.modules.items() if str(getattr(module, "__file__", "")).startswith(inside)
    }
    for name in before:
        del sys.modules[name]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        anew = {name.partition(".")[0] for name in sys.modules}
        sys.modules.update({name: old for name, old in before.items() if name.partition(".")[0] not in anew})


def _prefer(folder: Path) -> None:
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))


class _Folder:
    """The agents folder, and a copy of it that can be written to, as soon as one is needed."""

    def __init__(self, folder: Path) -> None:
        self.source, self._copy = folder, Path()

    def load(self, entry: str, *, copied: bool) -> Graph:
        """The graph of an entry point, from the folder or from its copy."""
        if not copied:
            _prefer(self.source)
            return _load_one(self.source, entry)
        _prefer(self.copy())
        with _forgotten(self.source):
            return _load_one(self.copy(), entry)

    def settle(self) -> None:
        """Let what nodes import when they run come from the copy, if there is one."""
        if self._copy.name:
            _prefer(self._copy)

    def copy(self) -> Path:
        """The copy: in the folder for temporary files, which a container has in memory."""
        if not self._copy.name:
            self._copy = Path(tempfile.mkdtemp(prefix="agents-")) / self.source.name
            atexit.register(shutil.rmtree, self._copy.parent, ignore_errors=True)
            shutil.copytree(self.source, self._copy)
            for path in (self._copy, *self._copy.rglob("*")):
                path.chmod(path.stat().st_mode | 0o200)
        return self._copy


def _load_one(folder: Path, entry: str) -> Graph:
    module, separator, attribute = entry.partition(":")
    if not (module and separator and attribute):
        raise ValueError(f"entry point {entry!r}: expected 'module:attribute'")
    found = getattr(_import(folder, module), attribute)
    if callable(found) and not isinstance(found, StateGraph | Pregel):
        if inspect.iscoroutinefunction(found):
            raise TypeError(f"{entry} is async: build the graph in a plain function")
        found = found()
    if isinstance(found, StateGraph):
        found = found.compile()
    if not isinstance(found, Pregel):
        kind = type(found).__name__
        raise TypeError(f"{entry} is a {kind}: expected a StateGraph, a compiled graph, or a function making one")
    return found


def _loaded(folder: _Folder, graphs: Graphs, name: str, entry: str) -> Graph:
    try:
        return folder.load(entry, copied=False)
    except Exception as error:
        if not _read_only(error):
            raise
        _log.warning("graph_writes_beside_itself", graph=name, entry=entry, reason=reason_of(error))
    graph = folder.load(entry, copied=True)
    graphs.copied.add(name)
    return graph


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def load(folder: Path) -> Graphs:
    """Every declared graph; one that fails is reported and leaves the others alone.

    Graphs are read where they are. One that writes a file beside itself when it is imported, which a read-only place
    refuses, is loaded from a copy that can be written to.
    """
    graphs, folder = Graphs(), folder.absolute()
    try:
        entries = declared(folder)
    except FileNotFoundError as error:  # a stack without graphs is one: it is not ready, and nothing is broken
        _log.warning("graphs_not_declared", reason=str(error))
        return graphs
    except (OSError, ValueError) as error:
        graphs.failed["agents.toml"] = str(error)
        _log.warning("graphs_not_declared", reason=str(error))
        return graphs
    places = _Folder(folder)
    for name, entry in entries.items():
        try:
            graphs.loaded[name] = _loaded(places, graphs, name, entry)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything; the service goes on
            graphs.failed[name] = reason_of(error)
            _log.warning("graph_failed", graph=name, entry=entry, reason=graphs.failed[name])
    places.settle()
    _log.info("graphs_loaded", loaded=sorted(graphs.loaded), failed=sorted(graphs.failed), copied=sorted(graphs.copied))
    return graphs
