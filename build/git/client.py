"""The git runner: every git command of the toolkit starts here, in an environment that no setting of a user changes.

What keeps git from working at all (no repository, another owner, a broken index) has an error message of its own, with
the command that fixes it; any other failure is the caller's.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from build.errors import BuildError, MissingTool, RepositoryError, ToolFailed
from build.process import raw_output, records, run

# Prompts and locks of a reader would stand in somebody's way; a replaced commit is another one than its name says.
_ENVIRONMENT: dict[str, str | None] = {
    "LC_ALL": "C.UTF-8",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
# The configuration of a user, of the system or of the repository that would change what a command here prints or does
# (git-config(1)); how to reach a remote (url.*, http.*, credential.*, core.sshCommand) is theirs to say.
_SETTINGS = {
    "color.ui": "false",
    "column.ui": "never",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "diff.ignoreSubmodules": "none",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "log.follow": "false",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "push.followTags": "false",
    "push.recurseSubmodules": "no",
    "status.showStash": "false",
    "tag.sort": "refname",
}
_OLDEST = "2.31"  # the first that reads configuration from GIT_CONFIG_COUNT
_ABROAD = {"push", "fetch", "ls-remote", "update-ref"}  # what fails in them may be the remote's, or another release's
_HINT = "sudo apt-get install git   (elsewhere https://git-scm.com/downloads)"

_OWNER = re.compile(r"(?:dubious ownership in repository at|unsafe repository \()\s*'([^']+)'")
_NO_FILES = re.compile(r"not a git repository: (?:\S*/)?\.git/(?:worktrees|modules)/\S+")
_INDEX = re.compile(r"index file (?:corrupt|smaller than expected)|bad index file|bad signature 0x|unknown index entry")
_CLOSED = re.compile(r"(?<![\w/])'?(\S*\.git(?:/[^\s':]+)?)'?: (?:index file open failed: )?Permission denied")
_OBJECTS = re.compile(
    r"is corrupt|bad object HEAD|object file .* is empty|unable to read tree|missing blob|bad tree object"
)
_UNKNOWN = re.compile(r"unknown (?:option|switch)|is not a git command|unrecognized argument")


def git(root: Path, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
    """Run one git command in `root` and return its stdout, stripped.

    Raises MissingTool without a git that is new enough, RepositoryError for a repository that git can't work in,
    ToolFailed for any other failure.
    """
    with _explaining(root, arguments[0]):
        return run(["git", *arguments], cwd=root, env=_environment(), stdin=stdin, timeout=timeout).stdout.strip()


def git_records(root: Path, *arguments: str) -> Iterator[list[str]]:
    """Run one git command that was given -z; yield its records in batches while it still runs. Raises as `git` does."""
    with _explaining(root, arguments[0]):
        yield from records(["git", *arguments], cwd=root, env=_environment())


def _environment() -> dict[str, str | None]:
    """The changes to the environment: our settings come after those that a user counts up, so they decide."""
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    counted: dict[str, str | None] = {"GIT_CONFIG_COUNT": str(first + len(_SETTINGS))}
    for number, (key, value) in enumerate(_SETTINGS.items(), first):
        counted |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return _ENVIRONMENT | counted


@contextlib.contextmanager
def _explaining(root: Path, command: str) -> Iterator[None]:
    try:
        yield
    except MissingTool as error:
        raise MissingTool(str(error), hint=_HINT) from None
    except ToolFailed as error:
        raise (error if command in _ABROAD else _explained(root, error)) from None


def _explained(root: Path, error: ToolFailed) -> BuildError:
    """The failure of a git command as what keeps git from working in `root`; itself if it is something else."""
    output = error.output
    if owner := _OWNER.search(output):
        message = f"git does not trust {owner[1]}: it belongs to another user"
        return RepositoryError(message, hint=f"git config --global --add safe.directory '{owner[1]}'")
    if _NO_FILES.search(output):
        message = f"{root} is a work tree whose repository is gone or was moved"
        return RepositoryError(message, hint="git worktree repair, in the repository", output=output)
    if "not a git repository" in output and (found := _git_folder(root)):
        return _closed(found)
    if "not a git repository" in output:
        return RepositoryError(f"{root} is not a git repository", hint="git init && git commit")
    if "must be run in a work tree" in output:
        hint = "git clone it, and run ./inv in the clone"
        return RepositoryError(f"{root} is in a bare repository: it has no files to build from", hint=hint)
    if _INDEX.search(output):
        hint = "rm .git/index && git reset   (your files stay as they are)"
        return RepositoryError(f"the index of {root} is broken", hint=hint, output=output)
    if closed := _CLOSED.search(output):
        return _closed(closed[1])
    if _OBJECTS.search(output):
        return RepositoryError(
            f"the repository at {root} lacks objects or has broken ones", hint="git fsck", output=output
        )
    if _UNKNOWN.search(output) and (version := _version()) and _older(version):
        return MissingTool(f"git {version} is too old: {_OLDEST} or newer is needed", hint=_HINT)
    return error


def _git_folder(root: Path) -> Path | None:
    """The .git of the folder or of one above it, whatever is in it."""
    return next((folder / ".git" for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def _closed(path: Path | str) -> RepositoryError:
    message = f"{path} can't be read by this user, or is not a whole repository"
    return RepositoryError(message, hint=f"ls -la '{path}'; if it is another user's: sudo chown -R \"$USER\" .git")


def version() -> str:
    """The version of git. Raises MissingTool when there is none, or one that is too old."""
    found = _version()
    if _older(found):
        raise MissingTool(f"git {found} is too old: {_OLDEST} or newer is needed", hint=_HINT)
    return found


def _version() -> str:
    return run(["git", "--version"], timeout=10, hint=_HINT).stdout.split()[2]


def _older(found: str) -> bool:
    numbers = [int(number) for number in re.findall(r"\d+", found)[:2]]
    return numbers < [int(number) for number in _OLDEST.split(".")]


def git_bytes(
    root: Path, *arguments: str, env: Mapping[str, str | None] | None = None, stdin: bytes = b"",
    ok_codes: Sequence[int] = (0,),
) -> bytes:  # fmt: skip
    """Run one git command in `root`, with `env` instead of what git is else given; its stdout. Raises ToolFailed."""
    return raw_output(["git", *arguments], cwd=root, env=env or _environment(), stdin=stdin, ok_codes=ok_codes)


_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^/]*)@)?(?P<rest>[^?#]*)", re.IGNORECASE)


def remote_url(root: Path, name: str) -> str:
    """Return the URL of a remote as the repository has it, "" if there is none of that name.

    A user's url.*.insteadOf is not applied: it is their way to the remote, and the URL ends up in images.
    """
    try:
        return git(root, "config", "--get-all", f"remote.{name}.url").partition("\n")[0]
    except ToolFailed:
        return ""


def public_url(url: str) -> str:
    """The URL of a remote without what may be secret in it: user, password, query; ssh keeps its user, which is a name.

    git takes passwords that no parser of URLs would, with an @ or a % in them.
    """
    match = _URL.match(url)
    if not match:
        return url
    name = match["user"].partition(":")[0] + "@" if match["user"] and match["scheme"].endswith("ssh") else ""
    return f"{match['scheme']}://{name}{match['rest']}"
