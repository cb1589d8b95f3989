"""The program of a service that counts into SQLite without a pause, and answers with what its volume has.

Variables of its image: FORMAT is the format that it writes. It brings older data up to that, refuses newer data, and
with CRASH ends as soon as it has counted on.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path

DATA = Path("/data")
FILE = DATA / "counts.db"
FORMAT = int(os.environ["FORMAT"])
_STOPPED = threading.Event()


def opened() -> sqlite3.Connection:
    """Open the database; ends the program for one of a later format."""
    db = sqlite3.connect(FILE, isolation_level=None, timeout=10)
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        sys.exit(f"the data has format {found}, this image knows {FORMAT}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE IF NOT EXISTS counts (n INTEGER PRIMARY KEY, pad BLOB)")
    db.execute("CREATE TABLE IF NOT EXISTS formats (format INTEGER PRIMARY KEY)")
    db.execute("INSERT OR IGNORE INTO formats VALUES (?)", (FORMAT,))
    db.execute(f"PRAGMA user_version = {FORMAT}")
    return db


def count() -> None:
    """Count on, one transaction for each number, until the end."""
    with contextlib.closing(opened()) as db:
        while not _STOPPED.is_set():
            db.execute("INSERT INTO counts SELECT coalesce(max(n), 0) + 1, randomblob(200) FROM counts")
            time.sleep(0.002)


def report() -> dict[str, object]:
    """What the volume has: the numbers from the first to the last and how many, and the formats that it has had."""
    with contextlib.closing(sqlite3.connect(f"file:{FILE}?mode=ro", uri=True, timeout=10)) as db:
        first, last, many = db.execute("SELECT min(n), max(n), count(*) FROM counts").fetchone()
        (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
        formats = [row[0] for row in db.execute("SELECT format FROM formats ORDER BY format")]
    note = DATA / "note"
    return {
        "status": "healthy", "first": first, "last": last, "many": many, "integrity": verdict, "formats": formats,
        "note": note.read_text() if note.exists() else "", "names": sorted(path.name for path in DATA.iterdir()),
    }  # fmt: skip


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every path with the report."""

    def do_GET(self) -> None:
        """Send the report; for /note=TEXT write it first."""
        if self.path.startswith("/note="):
            (DATA / "note").write_text(self.path.removeprefix("/note="))
        body = json.dumps(report()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Count and answer until a signal."""
    opened().close()
    counting = threading.Thread(target=count)
    counting.start()

    def stop(*_: object) -> None:
        _STOPPED.set()
        counting.join()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    if os.environ.get("CRASH"):
        time.sleep(0.3)
        os._exit(3)
    http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()


if __name__ == "__main__":
    main()
