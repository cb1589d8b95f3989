"""Keys, verified releases and bills of materials."""

from __future__ import annotations

from collections.abc import Sequence

from build import console
from build.columns import Column
from build.release.checks import Verification
from build.signing.keys import KeyFiles

_MARKS = {"ok": "ok", "missing": "fail", "wrong": "fail", "unchecked": "skip"}


def keys(files: KeyFiles, *, planned: bool, json: bool) -> None:
    """Print where a key is, and what to write into the settings."""
    if json or planned:
        done = f"make {files.key_file}, {files.password_file} and {files.public_key}"
        console.outcome(done, files, planned=planned)
        return
    console.sentence(f"made a signing key, {files.fingerprint}")
    console.text(
        f"""
versions.local.toml here, or variables of the CI job (UC_SIGNING_KEY_FILE, UC_SIGNING_PASSWORD_FILE):
  [signing]
  key_file = "{files.key_file}"
  password_file = "{files.password_file}"

For everybody: copy {files.public_key} into the repository, and name it in the table [signing] of versions.toml:
  public_key = "{files.public_key.name}"
"""
    )


def verified(verifications: Sequence[Verification], *, json: bool) -> None:
    """Print the checks of releases."""
    if json:
        console.result({"verified": not any(each.problems for each in verifications), "releases": verifications})
        return
    for each in verifications:
        rows = [
            (
                console.mark(_MARKS[check.state]),
                check.subject,
                check.what,
                check.state if not check.detail else check.detail,
            )
            for check in each.checks
        ]
        console.table(("", "of", "what", Column("", yields=1, prose=True)), rows, title=f"{each.line} {each.version}")
        if not each.problems:
            keys = ", ".join(each.keys)
            console.sentence(f"{each.line} {each.version} is verified: {len(each.checks)} checks, signed by {keys}")
