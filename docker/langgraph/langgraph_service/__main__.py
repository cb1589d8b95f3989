"""python -m langgraph_service [--check]: serve, or load the graphs and say how that went."""

from __future__ import annotations

import gc
import os
import sys

from ucservice import answer_sigterm

answer_sigterm()
# Imports make objects that stay: collecting garbage among them only costs time.
gc.disable()
# Before langgraph is imported: checkpoints may hold data, never a class of somebody's choosing.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
# Tracing to LangSmith is another product's, and this service speaks to its peers alone.
os.environ.setdefault("LANGSMITH_TRACING", "false")


def _check() -> int:
    from langgraph_service.plugins import load
    from langgraph_service.settings import Settings

    graphs = load(Settings.from_environ().agents)
    return 0 if graphs.loaded or not graphs.failed else 1


def main() -> int:
    """Run what the command line names."""
    from ucservice import logs, web

    from langgraph_service.app import create_app
    from langgraph_service.settings import Settings

    gc.freeze()
    gc.enable()
    logs.setup()
    if "--check" in sys.argv[1:]:
        return _check()
    web.serve(create_app(Settings.from_environ()), port=8000)
    return 0


sys.exit(main())
