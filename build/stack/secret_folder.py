"""Where the secret files are: in .uc, unless its disk keeps no file modes, as Windows drives and many shared ones.

There every file is open to everyone whatever chmod asks for, so the files go below the user's home: on Windows into
LOCALAPPDATA, which Windows itself closes to other users, elsewhere into the folder that XDG calls a user's state.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from build.config.manifest import Manifest
from build.errors import SecretError


def locate(manifest: Manifest) -> Path:
    """The folder of the secret files. Raises SecretError when no place for it keeps file modes."""
    workspace = manifest.workspace
    if keeps_modes(workspace.root):
        return workspace.secrets
    # Each checkout has its own, and each sandbox.
    checkout = hashlib.sha256(str(workspace.root.absolute()).encode()).hexdigest()[:12]
    place = _user_state() / manifest.project.name / f"secrets-{checkout}"
    if sys.platform != "win32" and not keeps_modes(place):
        message = f"neither {workspace.root} nor {place} is on a disk that keeps file modes: anybody could read secrets"
        raise SecretError(message, hint="XDG_STATE_HOME=/a/folder/on/a/Linux/file/system, or clone the project to one")
    return place


def is_elsewhere(manifest: Manifest) -> bool:
    """Whether the secrets are outside the workspace. Raises as `locate` does."""
    return locate(manifest) != manifest.workspace.secrets


def discard(manifest: Manifest) -> None:
    """Remove a folder of secrets outside the workspace, which the removal of that one would leave."""
    with contextlib.suppress(SecretError):
        if is_elsewhere(manifest):
            shutil.rmtree(locate(manifest), ignore_errors=True)


def keeps_modes(path: Path) -> bool:
    """Whether what chmod asks for lasts at `path`, or where it would be created; never on Windows.

    A folder that this user may not write counts as one that does: who may not write it reports that better.
    """
    if sys.platform == "win32":
        return False
    try:
        existing = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
        with tempfile.TemporaryDirectory(prefix=".modes-", dir=existing) as name:
            probe = Path(name)
            with contextlib.suppress(PermissionError):  # some disks refuse, others pretend
                probe.chmod(0o700)
            return stat.S_IMODE(probe.stat().st_mode) == stat.S_IRWXU
    except OSError:
        return True


def _user_state() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
