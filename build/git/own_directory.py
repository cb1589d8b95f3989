"""A git directory of our own: no setting, variable or attribute of a user reaches what git does in it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_NO_CONVERSIONS = "* -text !eol -crlf -ident -filter !working-tree-encoding\n"
_SETTINGS = """\
[core]
repositoryFormatVersion = {version}
bare = false
fileMode = {modes}
symlinks = {modes}
trustCtime = true
checkStat = default
ignoreStat = false
ignoreCase = false
precomposeUnicode = false
autocrlf = false
eol = lf
safecrlf = false
fsmonitor = false
untrackedCache = false
splitIndex = false
sparseCheckout = false
preloadIndex = true
quotePath = false
attributesFile = {nothing}
excludesFile = {nothing}
hooksPath = {nothing}
[index]
version = 2
[gc]
auto = 0
[maintenance]
auto = false
"""
_SHA256 = "[extensions]\nobjectFormat = sha256\n"


def make(folder: Path, commit: str, hashes: str, *, conversions: bool = False) -> None:
    """Make the git directory unless it is there, and let its HEAD be a commit. Raises OSError.

    Without `conversions`, the bytes of a file are compared as they are; with them, .gitattributes counts.
    """
    if not (folder / "info/attributes").is_file():
        for name in ("info", "refs", "objects"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        sha256 = hashes == "sha256"
        settings = _SETTINGS.format(version=int(sha256), modes=str(os.name == "posix").lower(), nothing=os.devnull)
        _write(folder / "config", settings + _SHA256 * sha256)
        _write(folder / "HEAD", f"{commit}\n")
        _write(folder / "info/attributes", "" if conversions else _NO_CONVERSIONS)  # the last: with it, all is there
    elif (folder / "HEAD").read_bytes() != f"{commit}\n".encode():
        _write(folder / "HEAD", f"{commit}\n")


def environment(folder: Path, top: Path, objects: Path, index: Path, *, locks: bool) -> dict[str, str | None]:
    """The changes to the environment for git in the git directory `folder`, on the work tree `top`.

    Every variable of git's own is dropped first: any of them may change what is read, and new ones come.
    """
    return {
        **dict.fromkeys((name for name in os.environ if name.startswith("GIT_") and name != "GIT_EXEC_PATH"), None),
        "LC_ALL": "C.UTF-8",
        "GIT_DIR": str(folder),
        "GIT_WORK_TREE": str(top),
        "GIT_OBJECT_DIRECTORY": str(objects),
        "GIT_INDEX_FILE": str(index),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "1" if locks else "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def writable(folder: Path) -> Path:
    """The folder, made, or a temporary one if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".{os.getpid()}").touch()
        (folder / f".{os.getpid()}").unlink()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="uc-tree-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
