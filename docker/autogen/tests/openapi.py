"""Write the service's OpenAPI document for the pages: `python openapi.py`, in the service's environment."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi import FastAPI
from groupchat_service.service import create_app
from groupchat_service.settings import Settings

PAGES = Path(__file__).resolve().parents[3] / "docs" / "pages" / "services"


def innermost(layer: object) -> FastAPI:
    """FastAPI's application, below the layers around it."""
    while not isinstance(layer, FastAPI):
        layer = vars(layer)["app"]
    return layer


if __name__ == "__main__":
    text = json.dumps(innermost(create_app(Settings(data=Path()))).openapi(), indent=1, ensure_ascii=False) + "\n"
    (PAGES / "autogen-groupchat.openapi.json").write_text(text, "utf-8")
