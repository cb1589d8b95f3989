"""The service with a grace at SIGTERM that a busy machine can't use up: what then ends, ends by itself."""

from __future__ import annotations

import sys

import ucservice.web
from groupchat_service.__main__ import main

if __name__ == "__main__":
    ucservice.web.GRACE_SECONDS = 60
    sys.exit(main())
