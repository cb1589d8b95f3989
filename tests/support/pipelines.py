"""The CI pipelines as data: their jobs, the jobs' scripts, and the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any

import yaml

from tests.support.project import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
GITLAB = REPOSITORY / ".gitlab-ci.yml"
FILES = [*WORKFLOWS, GITLAB]
_NOT_JOBS = {"stages", "workflow", "variables", "default"}
_PROGRAM = re.compile(r"(?:\./inv|(?:\.venv/bin/)?nox)(?=\s|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A shell script in a job, with the variables that its commands may use."""

    place: str
    text: str
    variables: dict[str, str]

    def commands(self, *, full: bool = False) -> list[list[str]]:
        """Its calls of tasks and sessions, with variables filled in; `full`: with all that is optional.

        Raises AssertionError for a call inside a line.
        """
        lines = [line.strip() for line in self.text.splitlines()]
        calls = [line for line in lines if _PROGRAM.match(line)]
        assert len(calls) == len(_PROGRAM.findall(self.text)), f"{self.place}: a task inside a line can't be checked"
        return [[self._filled(word) for word in shlex.split(self._with_optional(line, full))] for line in calls]

    def _with_optional(self, line: str, full: bool) -> str:
        """The line with every ${NAME:+words} in it: the words if the variable is not empty, nothing if it is."""
        return re.sub(r"\$\{(\w+):\+([^}]*)\}", lambda part: part[2] if full or self.variables[part[1]] else "", line)

    def _filled(self, word: str) -> str:
        """The word with the values of variables; what a person has to fill in stands for itself."""
        return re.sub(r"\$(\w+)", lambda name: self.variables[name[1]] or name[1], word)


def read(path: Any) -> dict[Any, Any]:
    """The YAML document of a pipeline. (`on` is the boolean true in YAML 1.1.)"""
    document: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def github_jobs() -> dict[str, dict[str, Any]]:
    """Every job of every workflow, by FILE:JOB."""
    return {f"{path.name}:{name}": job for path in WORKFLOWS for name, job in read(path)["jobs"].items()}


def gitlab_jobs() -> dict[str, dict[str, Any]]:
    """Every job of the GitLab pipeline."""
    jobs = {name: job for name, job in read(GITLAB).items() if name not in _NOT_JOBS}
    return {name: job for name, job in jobs.items() if not name.startswith(".")}


def scripts() -> list[Script]:
    """Every shell script in the pipelines."""
    scripts = []
    for place, job in github_jobs().items():
        for step in job.get("steps", []):
            if "run" in step:
                environment = {**job.get("env", {}), **step.get("env", {})}
                variables = {name: _usual(value) for name, value in environment.items()}
                scripts.append(Script(place=f"{place}:{step['name']}", text=step["run"], variables=variables))
    shared = {name: value["value"] if isinstance(value, dict) else value for name, value in _variables().items()}
    for name, job in gitlab_jobs().items():
        for part in [part for part in ("before_script", "script", "after_script") if part in job]:
            text = "\n".join(job[part])
            variables = shared | job.get("variables", {})
            scripts.append(Script(place=f"{GITLAB.name}:{name}:{part}", text=text, variables=variables))
    return scripts


def _variables() -> dict[str, Any]:
    variables: dict[str, Any] = read(GITLAB)["variables"]
    return variables


def _usual(value: str) -> str:
    """Return the default of an expression like ${{ inputs.bump || 'auto' }}, "" for one without."""
    usual = re.fullmatch(r"\$\{\{ (?:.* \|\| '(.*)'|.*) \}\}", value)
    return usual[1] or "" if usual else value


def commands(*, full: bool = False) -> list[list[str]]:
    """Every call of a task or session in the pipelines, each once; `full`: with all that is optional."""
    every = (tuple(words) for script in scripts() for words in script.commands(full=full))
    return [list(words) for words in dict.fromkeys(every)]
