"""Write the service's OpenAPI document for the pages: `python openapi.py`, in the service's environment."""

from __future__ import annotations

import json
from pathlib import Path

from groupchat_service.service import create_app
from groupchat_service.settings import Settings

PAGES = Path(__file__).resolve().parents[3] / "docs" / "pages" / "services"

if __name__ == "__main__":
    document = create_app(Settings(data=Path())).app.app.app.openapi()  # type: ignore[attr-defined]
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (PAGES / "autogen-groupchat.openapi.json").write_text(text, "utf-8")
