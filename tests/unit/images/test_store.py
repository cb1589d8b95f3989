"""The record of the images of a checkout."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from build import json_file
from build.errors import Incomplete
from build.images import build, inspect, store
from build.images.build import Built
from build.images.image import Image
from tests.support.project import REPOSITORY, Project

WEB = Image(
    service="web", name="127.0.0.1:5000/test/web", tag="1.2.3", digest="sha256:1", fingerprint="f", size=7, pushed=False,
    bases={"python": "stand-in"},
)  # fmt: skip


def test_an_image_is_identified_by_its_digest() -> None:
    """Containers and scans get name@digest, the registry's client the repository without the address."""
    assert WEB.reference == "127.0.0.1:5000/test/web@sha256:1"
    assert WEB.repository == "test/web"


def test_a_recorded_build_is_read_back(project: Project) -> None:
    """A record survives later ones of other services, and its references are variables of docker/compose.yaml."""
    project.service("my-api", 18981)
    manifest = project.load()
    api = dataclasses.replace(WEB, service="my-api", name="127.0.0.1:5000/test/my-api")

    store.record(manifest, {"web": WEB})
    store.record(manifest, {"my-api": api})
    store.write_images_env(manifest)

    assert store.recorded(manifest) == {"web": WEB, "my-api": api}
    assert manifest.workspace.images_env.read_text() == (
        "WEB_IMAGE=127.0.0.1:5000/test/web@sha256:1\nMY_API_IMAGE=127.0.0.1:5000/test/my-api@sha256:1\n"
    )


OTHERS = {
    "an older format": {"web": {"service": "web", "digest": "sha256:1"}},
    "a service that was removed": {"gone": dataclasses.asdict(WEB)},
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_record_of_something_else_counts_as_none(project: Project, case: str) -> None:
    """After an update or a removed service the images are built again, and nothing crashes."""
    manifest = project.load()
    json_file.write(manifest.workspace.images, OTHERS[case])

    assert store.recorded(manifest) == {}
    with pytest.raises(Incomplete, match="no image yet of web"):
        store.present_images(manifest)


def test_a_service_without_an_image_is_left_out_with_a_warning(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was built can be scanned and started, and what was not is named."""
    project.service("api", 18981)
    manifest = project.load()
    store.record(manifest, {"web": WEB})

    assert store.present_images(manifest) == {"web": WEB}
    assert "api has no image and is left out" in capsys.readouterr().err


def test_no_name_asks_no_engine() -> None:
    """Before the first build there is nothing to look for."""
    assert inspect.inspect([]) == []


def test_an_incomplete_build_names_each_service_and_its_reason() -> None:
    """Exit code 13 comes with what to look at."""
    build.require_complete(Built(version="1", images={}, missing={}))
    with pytest.raises(Incomplete, match=r"not built: web \(base x: gone\); api \(exit code: 1\)"):
        build.require_complete(
            Built(version="1", images={}, missing={"web": "base x: gone", "api": "exit code: 1"}),
        )


def test_a_build_with_nothing_to_do_imports_what_it_uses() -> None:
    """Importing python-on-whales alone takes longer than the rest of such a build; the registry's client is not used."""
    code = "import sys, build.images.build, build.views.tables; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert {"python_on_whales", "pydantic", "httpx", "semver"}.isdisjoint(done.stdout.split())
