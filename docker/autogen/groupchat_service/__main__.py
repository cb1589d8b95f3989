"""`python -m groupchat_service`: listen until SIGTERM."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("UC_SERVICE", "autogen-groupchat")
# Nothing exports AutoGen's spans here, and making them is a quarter of a chat's work.
os.environ.setdefault("AUTOGEN_DISABLE_RUNTIME_TRACING", "true")

from ucservice import logs
from ucservice.web import serve

from groupchat_service.settings import Settings, SettingsError

try:
    settings = Settings.from_env(os.environ)
except SettingsError as error:
    logs.setup()
    logs.get("service").error("settings_refused", error=str(error))
    sys.exit(2)

from groupchat_service.service import create_app

serve(create_app(settings), port=8001)
