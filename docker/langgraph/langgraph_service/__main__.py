"""python -m langgraph_service [--check]: serve, or load the graphs, say how that went, and exit 1 if one failed."""

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

    return 1 if load(agents).failed else 0


def _enter(work: Path) -> None:
    # Graphs write logs and files by relative paths, and the folder of the program is read-only.
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)


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
        checks = "--check" in sys.argv[1:]
        if not checks:
            require_usable(settings.tables)
        _enter(settings.work)
        if checks:
            return _check(settings.agents)
    except SettingsError as error:
        log.error("settings_refused", error=str(error))
        return 2
    except (Unusable, OSError) as error:
        log.error("state_unusable", error=str(error))
        return 2
    web.serve(create_app(settings), port=8000)
    return 0


try:
    code = main()
except SystemExit as left:  # at SIGTERM, once everything is closed
    code = left.code if isinstance(left.code, int) else 1
# The interpreter would wait for every thread, and a node that blocks one may do so for ever.
sys.stdout.flush()
os._exit(code)
