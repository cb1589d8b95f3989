"""`python -m groupchat_service`: listen until SIGTERM."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("UC_SERVICE", "autogen-groupchat")

from ucservice import logs
from ucservice.web import serve

from groupchat_service.service import from_env
from groupchat_service.settings import SettingsError

try:
    application = from_env()
except SettingsError as error:
    logs.setup()
    logs.get("service").error("settings_refused", error=str(error))
    sys.exit(2)
serve(application, port=8001)
