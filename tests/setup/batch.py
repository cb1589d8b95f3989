"""A reader of batch files, for as much of the language as inv.cmd uses; anything else is an AssertionError.

It stands in for cmd.exe, which runs on Windows only: what it can't show is whether cmd.exe reads a line as it does.
"""

from __future__ import annotations

import filecmp
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NOT_FOUND = 9009  # cmd.exe's exit code of a program that is not there


@dataclass
class Batch:
    """A batch file that runs with these variables and arguments; `out` is what its programs and echo write."""

    path: Path
    arguments: Sequence[str]
    variables: dict[str, str]
    out: list[str] = field(default_factory=list)

    def run(self) -> int:
        """Run the lines from the first on; the exit code."""
        content = self.path.read_bytes()
        assert content.isascii()
        assert content.count(b"\n") == content.count(b"\r\n"), "cmd.exe loses labels in a file without CRLF"
        lines = content.decode("ascii").splitlines()
        labels = {line[1:]: number for number, line in enumerate(lines) if line.startswith(":")}
        targets = [name for line in lines if not line.startswith("rem ") for name in re.findall(r"\bgoto (\w+)", line)]
        assert set(targets) == set(labels)
        number, code = 0, 0
        while True:
            line = lines[number]
            number += 1
            if not line or line.startswith((":", "rem ", "@echo off")):
                continue
            code, label = self._statement(line, code)
            if label == "/exit":
                return code
            number = labels[label] if label else number

    def _statement(self, line: str, code: int) -> tuple[int, str]:
        """The exit code after a statement, and the label that it goes to."""
        if loop := re.fullmatch(r"for %%(\w) in \((.*)\) do (.*)", line):
            for item in shlex.split(loop[2]):
                body = loop[3].replace(f"%%~{loop[1]}", item).replace(f"%%{loop[1]}", item)
                code, label = self._statement(body, code)
                if label:
                    return code, label
            return code, ""
        if condition := re.fullmatch(r"if not (exist )?(\S+) goto (\w+)", line):
            return code, "" if self._holds(condition[2], exist=bool(condition[1])) else condition[3]
        for part in re.split(r" (?=&& |\|\| )", line):
            joint, rest = (part[:2], part[3:]) if part[:3] in {"&& ", "|| "} else ("", part)
            if (joint == "&&" and code) or (joint == "||" and not code):
                continue
            code, label = self._simple(rest, code)
            if label:
                return code, label
        return code, ""

    def _holds(self, words: str, *, exist: bool) -> bool:
        if exist:
            return self._path(self._filled(words).strip('"')).exists()
        left, _, right = words.partition("==")
        return self._filled(left) == self._filled(right)

    def _simple(self, line: str, code: int) -> tuple[int, str]:
        line, silent = line.removesuffix(" >nul 2>nul"), line.endswith(" >nul 2>nul")
        if line.startswith("goto "):
            return code, line[5:]
        if line.startswith("exit /b "):
            return int(line[8:].replace("%ERRORLEVEL%", str(code))), "/exit"
        if line == "setlocal":
            return code, ""
        if setting := re.fullmatch(r'set "(\w+)=(.*)"', line):
            self.variables[setting[1]] = self._filled(setting[2])
            return 0, ""
        if reading := re.fullmatch(r'set /p (\w+)=<"(.*)"', line):
            text = self._path(self._filled(reading[2])).read_text(encoding="utf-8")
            self.variables[reading[1]] = text.split("\n")[0]
            return 0, ""
        if line.startswith("echo "):
            assert line.endswith(" 1>&2")
            self.out.append(line[5:].removesuffix(" 1>&2"))
            return 0, ""
        return self._program(line.removeprefix("call "), silent=silent), ""

    def _program(self, line: str, *, silent: bool) -> int:
        assert line.count('"') % 2 == 0
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', self._filled(line))]
        if "%*" in words:
            words[words.index("%*") : words.index("%*") + 1] = self.arguments
        if words[0] == "fc":
            ours, theirs = (self._path(word) for word in words[2:])
            return 0 if theirs.exists() and filecmp.cmp(ours, theirs, shallow=False) else 1
        program = self._path(words[0]) if "\\" in words[0] else shutil.which(words[0], path=self.variables["PATH"])
        if program is None:
            return NOT_FOUND
        argv = [str(program), *(word.replace("\\", "/") for word in words[1:])]
        done = subprocess.run(argv, env=self.variables, capture_output=True, text=True, check=False)
        if not silent:
            self.out += (done.stdout + done.stderr).splitlines()
        return done.returncode

    def _filled(self, text: str) -> str:
        folder = f"{self.path.parent}\\"
        text = text.replace("%~dp0", folder)
        text = re.sub(r"%(\w+):~0,-1%", lambda name: self.variables[name[1]][:-1], text)
        return re.sub(r"%(\w+)%", lambda name: self.variables[name[1]], text)

    @staticmethod
    def _path(text: str) -> Path:
        return Path(text.replace("\\", "/"))


def run(path: Path, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run a batch file; its exit code and what was written."""
    batch = Batch(path, arguments, dict(variables))
    return batch.run(), batch.out
