"""The user's graphs: named in the agents folder's agents.toml (or langgraph.json), loaded once, each on its own."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
import tomllib
import uuid
from collections.abc import Mapping
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
    if toml.is_file():
        table: Any = tomllib.loads(toml.read_text("utf-8")).get("graphs", {})
    elif official.is_file():
        table = json.loads(official.read_text("utf-8")).get("graphs", {})
    else:
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


def load(folder: Path) -> Graphs:
    """Every declared graph; one that fails is reported and leaves the others alone."""
    graphs = Graphs()
    try:
        entries = declared(folder)
    except (OSError, ValueError) as error:
        graphs.failed["agents.toml"] = str(error)
        _log.warning("graphs_not_declared", reason=str(error))
        return graphs
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    for name, entry in entries.items():
        try:
            graphs.loaded[name] = _load_one(folder, entry)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything; the service goes on
            graphs.failed[name] = f"{type(error).__name__}: {error}"
            _log.warning("graph_failed", graph=name, entry=entry, reason=graphs.failed[name])
    _log.info("graphs_loaded", loaded=sorted(graphs.loaded), failed=sorted(graphs.failed))
    return graphs
