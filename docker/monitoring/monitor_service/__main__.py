"""Start the service: `python -m monitor_service`."""

from __future__ import annotations

import sys

from ucservice import answer_sigterm

answer_sigterm()


def main() -> None:
    import os

    from ucservice import logs
    from ucservice.web import serve

    from monitor_service.api import create_app
    from monitor_service.settings import Settings, SettingsError

    os.environ.setdefault("UC_SERVICE", "monitoring")
    logs.setup()
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        logs.get(__name__).error("settings_refused", reason=str(error))
        sys.exit(2)
    serve(create_app(settings), port=8003)


if __name__ == "__main__":
    main()
