"""Two builds, two clones, two starts at once on one engine, and what a killed task leaves: each has its outcome."""

from __future__ import annotations

import lzma
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
import pytest

from build.config.load import load
from build.engine import apt
from build.engine import client as docker
from build.images import bases
from build.stack import status
from tests.support.machine import lacking
from tests.support.project import REPOSITORY, Project, Ran
from tests.support.stack import SERVER


def _clone(project: Project, folder: Path) -> Project:
    """Another checkout of the project, with what was resolved in the first one."""
    project.git("clone", "--quiet", f"file://{project.root}", str(folder))
    (folder / ".uc").mkdir()
    shutil.copy(project.root / ".uc" / "bases.json", folder / ".uc" / "bases.json")
    return Project(folder)


def _start(project: Project, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command(*arguments), cwd=project.root, env=project.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _end(process: subprocess.Popen[str]) -> Ran:
    out, err = process.communicate(timeout=240)
    return Ran(process.returncode, out, err)


def _lines(process: subprocess.Popen[str], word: str) -> str:
    """The standard error of a task up to the line that has a word."""
    assert process.stderr is not None
    text = ""
    while word not in text:
        line = process.stderr.readline()
        assert line, text
        text += line
    return text


def _content(reference: str) -> str:
    return docker.cli("run", "--rm", "--network", "none", "--entrypoint", "cat", reference, "/app/server.py").stdout


def _states(project: Project) -> dict[str, str]:
    return {container.name: container.health for container in status.containers(project.load())}


def test_e3_two_builds_of_two_clones_at_once_give_each_its_own_digests(stack_project: Project, tmp_path: Path) -> None:
    """Same project, same version, other content: one waits for the other, none fails, and each runs what it built."""
    other = _clone(stack_project, tmp_path / "other")
    for project, mark in ((stack_project, "# first\n"), (other, "# second\n")):
        project.write("docker/one/server.py", SERVER + mark)

    runs = [_end(process) for process in [_start(project, "build", "--json") for project in (stack_project, other)]]

    assert [ran.code for ran in runs] == [0, 0], [ran.text for ran in runs]
    built = [ran.result["images"]["one"] for ran in runs]
    assert built[0]["tag"] == built[1]["tag"], "both would have used one tag"
    assert built[0]["digest"] != built[1]["digest"]
    for image, mark in zip(built, ("# first\n", "# second\n"), strict=True):
        assert _content(f"{image['name']}@{image['digest']}") == SERVER + mark
    waited = "".join(ran.stderr for ran in runs)
    assert re.search(r"waiting for the build of \S+ \(pid \d+, since \d\d:\d\d:\d\d\)", waited), waited
    for project in (stack_project, other):
        assert set(project.inv("build", "--json").result["reused"]) == {"one", "two"}


def test_e3_a_killed_build_stands_in_nobody_s_way(stack_project: Project) -> None:
    """The next build does not wait for it, and removes what it left."""
    stack_project.write("docker/one/Dockerfile", f"FROM python\nRUN sleep 20 # {time.time_ns()}\n")
    process = _start(stack_project, "build", "--progress", "plain")
    _lines(process, "sleep 20")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stack_project.write("docker/one/Dockerfile", "FROM scratch\nCOPY server.py /\n")

    ran = stack_project.inv("build")

    assert ran.code == 0, ran.text
    assert not re.search(rf"waiting for .*{re.escape(str(stack_project.root))}", ran.stderr), (
        "others may build meanwhile"
    )
    remains = [path.name for path in (stack_project.root / ".uc").iterdir() if re.search(r"\.\d+(\.json)?$", path.name)]
    assert remains == []


def test_e3_a_build_with_nothing_to_do_waits_for_nobody(stack_project: Project, tmp_path: Path) -> None:
    """While another checkout builds, one whose images are current says so at once."""
    assert stack_project.inv("build").code == 0
    other = _clone(stack_project, tmp_path / "other")
    other.write("docker/one/Dockerfile", f"FROM python\nRUN sleep 20 # {time.time_ns()}\n")
    process = _start(other, "build", "--progress", "plain")
    _lines(process, "sleep 20")

    ran = stack_project.inv("build", "--json")

    assert process.poll() is None, "it waited"
    process.send_signal(signal.SIGINT)
    _end(process)
    assert ran.code == 0, ran.text
    assert set(ran.result["reused"]) == {"one", "two"}


def test_e3_an_interrupt_while_a_build_waits_is_clean(stack_project: Project, tmp_path: Path) -> None:
    """Exit 130, a document that says so, and the build that was waited for goes on."""
    other = _clone(stack_project, tmp_path / "other")
    stack_project.write("docker/one/Dockerfile", f"FROM python\nRUN sleep 10 # {time.time_ns()}\n")
    first = _start(stack_project, "build", "--progress", "plain")
    begun = _lines(first, "sleep 10")
    second = _start(other, "build", "--json")
    waiting = _lines(second, "waiting for the build of")
    second.send_signal(signal.SIGINT)

    stopped, finished = _end(second), _end(first)

    assert f"waiting for the build of {stack_project.root} (pid {first.pid}, since" in waiting
    assert (stopped.code, stopped.document["error"]["kind"]) == (130, "interrupted"), waiting + stopped.text
    assert finished.code == 0, begun + finished.text


def test_e4_a_second_clone_does_not_take_the_stack_over(built: Project, tmp_path: Path) -> None:
    """`up`, `down`, `smoke`, `watch` are refused with both folders and the settings; the first stack runs on."""
    assert built.inv("up").code == 0
    before = docker.cli("ps", "--quiet", "--no-trunc", "--filter", f"label={status.LABEL}={built.load().project.name}")
    other = _clone(built, tmp_path / "other")
    for arguments in (["build"], ["secrets.init"]):
        assert other.inv(*arguments).code == 0

    for task in (["up"], ["down"], ["down", "--volumes"], ["smoke"], ["watch"]):
        ran = other.inv(*task)
        assert ran.code == 19, ran.text
        assert f"belongs to the checkout {built.root}, and this is {other.root}" in ran.stderr
        assert "UC_PROJECT_NAME=" in ran.stderr

    after = docker.cli("ps", "--quiet", "--no-trunc", "--filter", f"label={status.LABEL}={built.load().project.name}")
    assert after.stdout == before.stdout
    assert built.inv("down").code == 0
    refused = other.inv("up")
    assert (refused.code, str(built.root) in refused.stderr) == (19, True), "its volumes are still there"


def test_e4_take_over_changes_the_owner_and_keeps_the_data(built: Project, tmp_path: Path) -> None:
    """Said aloud; from then on the first checkout is refused, until the stack is down."""
    assert built.inv("up").code == 0
    other = _clone(built, tmp_path / "other")
    for arguments in (["build"], ["secrets.init"]):
        assert other.inv(*arguments).code == 0

    taken = other.inv("up", "--take-over")
    refused, removed = built.inv("down"), other.inv("down")

    assert taken.code == 0, taken.text
    assert f"taking over the stack {built.load().project.name} of the checkout {built.root}" in taken.stderr
    assert (refused.code, str(other.root) in refused.stderr) == (19, True), refused.text
    assert removed.code == 0, removed.text
    assert built.inv("up").code == 0


def test_e4_the_stack_of_a_checkout_that_is_gone_is_taken_over_with_a_word(built: Project, tmp_path: Path) -> None:
    """A removed folder locks nobody out; a moved one owns its stack without a word."""
    assert built.inv("up").code == 0
    other = _clone(built, tmp_path / "other")
    moved = Project(Path(shutil.move(built.root, tmp_path / "moved")))
    for arguments in (["build"], ["secrets.init"]):
        assert other.inv(*arguments).code == 0

    own = moved.inv("up")
    shutil.rmtree(moved.root)
    taken = other.inv("up")

    assert (own.code, "is gone" in own.stderr) == (0, False), own.text
    assert (taken.code, f"{moved.root} is gone" in taken.stderr) == (0, True), taken.text


def test_e4_only_the_checkout_that_created_the_registry_removes_it(stack_project: Project, tmp_path: Path) -> None:
    """Every checkout uses it; its storage is not another one's to delete."""
    other = _clone(stack_project, tmp_path / "other")
    assert stack_project.inv("registry.up").code == 0

    used, refused = other.inv("registry.up"), other.inv("registry.down", "--volumes")

    assert used.code == 0, used.text
    assert (refused.code, str(stack_project.root) in refused.stderr) == (19, True), refused.text
    assert stack_project.inv("registry.down").code == 0


def test_two_starts_of_one_stack_at_once_both_succeed(built: Project) -> None:
    """The second waits for the first, and finds everything healthy."""
    runs = [_end(process) for process in [_start(built, "up", "--json"), _start(built, "up", "--json")]]

    assert [ran.code for ran in runs] == [0, 0], [ran.text for ran in runs]
    assert "waiting for the start of the stack" in "".join(ran.stderr for ran in runs)
    assert all({each["health"] for each in ran.result} == {"healthy"} for ran in runs)


def test_a_stop_beside_a_start_waits_and_then_removes_everything(built: Project) -> None:
    """Nothing that the start still creates is left behind."""
    up = _start(built, "up")
    begun = _lines(up, "starting")
    down = built.inv("down")
    started = _end(up)

    assert (started.code, down.code) == (0, 0), begun + started.text + down.text
    assert _states(built) == {}


@pytest.mark.parametrize("then", ["up", "down"])
def test_a_killed_start_is_finished_or_removed_by_the_next_task(built: Project, then: str) -> None:
    """`kill -9` of `up` leaves no lock, and no container that `down` does not find."""
    up = _start(built, "up")
    _lines(up, "starting")
    time.sleep(1)
    up.send_signal(signal.SIGKILL)
    up.communicate()

    ran = built.inv(then)

    assert ran.code == 0, ran.text
    assert "waiting for" not in ran.stderr
    if then == "up":
        assert set(_states(built).values()) == {"healthy"}
    else:
        time.sleep(2)  # Compose may have asked for another container before it was killed
        assert built.inv("down").code == 0
        assert _states(built) == {}


def _security_versions(suite: str, packages: Collection[str]) -> dict[str, str]:
    """The versions of these packages in a security suite, by name; the highest of each."""
    mirror = apt.security_mirror()
    url = f"{mirror}/dists/{suite}-security/main/binary-amd64/Packages.xz"
    try:
        answer = httpx.get(url, follow_redirects=True, timeout=60)
    except httpx.HTTPError as error:
        lacking(f"{url}: {error}")
    if not answer.is_success:
        lacking(f"{url}: {answer.status_code}")
    versions: dict[str, str] = {}
    for stanza in lzma.decompress(answer.content).decode().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version): (.*)$", stanza, re.M))
        if fields.get("Package") in packages and _newer(fields["Version"], versions.get(fields["Package"], "0")):
            versions[fields["Package"]] = fields["Version"]
    return versions


def _newer(version: str, than: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", version, "gt", than], check=False).returncode == 0


def test_e10_a_stand_in_has_every_security_update_of_its_packages(python_base: dict[str, Any]) -> None:
    """No package is older than in Debian's security suite, and the record has the versions that are in the image."""
    manifest = load(REPOSITORY, {}, local=False)
    base = bases.Resolved(**python_base["python"])
    if base.source != "stand-in" or not shutil.which("dpkg"):
        pytest.skip(f"the base is of source {base.source}")
    shown = docker.cli(
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "dpkg-query",
        base.image,
        "-W",
        "-f",
        "${Package} ${Version}\n",
    ).stdout
    installed = dict(line.split(" ") for line in shown.splitlines())
    updates = _security_versions(manifest.bases.suite, installed)
    behind = {name: version for name, version in installed.items() if _newer(updates.get(name, "0"), version)}

    assert base.packages == installed
    assert f"{manifest.bases.suite}-security" in base.suites.split()
    assert behind == {}
