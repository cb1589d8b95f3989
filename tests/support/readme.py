"""The commands of the README, which tests run as they are typed."""

from __future__ import annotations

import re

from tests.support.project import REPOSITORY

DEPLOYING = ("./inv deploy", "./inv rollback", "./inv status")  # need a target: run by the suite that has some
PROVING = ("./inv keys.init", "./inv verify", "./inv sbom", "./inv diff", "./inv bundle.write")  # need releases


def readme_commands() -> list[str]:
    """Return what a reader may type: the indented blocks, and the first cells of the daily table."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return [block or cell for block, cell in re.findall(r"^(?:    (\S.*)|\| `([^`]+)` \|.*)$", text, re.M)]
