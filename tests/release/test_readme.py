"""The commands of the README about what proves a release."""

from __future__ import annotations

from pathlib import Path

from tests.release.queries import ok
from tests.support.readme import PROVING, readme_commands
from tests.support.signing import Keys
from tests.support.world import World


def test_u13_each_command_about_proof_runs_as_it_is_typed(world: World, tmp_path: Path) -> None:
    """Between two signed releases, each ends well, in the order of the README."""
    commands = [command.split()[1:] for command in readme_commands() if command.startswith(PROVING)]
    assert [words[0] for words in commands] == ["keys.init", "verify", "sbom", "diff", "bundle.write"]
    keys = Keys(tmp_path / f"uct-{world.namespace}")
    versions = {"1.3.2": "0.1.0", "1.4.0": "0.1.1"}

    ok(world.clone.inv(*commands[0], XDG_CONFIG_HOME=str(tmp_path)))
    for _ in versions:
        world.clone.commit("one")
        ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    for words in commands[1:]:
        ok(world.clone.inv(*(versions.get(word, word) for word in words), **keys.verifying))

    assert (world.clone.project.root / f"uct-{world.namespace}-0.1.1.tar").is_file()
