"""`nox -s reproducible`: equal sources give equal images, whoever builds them, when and where.

usage: run.py [SERVICE…]
Each service is built twice without a common cache: by this machine's engine, and by an engine of its own from another
checkout, at another path, with other dates and another umask. Their platform manifests have to be equal: layers and
configuration, byte by byte. (An index is not: its provenance says when the build ran.)
Then it is built from one more commit with the same content: the fingerprints have to be equal, and the images but for
what names the commit: three labels, and the dates in the configuration.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from build import console
from build.config.load import load
from build.config.select import chosen
from build.engine import client as docker
from tests.support.connect import connecting
from tests.support.image_differences import differences, platform
from tests.support.own_engine import OwnEngine, own_engine, startable

ROOT = Path(__file__).parents[2]
_ORIGIN = "https://git.example/team/project.git"
_OLDER = 1_500_000_000
# What can't be equal: the service and the line of the difference, and why it is so.
EXPLAINED: dict[tuple[str, str], str] = {}


@dataclass(frozen=True, slots=True)
class Builder:
    """An engine to build with; of another one than this machine's, how it is reached, and how it reaches others."""

    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def build(self, checkout: Path, folder: Path, services: Sequence[str], *options: str) -> None:
        """Export the services of a checkout into a folder."""
        argv = [sys.executable, "-m", "tests.reproducible.build", str(checkout), str(folder), *services]
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*argv, *self.options, *options], cwd=ROOT, env=environment, check=False)
        if done.returncode:
            sys.exit(done.returncode)  # it said why


def main(arguments: Sequence[str]) -> int:
    """Build, compare, and say what differs; the exit code."""
    services = chosen(load(ROOT, os.environ), arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uc-reproducible-")))
        first, second = _clone(folder / "first"), _clone(folder / "some" / "where" / "second", umask=0o002)
        _age(second)
        console.note(f"building {', '.join(services)} with this machine's engine")
        Builder().build(first, folder / "one", services, "--no-cache")
        bases = (first / ".uc" / "bases.json").read_text()
        (second / ".uc").mkdir()
        (second / ".uc" / "bases.json").write_text(bases)
        other = _other_builder(stack, [base["context"] for base in json.loads(bases).values()])
        console.note("and again, from another checkout")
        other.build(second, folder / "two", services)
        _git(second, "commit", "--quiet", "--allow-empty", "--message=chore: nothing")
        console.note("and from one more commit")
        other.build(second, folder / "three", services)
        bad = _compare("on two builders", services, folder / "one", folder / "two")
        return bad + _compare("of two commits", services, folder / "two", folder / "three", of_commit=True) and 1


def _other_builder(stack: ExitStack, bases: Sequence[str]) -> Builder:
    """An engine of its own that has these bases; without one, this machine's, whose cache is not used."""
    if problem := startable():
        console.warn(f"no second engine ({problem}): this machine's builds twice, without its cache")
        return Builder(options=("--no-cache",))
    engine = stack.enter_context(own_engine(builds=True))
    _copy(engine, [base.removeprefix("docker-image://") for base in bases])
    proxy = stack.enter_context(connecting(engine.machine))
    return Builder({"DOCKER_HOST": engine.host}, ("--proxy", proxy))


def _copy(engine: OwnEngine, images: Sequence[str]) -> None:
    """Copy images of this machine's engine to the other one: what is built stands on the same bases."""
    with subprocess.Popen([docker.docker(), "save", *images], stdout=subprocess.PIPE) as save:
        subprocess.run(
            [docker.docker(), "--host", engine.host, "load", "--quiet"],
            stdin=save.stdout, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    assert save.returncode == 0


def _clone(folder: Path, umask: int = 0o022) -> Path:
    """A clone of what is committed here, with an origin that every clone has."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, umask=umask)
    _git(folder, "remote", "set-url", "origin", _ORIGIN)
    return folder


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def _age(folder: Path) -> None:
    """Give the files of a checkout an older date."""
    for path in folder.rglob("*"):
        if ".git" not in path.relative_to(folder).parts:
            os.utime(path, (_OLDER, _OLDER), follow_symlinks=False)


def _compare(title: str, services: Sequence[str], one: Path, other: Path, *, of_commit: bool = False) -> int:
    """Say of each service whether its images are equal; the number of those with an unexplained difference."""
    bad = 0
    prints = [json.loads((folder / "fingerprints.json").read_text()) for folder in (one, other)]
    for service in services:
        if service not in prints[0]:
            console.text(f"✗ {service} {title}: not built")
            bad += 1
            continue
        images = platform(one / service), platform(other / service)
        lines = differences(*images, of_commit=of_commit)
        if prints[0][service] != prints[1][service]:
            lines.append("the fingerprints differ")
        explained = {line: reason for line in lines if (reason := _reason(service, line))}
        for line in lines:
            console.note(f"{service}: {line}{f'   ({explained[line]})' if line in explained else ''}")
        wrong = len(lines) - len(explained)
        bad += bool(wrong)
        verdict = "equal" if not lines else f"{wrong} differences" if wrong else "equal but for what is explained"
        console.text(f"{'✗' if wrong else '✓'} {service} {title}: {verdict}, {len(images[0].layers())} layers")
    return bad


def _reason(service: str, line: str) -> str:
    return next(
        (reason for (name, pattern), reason in EXPLAINED.items() if name == service and re.search(pattern, line)), ""
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
