"""A runtime secret's file: for one user; rotated in place, with an overlap that is ended on purpose."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

import pytest

from build.config.manifest import Manifest
from build.errors import SecretError
from build.stack import secrets
from tests.support.machine import shut
from tests.support.project import Project


def test_rotation_puts_the_new_value_first_and_keeps_the_old(project: Project) -> None:
    """After a rotation the file has two lines: what clients send from now on, and what was valid before."""
    manifest = project.load()
    secrets.initialise(manifest)
    old = secrets.value(manifest, "alpha")

    secrets.rotate(manifest, "alpha")

    path = manifest.workspace.secrets / "alpha"
    assert path.read_text().split() == [secrets.value(manifest, "alpha"), old]
    assert secrets.value(manifest, "alpha") != old


def test_finishing_leaves_the_new_value_alone(project: Project) -> None:
    """The end of the overlap removes the old value and reports whether there was any."""
    manifest = project.load()
    secrets.initialise(manifest)
    secrets.rotate(manifest, "alpha")
    new = secrets.value(manifest, "alpha")

    assert secrets.finish(manifest, "alpha") is True
    assert (manifest.workspace.secrets / "alpha").read_text() == f"{new}\n"
    assert secrets.finish(manifest, "alpha") is False


def test_a_rotation_keeps_the_file_a_container_has_mounted(project: Project) -> None:
    """Inode and mode stay: a file that takes another's place is not seen through a bind mount."""
    manifest = project.load()
    secrets.initialise(manifest)
    path = manifest.workspace.secrets / "alpha"
    before = path.stat()

    secrets.rotate(manifest, "alpha")
    secrets.finish(manifest, "alpha")

    after = path.stat()
    assert (after.st_ino, stat.S_IMODE(after.st_mode)) == (before.st_ino, stat.S_IMODE(before.st_mode))


@pytest.mark.parametrize("change", [secrets.rotate, secrets.finish])
@pytest.mark.parametrize(("name", "reason"), [("alpah", "did you mean"), ("beta", "is external")])
def test_only_our_own_secrets_are_rotated(project: Project, change: object, name: str, reason: str) -> None:
    """An unknown secret, or an external one, is refused by name."""
    path = project.root / "versions.toml"
    path.write_text(path.read_text().replace('alpha = "random"', 'alpha = "random"\nbeta = "external"'))
    manifest = project.load()
    secrets.initialise(manifest)

    with pytest.raises(SecretError, match=reason):
        change(manifest, name)  # type: ignore[operator]


_USES: dict[str, Callable[[Manifest], object]] = {
    "check": lambda manifest: secrets.check(manifest, ["alpha"]),
    "value": lambda manifest: secrets.value(manifest, "alpha"),
    "rotate": lambda manifest: secrets.rotate(manifest, "alpha"),
    "finish": lambda manifest: secrets.finish(manifest, "alpha"),
}
if os.geteuid() == 0:  # only root can become another user; initialise opens its own folder again
    _USES["initialise"] = secrets.initialise


@pytest.mark.parametrize("use", _USES.values(), ids=_USES)
def test_a_folder_of_another_user_is_reported(project: Project, use: Callable[[Manifest], object]) -> None:
    """Created as root and used by another: the hint names the right user, and never suggests chown."""
    manifest = project.load()
    secrets.initialise(manifest)

    with shut(manifest.workspace.secrets), pytest.raises(SecretError, match="is closed to this user") as caught:
        use(manifest)

    assert "as the user who created .uc" in caught.value.hint
    assert "chown" not in caught.value.hint
