"""Every task that a pipeline calls, really run on a project with two services, as far as it goes without acting."""

from __future__ import annotations

import shlex

from tests import commands, pipelines
from tests.conftest import Project

FLAGS = {str(context.name): set(context.flags) for context in commands.CONTEXTS}


def test_every_task_of_a_pipeline_runs_dry(stack_project: Project) -> None:
    """Each goes through with --dry-run; those without it say with --help that they are there."""
    assert stack_project.inv("registry.up").code == 0
    assert stack_project.inv("build", "--push").code == 0

    failed = {}
    for _, *words in [words for words in pipelines.commands() if words[0] == "./inv"]:
        ending = "--dry-run" if "--dry-run" in FLAGS.get(words[0], {"--dry-run"}) else "--help"
        ran = stack_project.inv(*words, ending)
        if ran.code != 0:
            failed[shlex.join([*words, ending])] = ran.text

    assert failed == {}
