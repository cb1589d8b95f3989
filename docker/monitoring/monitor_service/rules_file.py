"""The rules in force: the user's triggers file when it is there and good, read again whenever it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from ucservice import logs
from ucservice.secretfile import Secret

from monitor_service import metrics
from monitor_service.rules_table import RulesError
from monitor_service.settings import DEFAULT_TRIGGERS
from monitor_service.triggers import Ruleset, declared, parse

_log = logs.get(__name__)
_LAST_GOOD = "triggers_last_good"
_Signature = tuple[int, int, int] | None


class Memory(Protocol):
    """Where the last accepted file is kept over a restart."""

    def recall(self, key: str) -> str | None: ...
    def remember(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why the file as it is now is not in force."""

    file: str
    line: int
    reason: str


def _secret_file(name: str) -> Path:
    return Secret(name).path


class RulesFile:
    """Holds a Ruleset; a bad file is refused and the rules before it stay, over a restart too."""

    def __init__(self, path: Path, env: Mapping[str, str], memory: Memory) -> None:
        self._path, self._env, self._memory = path, env, memory
        self._seen: _Signature = None
        self._loaded: _Signature = None
        self._waits_for: Path | None = None
        self.refused: Refusal | None = None
        self.declared: list[str] = []
        self.has_accepted = False  # whether the rules in force are the file's, as it is or as it was
        self.source = str(DEFAULT_TRIGGERS)
        self.rules = parse(DEFAULT_TRIGGERS.read_text(), env)
        if self._path.exists():
            self._restore()
        self.refresh(first=True)

    def refresh(self, *, first: bool = False) -> None:
        """Take the file as it is now, once two looks in a row saw the same (so no half-written file is read)."""
        try:
            found = self._path.stat()
            signature: _Signature = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            signature = None
        settled = first or signature == self._seen
        self._seen = signature
        mounted = self._waits_for is not None and self._waits_for.is_file()
        if settled and (signature != self._loaded or mounted):
            self._loaded = signature
            if signature is None:
                self._fall_back()
            else:
                self._load()

    def shown(self) -> dict[str, Any]:
        """The rules for people: secrets by name, no value is known here."""
        hidden = {"matches", "excludes", "timing"}
        triggers = [
            {field.name: getattr(trigger, field.name) for field in fields(trigger) if field.name not in hidden}
            | asdict(trigger.timing)
            for trigger in self.rules.triggers
        ]
        return {
            "source": self.source,
            "refused": None if self.refused is None else asdict(self.refused),
            "targets": [asdict(target) for target in self.rules.targets.values()],
            "triggers": triggers,
        }

    def _load(self) -> None:
        self._waits_for = None
        self.declared = []
        try:
            text = self._path.read_text(encoding="utf-8")
            self.declared = declared(text)
            self._accept(parse(text, self._env, _secret_file), str(self._path))
            self.has_accepted = True
            self._memory.remember(_LAST_GOOD, text)
        except RulesError as error:
            self._waits_for = error.waits_for
            self._refuse(error.line, error.reason)
        except (OSError, UnicodeDecodeError) as error:
            self._refuse(0, f"can't be read: {error}")

    def _restore(self) -> None:
        text = self._memory.recall(_LAST_GOOD)
        if not text:
            return
        try:
            self.rules = parse(text, self._env)
            self.source = f"{self._path} (as last accepted)"
            self.has_accepted = True
        except RulesError as error:
            _log.warning("triggers_last_good_unusable", line=error.line, reason=error.reason)

    def _fall_back(self) -> None:
        self._waits_for = None
        self.has_accepted = False
        self._memory.remember(_LAST_GOOD, "")
        self._accept(parse(DEFAULT_TRIGGERS.read_text(), self._env), str(DEFAULT_TRIGGERS))

    def _accept(self, rules: Ruleset, source: str) -> None:
        self.rules, self.source, self.refused = rules, source, None
        metrics.TRIGGERS_REFUSED.set(0)
        for trigger in rules.triggers:
            for outcome in metrics.OUTCOMES:
                metrics.DELIVERIES.labels(trigger.name, outcome)
        _log.info("triggers_loaded", file=source, triggers=[trigger.name for trigger in rules.triggers])

    def _refuse(self, line: int, reason: str) -> None:
        self.refused = Refusal(file=str(self._path), line=line, reason=reason)
        metrics.TRIGGERS_REFUSED.set(1)
        _log.error("triggers_refused", file=str(self._path), line=line, reason=reason, in_force=self.source)
