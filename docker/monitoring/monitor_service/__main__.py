"""Start the service: `python -m monitor_service`."""

from __future__ import annotations

import sys

from ucservice import answer_sigterm

answer_sigterm()


def main() -> None:
    import os
    import sqlite3

    from ucservice import logs
    from ucservice.web import serve

    from monitor_service.api import create_app
    from monitor_service.service import Service
    from monitor_service.settings import Settings, SettingsError
    from monitor_service.store import StoreTooNew

    os.environ.setdefault("UC_SERVICE", "monitoring")
    logs.setup()
    log = logs.get(__name__)
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        log.error("settings_refused", reason=str(error))
        sys.exit(2)
    try:
        service = Service(settings)
    except sqlite3.Error as error:
        log.error("store_unusable", file=str(settings.store), error=str(error), expected="a folder that 10001 owns")
        sys.exit(2)
    except StoreTooNew as error:
        log.error("store_too_new", reason=str(error))
        sys.exit(2)
    serve(create_app(service), port=8003)


if __name__ == "__main__":
    main()
