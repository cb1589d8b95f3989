"""`python -m groupchat_service`: listen until SIGTERM. `--check` shows the roles of the agents folder instead."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ucservice import answer_sigterm

if TYPE_CHECKING:
    from groupchat_service.settings import Settings

os.environ.setdefault("UC_SERVICE", "autogen-groupchat")
# Nothing exports AutoGen's spans here, and making them is a quarter of a chat's work.
os.environ.setdefault("AUTOGEN_DISABLE_RUNTIME_TRACING", "true")


def _check(settings: Settings) -> int:
    from groupchat_service import role_file
    from groupchat_service.providers import Providers
    from groupchat_service.service import autogen

    declared = role_file.load(settings.agents)
    roster = declared.tried(autogen(Providers(settings), settings, declared).refusal)
    for name, role in roster.declared.items():
        sys.stdout.write(f"role {name}: ready, {len(role.tools)} tools\n")
    for name, reason in roster.failed.items():
        sys.stdout.write(f"role {name}: refused: {reason}\n")
    return 1 if roster.failed else 0


def main() -> int:
    """Exit code 2 for an environment or a database that can't be used; with --check, 1 for a role that is refused."""
    answer_sigterm()
    from ucservice import logs
    from ucservice.web import serve

    from groupchat_service.settings import Settings, SettingsError
    from groupchat_service.store import Store

    logs.setup()
    log = logs.get("service")
    try:
        settings = Settings.from_env(os.environ)
        if "--check" in sys.argv[1:]:
            return _check(settings)
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
