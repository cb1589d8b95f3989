"""Equal images from equal sources, and the comparison that `nox -s reproducible` makes of the six services."""

from __future__ import annotations

from pathlib import Path

from build.git import history as git_history
from build.images.build import resolve_bases, snapshots
from build.images.export import export
from build.images.plan import plan_build
from tests.support.image_differences import Platform, differences, platform
from tests.support.project import Project
from tests.support.stack import USER_AND_HEALTH

_DATED = f"""\
FROM python AS build
COPY server.py /out/app/
RUN mkdir /out/data && find /out -exec touch -d @315532800 {{}} +
FROM python
COPY --from=build /out /
{USER_AND_HEALTH}ENTRYPOINT ["python3", "/app/server.py"]
"""


def _exported(project: Project, folder: Path) -> tuple[Platform, str]:
    """Service one, built without the cache, and its fingerprint."""
    manifest = project.load()
    history = git_history.read(manifest)
    resolved, _ = resolve_bases(manifest, ["one"])
    plan = plan_build(manifest, history, snapshots(manifest, history), resolved, ["one"])
    export(manifest, plan, ["one"], no_cache=True)["one"].layout.folder.rename(folder)
    return platform(folder), plan.fingerprints["one"]


def test_equal_sources_give_equal_images(stack_project: Project, tmp_path: Path) -> None:
    """Built twice without the cache, an image is the same; of another commit, it differs in what names the commit alone."""
    stack_project.write("docker/one/Dockerfile", _DATED)
    stack_project.commit("Date it")
    first, _ = _exported(stack_project, tmp_path / "first")
    second, fingerprint = _exported(stack_project, tmp_path / "second")
    stack_project.write("README.md", "# of no image\n")
    stack_project.commit("Another commit")
    third, same = _exported(stack_project, tmp_path / "third")

    assert first.digest == second.digest
    assert same == fingerprint
    assert differences(second, third, of_commit=True) == []
    assert [line for line in differences(second, third) if "revision" in line]


def test_the_file_that_differs_is_named(stack_project: Project, tmp_path: Path) -> None:
    """A file with the time of the build in it is named with what differs: its bytes, its date."""
    stack_project.write("docker/one/Dockerfile", _DATED.replace("&& find", "&& date +%N > /out/app/when && : find"))
    stack_project.commit("Put the time into it")
    lines = differences(_exported(stack_project, tmp_path / "1")[0], _exported(stack_project, tmp_path / "2")[0])

    assert any(line.endswith("/app/when: bytes") for line in lines), lines
    assert any("/app/when: date " in line for line in lines), lines
