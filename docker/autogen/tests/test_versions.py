"""One data volume, images of several releases: what an earlier one finds there when a later one is rolled back."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from groupchat_harness import StartServer
from groupchat_service.store import VERSION
from sse_reader import all_events


def _database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "data" / "groupchat.db", isolation_level=None)


def test_columns_and_fields_that_a_later_release_added_are_left_alone(start_server: StartServer) -> None:
    """After a rollback chats are listed, read, followed up and begun as before; the added values stay."""
    later = start_server()
    chat = str(later.chat()["session_id"])
    later.stop()
    with closing(_database(later.folder)) as db:
        db.execute("ALTER TABLE sessions ADD COLUMN owner TEXT NOT NULL DEFAULT 'somebody'")
        db.execute("ALTER TABLE events ADD COLUMN trace TEXT NOT NULL DEFAULT ''")
        db.execute("ALTER TABLE probe ADD COLUMN by TEXT NOT NULL DEFAULT ''")
        (spec,) = db.execute("SELECT spec FROM sessions").fetchone()
        db.execute("UPDATE sessions SET spec = ?", (json.dumps({**json.loads(spec), "budget": 5}),))
        for seq, data in db.execute("SELECT seq, data FROM events WHERE kind = 'message'").fetchall():
            message = json.loads(data)
            for part in (message, *message.get("calls", ()), *message.get("results", ())):
                part["later"] = 1
            db.execute("UPDATE events SET data = ? WHERE seq = ?", (json.dumps(message), seq))

    server = start_server()

    assert server.client.get("/health").json()["status"] == "healthy"
    assert [one["session_id"] for one in server.client.get("/sessions").json()["sessions"]] == [chat]
    assert all_events(server.client, chat)[-1].event == "finished"
    again = server.client.post(f"/groupchat/{chat}/messages", json={"content": "again", "wait": True})
    assert again.json()["stop_reason"] == "approved"
    assert server.chat()["status"] == "finished"
    with closing(_database(server.folder)) as db:
        assert db.execute("SELECT DISTINCT owner FROM sessions").fetchall() == [("somebody",)]


def test_a_file_that_an_earlier_release_can_t_read_is_refused_at_the_start(start_server: StartServer) -> None:
    """The process ends with both versions in its log, instead of answering 500 to every chat."""
    later = start_server()
    later.stop()
    with closing(_database(later.folder)) as db:
        db.execute("PRAGMA user_version = 2")

    with pytest.raises(AssertionError, match="has schema 2, this release knows 1: start a newer one on it") as failure:
        start_server()
    assert "Traceback" not in str(failure.value)


def test_the_image_states_the_format_of_the_store() -> None:
    """A deploy goes by the label in the Dockerfile, so it has the number that the store writes."""
    dockerfile = (Path(__file__).parents[1] / "Dockerfile").read_text(encoding="utf-8")

    assert re.findall(r'^LABEL org\.unity-claude\.data-format\.autogen-data="(\d+)', dockerfile, re.MULTILINE) == [
        str(VERSION)
    ]
