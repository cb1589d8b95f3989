"""`python -m groupchat_service`: listen until SIGTERM."""

from __future__ import annotations

import os
import sys

from ucservice import answer_sigterm

os.environ.setdefault("UC_SERVICE", "autogen-groupchat")
# Nothing exports AutoGen's spans here, and making them is a quarter of a chat's work.
os.environ.setdefault("AUTOGEN_DISABLE_RUNTIME_TRACING", "true")


def main() -> int:
    """Exit code 2 for an environment or a database that can't be used."""
    answer_sigterm()
    from ucservice import logs
    from ucservice.web import serve

    from groupchat_service.settings import Settings, SettingsError
    from groupchat_service.store import Store

    logs.setup()
    log = logs.get("service")
    try:
        settings = Settings.from_env(os.environ)
        Store(settings.data).try_out()
    except SettingsError as error:
        log.error("settings_refused", error=str(error))
        return 2
    except OSError as error:
        log.error("store_unusable", error=str(error))
        return 2
    from groupchat_service.service import create_app

    serve(create_app(settings), port=8001)
    return 0


if __name__ == "__main__":
    sys.exit(main())
