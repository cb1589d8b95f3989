"""Large repositories for benchmarks: one generated history of 100,000 commits, with each case's tags on top.

`git fast-import` writes them once, in seconds, into .uc/bench; a case shares the objects of the history and has its
own refs and work tree, as a fresh clone would: packed refs, no commit-graph.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

SERVICES = ("api", "auth", "docs", "jobs", "mail", "site")
FILES = 215  # of each service
_FORMAT = "1"  # increase when the generated content changes
_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C.UTF-8"}
_KINDS = ("fix", "feat", "chore", "docs", "refactor", "fix", "test", "perf")
_WHO = "Bench <bench@example.invalid>"
_START = 1_500_000_000


def git(root: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Return git's stdout in `root`, without this machine's configuration. Raises CalledProcessError."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=os.environ | _GIT, input=stdin, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode()


def environment() -> dict[str, str]:
    """The environment of a measured command: the same git configuration on every machine."""
    return dict(os.environ) | _GIT


def repository(folder: Path, name: str, commits: int, tags: Mapping[str, int]) -> Path:
    """A repository of `commits` commits with annotated `tags` (name → how many first-parent commits before HEAD)."""
    root = folder / name
    stamp = root / ".git" / f"made-{_FORMAT}-{commits}"
    if not stamp.exists():
        shutil.rmtree(root, ignore_errors=True)
        history = _history(folder, commits)
        root.mkdir(parents=True)
        git(root, "init", "--quiet", "--initial-branch", "main")
        (root / ".git/objects/info/alternates").write_text(f"{history}/.git/objects\n", encoding="utf-8")
        line = git(history, "rev-list", "--first-parent", "main").split()
        git(root, "fast-import", "--quiet", stdin="".join(_tags(tags, line)).encode())
        git(root, "update-ref", "refs/heads/main", line[0])
        git(root, "reset", "--quiet", "--hard")
        git(root, "pack-refs", "--all")
        stamp.touch()
    return root


def _history(folder: Path, commits: int) -> Path:
    root = folder / f"history-{_FORMAT}-{commits}"
    if not (root / ".git/made").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        git(root, "init", "--quiet", "--initial-branch", "main")
        git(root, "fast-import", "--quiet", stdin="".join(_commits(commits)).encode())
        (root / ".git/made").touch()
    return root


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _tags(tags: Mapping[str, int], line: list[str]) -> Iterator[str]:
    for name, back in tags.items():
        yield f"tag {name}\nfrom {line[back]}\ntagger {_WHO} {_START} +0000\n{_data(name)}"


def _commits(count: int) -> Iterator[str]:
    """The stream: every file in the first commit, then one file a commit; each 21st commit is a merge of its own."""
    first = "".join(f"M 100644 inline {path}\n{_data('0')}" for path in _paths())
    yield _commit(1, "feat: start", [], first)
    main = 1
    for number in range(2, count + 1):
        parents = [main]
        if number % 21 == 0:
            parents = [main, number - 1]
        elif number % 21 != 20:
            main = number  # the commit before a merge stays off the main line
        yield _commit(number, _message(number, merge=len(parents) > 1), parents, _change(number))
        if len(parents) > 1:
            main = number
    yield f"reset refs/heads/main\nfrom :{main}\n"


def _commit(number: int, message: str, parents: list[int], change: str) -> str:
    origin = "".join(f"{word} :{one}\n" for word, one in zip(("from", "merge"), parents, strict=False))
    time = _START + number * 60
    return f"commit refs/heads/work\nmark :{number}\ncommitter {_WHO} {time} +0000\n{_data(message)}{origin}{change}\n"


def _message(number: int, *, merge: bool) -> str:
    if merge:
        return f"Merge branch 'topic-{number - 1}'"
    kind, service = _KINDS[number % len(_KINDS)], SERVICES[number % len(SERVICES)]
    return f"{kind}({service}): change number {number}\n\nWhy it was needed, in a sentence or two.\n\nRefs: #{number}"


def _change(number: int) -> str:
    service = SERVICES[number % len(SERVICES)]
    return f"M 100644 inline {service}/src/part{number % 5}/file{number % FILES}.txt\n{_data(str(number))}"


def _paths() -> Iterable[str]:
    return sorted({
        f"{service}/src/part{part}/file{number}.txt" for service in SERVICES for number in range(FILES)
        for part in [number % 5]
    })  # fmt: skip
