"""python -m langgraph_service [--check]: serve, or load the graphs and say how that went."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from ucservice import answer_sigterm

answer_sigterm()
# Imports make objects that stay: collecting garbage among them only costs time.
gc.disable()
# Before langgraph is imported: checkpoints may hold data, never a class of somebody's choosing.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
# Tracing to LangSmith is another product's, and this service speaks to its peers alone.
os.environ.setdefault("LANGSMITH_TRACING", "false")


def _check(agents: Path) -> int:
    from langgraph_service.plugins import load

    graphs = load(agents)
    return 0 if graphs.loaded or not graphs.failed else 1


def main() -> int:
    """Run what the command line names. Exit code 2 for an environment or a database that can't be used."""
    from ucservice import logs, web

    from langgraph_service.app import create_app
    from langgraph_service.database import Unusable, require_usable
    from langgraph_service.settings import Settings, SettingsError

    gc.freeze()
    gc.enable()
    logs.setup()
    log = logs.get("app")
    try:
        settings = Settings.from_environ()
        if "--check" in sys.argv[1:]:
            return _check(settings.agents)
        require_usable(settings.tables)
    except SettingsError as error:
        log.error("settings_refused", error=str(error))
        return 2
    except Unusable as error:
        log.error("state_unusable", error=str(error))
        return 2
    web.serve(create_app(settings), port=8000)
    return 0


sys.exit(main())
