"""Builds on the real engine: one bake, digests, secrets, failures, interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from build import json_file
from build.engine import client as docker
from build.images import store
from build.images.inspect import inspect
from tests.support.project import Project
from tests.support.stack import DOCKERFILE, add_server

CANARY = "canary-5f1c0d7e-never-in-an-image"


def _digests(project: Project) -> dict[str, str]:
    return {name: image.digest for name, image in store.recorded(project.load()).items()}


def test_build_records_a_digest_for_each_service(stack_project: Project) -> None:
    """A build records name@digest of every service, and the engine has exactly that image."""
    ran = stack_project.inv("build", "--json")

    assert ran.code == 0, ran.text
    images = ran.result["images"]
    assert sorted(images) == ["one", "two"]
    for image in store.recorded(stack_project.load()).values():
        assert docker.cli("image", "inspect", "--format", "{{.Id}}", image.reference).stdout.strip() == image.digest


def test_all_services_go_through_one_bake(stack_project: Project) -> None:
    """The whole build is one buildx invocation: one solve log with every target."""
    ran = stack_project.inv("build", UC_VERBOSE="1")

    assert ran.code == 0, ran.text
    assert ran.stderr.count("buildx bake") == 1


def test_labels_and_provenance(stack_project: Project) -> None:
    """An image states what it is (OCI labels and annotations), the date of its commit, and how it was built."""
    commit = stack_project.git("rev-parse", "HEAD")
    assert stack_project.inv("registry.up").code == 0
    assert stack_project.inv("build", "--push", "--service", "one").code == 0
    image = store.recorded(stack_project.load())["one"]

    labels = json.loads(docker.cli("image", "inspect", "--format", "{{json .Config.Labels}}", image.reference).stdout)
    raw = json.loads(docker.cli("buildx", "imagetools", "inspect", "--raw", image.reference).stdout)

    assert labels["org.opencontainers.image.title"] == "one"
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.created"].endswith("Z")
    kinds = [one.get("annotations", {}).get("vnd.docker.reference.type") for one in raw["manifests"]]
    assert "attestation-manifest" in kinds


def test_a_second_build_keeps_the_digests(stack_project: Project) -> None:
    """If nothing changed, the digests stay: with provenance a rebuild would give equal content a new digest."""
    assert stack_project.inv("build").code == 0
    before = _digests(stack_project)
    assert stack_project.inv("build").code == 0

    assert _digests(stack_project) == before


def test_a_changed_service_gets_a_new_digest_alone(stack_project: Project) -> None:
    """A change in one folder changes only that service's image."""
    assert stack_project.inv("build").code == 0
    before = _digests(stack_project)
    stack_project.write("docker/two/server.py", "# changed\n")
    stack_project.commit("Change two")
    ran = stack_project.inv("build", UC_VERBOSE="1")

    assert ran.code == 0, ran.text
    assert _digests(stack_project)["one"] == before["one"]
    assert _digests(stack_project)["two"] != before["two"]
    assert ran.stderr.split("buildx bake")[1].splitlines()[0].endswith(" two")


def test_an_image_that_the_engine_lost_is_built_again(stack_project: Project) -> None:
    """A record is trusted only while its image exists."""
    assert stack_project.inv("build").code == 0
    image = store.recorded(stack_project.load())["one"]
    docker.cli("rmi", "--force", *inspect([image.reference])[0].tags)

    ran = stack_project.inv("build", "--json")

    assert ran.result["reused"] == ["two"]


def test_push_sends_an_unchanged_image_that_the_registry_lacks(stack_project: Project) -> None:
    """What was built without --push is pushed later under the same digest, without a rebuild."""
    assert stack_project.inv("build").code == 0
    before = _digests(stack_project)
    assert stack_project.inv("registry.up").code == 0

    ran = stack_project.inv("build", "--push", "--json")

    assert ran.code == 0, ran.text
    assert ran.result["reused"] == ["one", "two"]
    assert _digests(stack_project) == before
    for image in store.recorded(stack_project.load()).values():
        shown = docker.cli("buildx", "imagetools", "inspect", image.reference, "--format", "{{json .Manifest}}").stdout
        assert json.loads(shown)["digest"] == image.digest


def test_a_failing_service_does_not_take_the_others_with_it(stack_project: Project) -> None:
    """The others get their digests, the table names the failed one, its log lines are shown once: exit 13."""
    stack_project.write("docker/two/Dockerfile", DOCKERFILE.replace("USER", "RUN echo the-reason-why && false\nUSER"))
    stack_project.commit("Break two")

    ran = stack_project.inv("build")

    assert ran.code == 13, ran.text
    assert list(_digests(stack_project)) == ["one"]
    assert "two" in ran.stdout
    assert "not built" in ran.stdout
    # Once as the step's own output; as its last words it is the reason, too.
    assert ran.stderr.count("| the-reason-why\n") == 1
    assert "error: two: the-reason-why (exit code 1)" in ran.stderr
    assert "/bin/sh" not in ran.text


def test_a_failing_shared_stage_is_named_for_each_service_on_it(stack_project: Project) -> None:
    """If a shared stage fails, each service that uses it is reported, and the others are built."""
    stack_project.write("docker/shared/Dockerfile", "FROM python AS shared\nRUN false\n")
    stack_project.append('\n[stages.shared]\nfolder = "docker/shared"\ntarget = "shared"\nbases = ["python"]\n')
    add_server(
        stack_project, "three", DOCKERFILE.replace("FROM python", "FROM shared"), contexts='{ shared = "stage:shared" }'
    )
    stack_project.commit("Add a stage that fails")

    ran = stack_project.inv("build")

    assert ran.code == 13, ran.text
    assert sorted(_digests(stack_project)) == ["one", "two"]
    assert "three" in ran.stdout


def test_a_misspelt_service_gets_a_suggestion(stack_project: Project) -> None:
    """An unknown --service is refused with the nearest name."""
    ran = stack_project.inv("build", "--service", "onne")

    assert ran.code == 2
    assert "did you mean 'one'" in ran.stderr


def _with_secret(project: Project, token: Path) -> None:
    text = (project.root / "versions.toml").read_text().replace('token = ""', f'token = "{token}"')
    (project.root / "versions.toml").write_text(text)
    add_server(
        project, "three",
        DOCKERFILE.replace(
            "USER",
            "RUN --mount=type=secret,id=token,required=true wc -c < /run/secrets/token > /app/size"
            " && cp /run/secrets/token /tmp/t && rm /tmp/t\nUSER",
        ),
        build_secrets='["token"]',
    )  # fmt: skip


def test_a_build_secret_is_in_no_layer_and_no_record(stack_project: Project, tmp_path: Path) -> None:
    """A canary mounted as a secret appears in no layer, history, config, provenance or build log."""
    token = tmp_path / "token"
    token.write_text(CANARY)
    _with_secret(stack_project, token)
    stack_project.commit("Add three")
    ran = stack_project.inv("build", "--service", "three", "--progress", "plain")
    assert ran.code == 0, ran.text

    saved = tmp_path / "image.tar"
    docker.cli("save", "--output", str(saved), store.recorded(stack_project.load())["three"].reference)

    assert CANARY not in ran.text
    for file in [path for path in stack_project.load().workspace.root.rglob("*") if path.is_file()]:
        assert CANARY.encode() not in file.read_bytes(), file
    assert _blobs_with(saved, CANARY.encode()) == []


def _blobs_with(archive: Path, needle: bytes) -> list[str]:
    import gzip

    blobs = []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)):
                content = file.read()
                plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
                if needle in plain:
                    blobs.append(member.name)
    return blobs


def test_the_canary_search_finds_a_planted_secret(stack_project: Project, tmp_path: Path) -> None:
    """The search that proves absence does find a string that is in a layer."""
    stack_project.write("docker/one/server.py", f"# {CANARY}\n")
    assert stack_project.inv("build", "--service", "one").code == 0
    saved = tmp_path / "image.tar"
    docker.cli("save", "--output", str(saved), store.recorded(stack_project.load())["one"].reference)

    assert _blobs_with(saved, CANARY.encode())


def test_a_configured_secret_whose_file_is_missing_stops_the_build(stack_project: Project, tmp_path: Path) -> None:
    """A build never proceeds without a configured secret."""
    _with_secret(stack_project, tmp_path / "nowhere")
    stack_project.commit("Add three")

    ran = stack_project.inv("build", "--service", "three")

    assert ran.code == 11
    assert "build_secrets.token: no such file" in ran.stderr


def test_a_build_by_hand_that_forgets_the_secret_fails(stack_project: Project, tmp_path: Path) -> None:
    """With required=true, the RUN fails without the mount instead of proceeding without the secret."""
    _with_secret(stack_project, tmp_path / "x")
    base = json_file.read(stack_project.load().workspace.bases)["python"]["context"]
    done = subprocess.run(
        ["docker", "buildx", "build", "--no-cache", "--build-context", f"python={base}", "docker/three"],
        cwd=stack_project.root, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "secret token: not found" in done.stderr


def _processes(project: Project) -> str:
    """The processes with the project's folder in their command line."""
    argv = ["pgrep", "-fl", str(project.root)]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_ctrl_c_in_a_build_leaves_the_last_good_state(stack_project: Project) -> None:
    """An interrupt stops the build with 130 and no traceback, keeps the earlier digests, and leaves no buildx behind."""
    assert stack_project.inv("build").code == 0
    before = _digests(stack_project)
    stack_project.write("docker/two/Dockerfile", DOCKERFILE.replace("USER", f"RUN sleep 97 # {os.getpid()}\nUSER"))
    process = subprocess.Popen(
        stack_project.command("build", "--progress", "plain"), cwd=stack_project.root, env=stack_project.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout
    with process.stdout as stream:
        for line in stream:
            if "RUN sleep" in line:
                break
        process.send_signal(signal.SIGINT)
        output = stream.read()
    code = process.wait(30)

    assert code == 130
    assert "Traceback" not in output
    assert _digests(stack_project) == before
    deadline = time.monotonic() + 10
    while left := _processes(stack_project):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_dry_run_prints_the_definition_and_builds_nothing(stack_project: Project) -> None:
    """--dry-run shows the bake definition; it creates no image and no record."""
    ran = stack_project.inv("build", "--dry-run")

    assert ran.code == 0, ran.text
    assert sorted(json.loads(ran.stdout)["target"]) == ["one", "two"]
    assert _digests(stack_project) == {}


@pytest.mark.parametrize("progress", ["auto", "quiet"])
def test_output_is_plain_in_a_pipe(stack_project: Project, progress: str) -> None:
    """Output to a pipe has no escape codes."""
    ran = stack_project.inv("build", "--progress", progress)

    assert ran.code == 0, ran.text
    assert "\x1b[" not in ran.text
