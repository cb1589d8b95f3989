"""Release records for tests."""

from __future__ import annotations

from build.gates.verdict import GateVerdict
from build.release.record import SCHEMA, Record, RecordedBase, RecordedService

DIGEST = "sha256:" + "a" * 64


def record(version: str = "1.4.0", *, skipped: bool = False, source: str = "stand-in") -> Record:
    """A record with one service."""
    base = RecordedBase(reference="python:3.12-slim", source=source, digest=DIGEST)
    service = RecordedService(
        digest=DIGEST, fingerprint="b" * 64, origin="built", platforms=("linux/amd64",), bases={"python": base}
    )
    gate = GateVerdict(verdict="skipped") if skipped else GateVerdict(verdict="passed", checks=6, waivers=("CVE-1",))
    return Record(
        schema=SCHEMA, line="web", version=version, tag=f"v{version}", previous="1.3.0", commit="c" * 40,
        committed="2026-01-01T00:00:00+00:00", created="2026-01-02T00:00:00+00:00", registry="127.0.0.1:5000/test",
        repository="test/release", services={"web": service}, gates={"scan": gate, "smoke": gate}, tools={"git": "2"},
        authority="local",
    )  # fmt: skip
