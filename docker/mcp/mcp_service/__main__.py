"""Start the server that MCP_SERVER picks."""

from __future__ import annotations

import logging
import os
import sys

from ucservice import answer_sigterm, logs

from mcp_service.settings import Settings, SettingsError

# Each of these writes a line for every request, which ucservice and observe already log once with the request's id.
_TALKATIVE = ("mcp", "httpx2", "httpcore2", "sse_starlette")


def main() -> int:
    """Exit code 2 for an environment that can't be used."""
    answer_sigterm()
    logs.setup()
    log = logs.get("start")
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        log.error("bad_settings", reason=str(error))
        return 2
    log.info("starting", server=settings.server, port=settings.port)
    from ucservice.web import serve

    from mcp_service import app

    serve(app.build(settings), port=settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
