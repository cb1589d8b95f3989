"""Keys for signed releases in tests, and the stock programs that verify them."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import debian
from tests.support.world import Clone


@dataclass(frozen=True, slots=True)
class Keys:
    """A signing key in a folder, as `invoke keys.init` makes it."""

    folder: Path

    @property
    def public(self) -> str:
        """The file of the public key."""
        return str(self.folder / "release.pub")

    @property
    def verifying(self) -> dict[str, str]:
        """The settings of a machine that only verifies."""
        return {"UC_SIGNING_PUBLIC_KEY": self.public}

    @property
    def signing(self) -> dict[str, str]:
        """The settings of a machine that signs."""
        return self.verifying | {
            "UC_SIGNING_KEY_FILE": str(self.folder / "release.key"),
            "UC_SIGNING_PASSWORD_FILE": str(self.folder / "release.password"),
        }

    @property
    def secrets(self) -> list[bytes]:
        """What must not be seen anywhere: the password, and a line of the private key."""
        key = (self.folder / "release.key").read_bytes().splitlines()[1]
        return [(self.folder / "release.password").read_bytes().strip(), key]


@dataclass(frozen=True, slots=True)
class CosignKeys(Keys):
    """A signing key in a folder, as cosign makes it, and the program on PATH."""

    @property
    def signing(self) -> dict[str, str]:
        """The settings of a machine that signs by cosign."""
        return {**super(CosignKeys, self).signing, "UC_SIGNING_SIGNER": "cosign", "PATH": path_with_cosign()}


def path_with_cosign() -> str:
    """A PATH on which cosign is."""
    return os.pathsep.join([str(Path(_program().path).parent), os.environ["PATH"]])


def make_cosign_keys(folder: Path, password: str | None = None) -> CosignKeys:
    """Make a key by cosign, with this password, else with one that is in no other text."""
    folder.mkdir(mode=0o700)
    password = secrets.token_urlsafe(24) if password is None else password
    subprocess.run(
        [_program().path, "generate-key-pair", "--output-key-prefix", "release"],
        cwd=folder, env=_program().environment | {"COSIGN_PASSWORD": password}, capture_output=True, check=True,
    )  # fmt: skip
    (folder / "release.password").write_text(f"{password}\n")
    (folder / "release.password").chmod(0o600)
    return CosignKeys(folder)


def _program() -> debian.Program:
    return debian.program("cosign", "cosign", "usr/bin/cosign")


def make_keys(clone: Clone, folder: Path) -> Keys:
    """Make a key by the task."""
    ran = clone.inv("keys.init", "--folder", str(folder))
    assert ran.code == 0, ran.text
    return Keys(folder)


def cosign(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Debian's cosign; the test is skipped, in CI failed, where it can't be had."""
    program = _program()
    offline = ["--insecure-ignore-tlog"] if arguments[0].startswith("verify") else []
    return subprocess.run(
        [program.path, arguments[0], *offline, *arguments[1:]],
        env=program.environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
