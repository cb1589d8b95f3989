"""The claim against a real remote: the loser of a race learns that it lost, however long the winner takes."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from build.errors import RepositoryError, VersionTaken
from build.git.remote import remote_tags
from build.release import claim
from tests.support.clones import clone
from tests.support.project import Project
from tests.support.records import record

# Between the winner's lock of the tag and the tag itself: longer than git waits for a lock.
_SLOW = """\
#!/bin/sh
if [ "$1" = prepared ] && mkdir "{seen}" 2>/dev/null; then sleep 0.6; fi
exit 0
"""


@pytest.fixture
def remote(project: Project, tmp_path: Path) -> Path:
    """A bare repository."""
    path = tmp_path / "remote.git"
    project.git("clone", "--quiet", "--bare", str(project.root), str(path))
    return path


def _machine(remote: Path, root: Path) -> Project:
    machine = clone(Project(remote), root)
    machine.git("config", "user.name", "Test")
    machine.git("config", "user.email", "test@example.invalid")
    return machine


def _prepared(machine: Project) -> claim.Claim:
    """A claim of 1.4.0 on a commit that only this machine has."""
    made = replace(record(), commit=machine.commit(f"fix: in {machine.root.name}"))
    return claim.prepare(machine.root, made, "web 1.4.0")


def test_a_push_that_meets_the_winner_s_lock_loses_the_race(remote: Path, tmp_path: Path) -> None:
    """While the winner's tag is locked but not yet written, the loser's push fails with exit 15, not as a hook's refusal."""
    first, second = (_machine(remote, tmp_path / name) for name in ("first", "second"))
    winner, loser = _prepared(first), _prepared(second)
    hook = remote / "hooks" / "reference-transaction"
    hook.write_text(_SLOW.format(seen=tmp_path / "seen"))
    hook.chmod(0o755)
    pushing = threading.Thread(target=claim.push, args=(first.root, "origin", [winner]))
    pushing.start()
    deadline = time.monotonic() + 20
    while not (tmp_path / "seen").exists():
        assert time.monotonic() < deadline, "the winner does not come to its lock"
        time.sleep(0.01)

    with pytest.raises(VersionTaken, match=r"v1\.4\.0 was taken"):
        claim.push(second.root, "origin", [loser])

    pushing.join()
    assert remote_tags(second.root, "origin") == {"v1.4.0": winner.object}


def test_a_refusal_is_retried_once_and_then_reported(remote: Path, tmp_path: Path) -> None:
    """A hook's refusal is reported as one, with the hook's message, and no tag is left behind."""
    machine = _machine(remote, tmp_path / "machine")
    wanted = _prepared(machine)
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'tags are frozen' >&2\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(RepositoryError, match="refuses the tag") as caught:
        claim.push(machine.root, "origin", [wanted])

    assert "tags are frozen" in caught.value.output
    assert machine.git("tag") == ""
