"""How quickstart ends: what it says where nothing was left to go on with, and where the services are."""

from __future__ import annotations

import dataclasses
import json

import pytest

from build.errors import Incomplete
from build.images import store
from build.images.build import Built
from build.images.image import Image
from build.machine import quickstart
from build.machine.quickstart import Progress
from build.steps import Step
from build.views import quickstart as view
from tests.support.project import Project

EARLIER = Image(
    service="web", name="127.0.0.1:5000/test/web", tag="0.1.0", digest="sha256:1", fingerprint="", size=1, pushed=True
)


@pytest.mark.parametrize("before", [{}, {"web": EARLIER}], ids=["first", "again"])
def test_where_nothing_could_be_built_nothing_is_started(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: dict[str, Image]
) -> None:
    """The table has each service's reason, and no image of an earlier build is scanned or started in its place."""
    manifest = project.load()
    store.record(manifest, before)
    built = Built(version="0.1.0", images={}, missing={"web": "base x: nowhere to be had"})
    build: Step[Progress] = Step("build", "build", lambda progress: dataclasses.replace(progress, built=built))
    keys = [step.key for step in quickstart.STEPS]
    rest = quickstart.STEPS[keys.index("scan") :]
    monkeypatch.setattr(quickstart, "STEPS", (build, *rest))

    with pytest.raises(Incomplete, match=r"not built: web \(base x: nowhere to be had\)"):
        quickstart.run(manifest)

    shown = capsys.readouterr()
    assert "nowhere to be had" in shown.out
    assert "./inv ps" not in shown.out
    assert "start the stack" not in shown.err


def test_the_closing_table_has_the_published_ports(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that is shown can be opened: the port is the one on this machine, not the one inside the container."""
    project.append("published = 18080\n")
    project.service("many", 8000)
    project.append(
        "[services.many.containers.many-a]\npublished = 18990\n[services.many.containers.many-b]\npublished = 18991\n"
    )
    built = Built(version="0.1.0", images={"web": EARLIER}, missing={})

    view.summary(project.load(), built, {}, {}, json=True)
    shown = json.loads(capsys.readouterr().out)
    view.summary(project.load(), built, {}, {}, json=False)

    assert shown["urls"] == {"web": "http://127.0.0.1:18080", "many": "http://127.0.0.1:18990"}
    assert "http://127.0.0.1:18080" in capsys.readouterr().out
