"""Write the service's OpenAPI document for the pages: `python openapi.py`, in the service's environment."""

from __future__ import annotations

import json
from pathlib import Path

from langgraph_service.app import create_app
from langgraph_service.settings import Settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "pages" / "services" / "langgraph-api.openapi.json"


def document() -> str:
    """The document as it is committed."""
    return json.dumps(create_app(Settings.from_environ({})).openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(document(), "utf-8")
