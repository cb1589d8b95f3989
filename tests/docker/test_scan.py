"""The scan gate with the real Trivy, engine and registry, on tiny images and databases made here."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from build import engine, scan, state
from build.errors import ManifestError, MissingTool, ScanBroken, ScanRejected
from build.images import BuiltImage
from build.manifest import Gates, Manifest
from build.scan import Verdict
from tests.conftest import Project
from tests.docker import trivy_db
from tests.docker.conftest import free_port

METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"
JINJA2 = {"usr/lib/python3/dist-packages/Jinja2-2.10.dist-info/METADATA": METADATA.format("Jinja2", "2.10")}
DEBIAN = {
    "etc/debian_version": "13.1\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
    "var/lib/dpkg/status": (
        "Package: libssl3t64\nStatus: install ok installed\nSource: openssl\nArchitecture: amd64\nVersion: 3.5.1-1\n"
        "Maintainer: Test <test@example.invalid>\nDescription: A test\n\n"
    ),
    "usr/share/doc/libssl3t64/copyright": "License: GPL-3.0\n",
}
# Put together here, so that no scanner of this repository takes it for a real one.
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
LEAK = {"app/settings.env": f"GITHUB_PAT={TOKEN}\n"}

Build = Callable[..., BuiltImage]


@dataclass(frozen=True, slots=True)
class Registry:
    """A throw-away registry: its address, the process that serves it, and the databases pushed to it."""

    address: str
    process: subprocess.Popen[bytes]

    def push(self, name: str, database: bytes, *, age: timedelta = timedelta()) -> str:
        """Push a database made `age` ago; its reference by digest."""
        made = datetime.now(UTC).replace(microsecond=0) - age
        return trivy_db.push(self.address, f"db/{name}", trivy_db.artifact(database, made))


@contextlib.contextmanager
def serve(program: str, folder: Path, host: str) -> Iterator[Registry]:
    """A Distribution registry on a free port of a loopback address, without TLS, until the block ends."""
    address = f"{host}:{free_port()}"
    storage = {"filesystem": {"rootdirectory": str(folder / "storage")}}
    config = {"version": "0.1", "log": {"level": "error"}, "storage": storage, "http": {"addr": address}}
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not answers(address):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield Registry(address, process)
    finally:
        process.terminate()
        process.wait(10)


def answers(address: str) -> bool:
    """Whether a registry answers at the address."""
    try:
        return httpx.get(f"http://{address}/v2/", timeout=1).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def registry(registry_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the images and databases of this file, on an address of its own."""
    with serve(registry_program, tmp_path_factory.mktemp("registry"), f"127.0.77.{2 + os.getpid() % 200}") as running:
        yield running


@pytest.fixture(scope="module")
def database(registry: Registry) -> str:
    """A fresh database that knows all that these tests' images hold."""
    return registry.push("full", trivy_db.bolt(trivy_db.advisories()))


@pytest.fixture(scope="module")
def build(
    registry: Registry, docker_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Build]:
    """Builds an image of a few files, with provenance as the real ones have, and pushes it unless told not to."""
    made: set[str] = set()

    def build(
        service: str, files: dict[str, str], *, more: str = "", push: bool = True, platform: str = ""
    ) -> BuiltImage:
        folder = tmp_path_factory.mktemp(service)
        for name, text in files.items():
            (folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "root" / name).write_text(text)
        (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY root /\n{more}\n")
        name, metadata = f"{registry.address}/scan/{service}", folder / "metadata.json"
        engine.cli(
            "buildx", "build", "--quiet", "--provenance", "mode=min", "--metadata-file", str(metadata),
            "--tag", f"{name}:1", *(["--push"] if push else []), *(["--platform", platform] if platform else []),
            str(folder),
        )  # fmt: skip
        digest = state.read(metadata)["containerimage.digest"]
        made.add(digest)
        return BuiltImage(service=service, name=name, tag="1", digest=digest, fingerprint="", size=0, pushed=push)

    yield build
    engine.cli("image", "rm", "--force", *made)


@pytest.fixture(scope="module")
def vulnerable(build: Build) -> BuiltImage:
    """An image that holds Jinja2 2.10."""
    return build("vulnerable", JINJA2)


@pytest.fixture(scope="module")
def leaking(build: Build) -> BuiltImage:
    """An image that holds a token in a file."""
    return build("leaking", LEAK)


@pytest.fixture(scope="module")
def clean(build: Build) -> BuiltImage:
    """An image without anything to find."""
    return build("clean", {"app/hello.txt": "hello\n"})


@pytest.fixture
def manifest(project: Project, database: str) -> Manifest:
    """A project's manifest that names the fresh database."""
    return replace(project.load(), gates=Gates(db_repository=database))


def gate(manifest: Manifest, *images: BuiltImage, **gates: Any) -> tuple[Verdict, ...]:
    """Scan the images with some gate settings changed."""
    changed = replace(manifest, gates=replace(manifest.gates, **gates))
    return scan.scan(changed, {image.service: image for image in images}, reports=manifest.state / "reports")


def report(verdict: Verdict, kind: str) -> Any:
    """One of the JSON reports of a verdict."""
    return json.loads(verdict.reports[kind].read_text())


# Findings ------------------------------------------------------------------------------------------------------------


def test_findings_at_the_gate_refuse(manifest: Manifest, vulnerable: BuiltImage, clean: BuiltImage) -> None:
    """An image with a HIGH finding is refused with its id, package and fix; the clean one beside it is not."""
    verdicts = gate(manifest, vulnerable, clean)

    assert [(one.service, one.refused) for one in verdicts] == [("vulnerable", True), ("clean", False)]
    assert verdicts[0].findings == {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 1, "LOW": 0, "UNKNOWN": 0}
    with pytest.raises(ScanRejected) as refusal:
        scan.enforce(verdicts)
    assert str(refusal.value).splitlines() == [
        "the scan refuses 1 of 2 images",
        "  vulnerable: 1 HIGH",
        "    HIGH CVE-2019-10906: Jinja2 2.10, fixed in 2.10.1",
    ]


def test_a_clean_image_passes(manifest: Manifest, clean: BuiltImage) -> None:
    """No findings, vulnerabilities checked, nothing raised."""
    (verdict,) = gate(manifest, clean)

    scan.enforce([verdict])
    assert (verdict.refused, verdict.vulnerabilities_checked, sum(verdict.findings.values())) == (False, True, 0)


def test_findings_below_the_gate_pass_and_are_counted(manifest: Manifest, vulnerable: BuiltImage) -> None:
    """The gate decides by gates.severity alone; what is below is in the reports."""
    (verdict,) = gate(manifest, vulnerable, severity=("CRITICAL",))

    scan.enforce([verdict])
    assert (verdict.refused, verdict.findings["HIGH"]) == (False, 1)


def test_a_vulnerable_distribution_package_refuses(manifest: Manifest, build: Build) -> None:
    """A Debian package is looked up under its source package and the image's own release."""
    (verdict,) = gate(manifest, build("debian", DEBIAN))

    assert [str(finding) for finding in verdict.gated] == [
        "CRITICAL CVE-2025-15467: libssl3t64 3.5.1-1, fixed in 3.5.4-1~deb13u2"
    ]


def test_a_secret_in_a_file_refuses_and_stays_out_of_the_reports(manifest: Manifest, leaking: BuiltImage) -> None:
    """The token is found by rule and line, and no report repeats it."""
    (verdict,) = gate(manifest, leaking)

    assert [str(finding) for finding in verdict.gated] == ["CRITICAL github-pat: /app/settings.env:1"]
    assert not [path for path in verdict.reports.values() if TOKEN in path.read_text()]


def test_a_secret_in_the_configuration_refuses(manifest: Manifest, build: Build) -> None:
    """A token that came in by ENV is in the image as much as one in a file."""
    (verdict,) = gate(manifest, build("environment", {"a": "a"}, more=f"ENV GITHUB_PAT={TOKEN}"))

    assert {finding.id for finding in verdict.gated} == {"github-pat"}
    with pytest.raises(ScanRejected) as refusal:
        scan.enforce([verdict])
    assert refusal.value.hint.startswith("take the secrets out and renew them")
    assert report(verdict, "sarif")["runs"][0]["results"][0]["ruleId"] == "github-pat"
    assert not [path for path in verdict.reports.values() if TOKEN in path.read_text()]


def test_licenses_of_the_distribution_do_not_refuse(manifest: Manifest, build: Build) -> None:
    """With the license scanner on, a Python package's license counts and the base image's GPL packages don't."""
    package = {"usr/lib/python3/thing-1.dist-info/METADATA": METADATA.format("thing", "1") + "License: AGPL-3.0\n"}
    (verdict,) = gate(manifest, build("licensed", DEBIAN | package), scanners=("license",))

    assert [(finding.kind, finding.subject) for finding in verdict.gated] == [("license", "thing")]


def test_a_misconfiguration_refuses(manifest: Manifest, build: Build) -> None:
    """With the misconfig scanner on, Trivy's built-in checks judge the image's configuration."""
    (verdict,) = gate(manifest, build("rooted", {"a": "a"}, more="USER root"), scanners=("misconfig",))

    assert {finding.kind for finding in verdict.gated} == {"misconfiguration"}


# Reports -------------------------------------------------------------------------------------------------------------


def test_the_reports_hold_the_finding(manifest: Manifest, vulnerable: BuiltImage) -> None:
    """SARIF, table and SBOM come from the same scan as the JSON report and name the same package."""
    (verdict,) = gate(manifest, vulnerable)

    sarif, bill = report(verdict, "sarif"), report(verdict, "cdx.json")
    assert verdict.reports["json"] == manifest.state / "reports" / "scan" / "vulnerable.json"
    assert sarif["version"] == "2.1.0"
    assert {result["ruleId"] for result in sarif["runs"][0]["results"]} == {"CVE-2019-10906", "CVE-2020-28493"}
    assert [part["purl"] for part in bill["components"]] == ["pkg:pypi/jinja2@2.10"]
    assert "CVE-2019-10906" in verdict.reports["txt"].read_text()


def test_the_findings_of_a_service_have_a_category_of_their_own(manifest: Manifest, vulnerable: BuiltImage) -> None:
    """Code scanning takes the SARIF files of all services in one upload, because no two runs are of one category."""
    (verdict,) = gate(manifest, vulnerable)

    assert [run["automationDetails"]["id"] for run in report(verdict, "sarif")["runs"]] == ["vulnerable/"]


def test_the_given_digest_is_scanned_though_its_tag_moved(manifest: Manifest, build: Build) -> None:
    """A verdict is about name@digest: another image under the same tag changes nothing."""
    first = build("moving", JINJA2)
    second = build("moving", {"a": "a"})
    (verdict,) = gate(manifest, first)

    assert first.digest != second.digest
    assert report(verdict, "json")["Metadata"]["RepoDigests"] == [first.reference] == [verdict.reference]
    assert verdict.refused


def test_an_image_that_was_not_pushed_is_scanned_in_the_engine(manifest: Manifest, build: Build) -> None:
    """Without a registry the engine's image of that digest is scanned."""
    image = build("local", JINJA2, push=False)
    (verdict,) = gate(manifest, image)

    assert verdict.refused
    assert report(verdict, "json")["Metadata"]["RepoDigests"] == [image.reference]


def test_an_image_for_arm_is_scanned(manifest: Manifest, build: Build) -> None:
    """An index without an amd64 image, as an Apple laptop builds it, is no obstacle."""
    (verdict,) = gate(manifest, build("arm", JINJA2, platform="linux/arm64"))

    assert verdict.refused


def test_java_archives_are_left_out_and_it_is_said(
    manifest: Manifest, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    """A .jar needs a second database: without it the rest of the image is scanned and a note tells."""
    (verdict,) = gate(manifest, build("java", JINJA2 | {"app/a.jar": "its name is enough"}))

    assert verdict.refused
    assert verdict.notes == ("its Java archives were NOT checked, which takes a Java database",)
    assert "java: its Java archives were NOT checked" in capsys.readouterr().err


# The database --------------------------------------------------------------------------------------------------------


def test_without_a_database_secrets_are_found_and_it_is_said(
    manifest: Manifest, leaking: BuiltImage, vulnerable: BuiltImage, capsys: pytest.CaptureFixture[str]
) -> None:
    """No database configured: the other scanners run, and the output says what was not checked."""
    leaked, unknown = gate(manifest, leaking, vulnerable, db_repository="")

    assert (leaked.refused, leaked.vulnerabilities_checked) == (True, False)
    assert (unknown.refused, unknown.vulnerabilities_checked, unknown.database) == (False, False, "")
    assert scan.summary(unknown) == "passed, vulnerabilities NOT checked"
    assert "vulnerabilities were NOT checked: gates.db_repository is empty" in capsys.readouterr().err


def test_without_a_database_an_sbom_is_kept(manifest: Manifest, vulnerable: BuiltImage) -> None:
    """The SBOM needs no database."""
    (verdict,) = gate(manifest, vulnerable, db_repository="")

    assert [part["purl"] for part in report(verdict, "cdx.json")["components"]] == ["pkg:pypi/jinja2@2.10"]


@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "never answers"])
def test_an_unreachable_database_leaves_the_other_scanners(
    manifest: Manifest, leaking: BuiltImage, capsys: pytest.CaptureFixture[str], listens: bool
) -> None:
    """The database's registry is away, or lost behind a firewall: as with none configured, and said as plainly."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        if listens:
            dead.listen()
        (verdict,) = gate(manifest, leaking, db_repository=f"127.0.0.1:{dead.getsockname()[1]}/db:2")

    assert (verdict.refused, verdict.vulnerabilities_checked) == (True, False)
    assert "vulnerabilities were NOT checked: the registry of 127.0.0.1" in capsys.readouterr().err


def test_a_copy_in_the_cache_serves_while_the_registry_is_away(
    registry_program: str,
    manifest: Manifest,
    vulnerable: BuiltImage,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A database fetched by digest needs no registry again; one fetched by tag is used with a warning."""
    with serve(registry_program, tmp_path, "127.0.0.1") as other:
        pinned = other.push("own", trivy_db.bolt(trivy_db.advisories()), age=timedelta(hours=30))
        tagged = pinned.partition("@")[0] + ":2"
        assert gate(manifest, vulnerable, db_repository=pinned)[0].refused
    # As a day later, when Trivy holds its copy no longer for current.
    metadata = manifest.state / "trivy" / "db" / "metadata.json"
    state.write(metadata, state.read(metadata) | {"DownloadedAt": "2020-01-01T00:00:00Z"})
    assert gate(manifest, vulnerable, db_repository=pinned)[0].vulnerabilities_checked
    assert "warning" not in capsys.readouterr().err

    state.write(manifest.state / "trivy" / "origin.json", {"repository": tagged})
    assert gate(manifest, vulnerable, db_repository=tagged)[0].vulnerabilities_checked
    assert "can't be reached: the copy fetched earlier is used" in capsys.readouterr().err


def test_another_database_replaces_the_one_in_the_cache(
    manifest: Manifest, vulnerable: BuiltImage, registry: Registry
) -> None:
    """A new gates.db_repository takes effect at once, though Trivy holds its copy for current."""
    gate(manifest, vulnerable)
    advisories = trivy_db.advisories()
    advisories["pip::GHSA"] = {"jinja2": {"CVE-2020-28493": trivy_db.record({"VulnerableVersions": ["<2.11.3"]})}}
    other = registry.push("other", trivy_db.bolt(advisories))
    (verdict,) = gate(manifest, vulnerable, db_repository=other)

    assert not verdict.refused


def test_a_stale_database_breaks_the_gate(manifest: Manifest, clean: BuiltImage, registry: Registry) -> None:
    """A database older than gates.db_max_age_hours is a gate that could not run: date and setting are named."""
    stale = registry.push("stale", trivy_db.bolt(trivy_db.advisories()), age=timedelta(hours=49))

    with pytest.raises(ScanBroken, match=r"stale: made \d{4}-.* UTC, 49 h ago; gates.db_max_age_hours allows 48"):
        gate(manifest, clean, db_repository=stale)
    assert gate(manifest, clean, db_repository=stale, db_max_age_hours=50)[0].vulnerabilities_checked


def test_a_truncated_database_breaks_the_gate_until_it_is_whole(
    manifest: Manifest, clean: BuiltImage, registry: Registry
) -> None:
    """Trivy crashes on it; the cached copy is dropped, so that the mended one is fetched."""
    whole = trivy_db.bolt(trivy_db.advisories())
    tag = registry.push("cut", whole[: len(whole) // 2]).partition("@")[0] + ":2"

    with pytest.raises(ScanBroken, match="is broken: Trivy can't read it") as broken:
        gate(manifest, clean, db_repository=tag)
    assert broken.value.output
    assert "goroutine" not in broken.value.output
    registry.push("cut", whole)
    assert gate(manifest, clean, db_repository=tag)[0].vulnerabilities_checked


def test_a_download_that_was_cut_off_is_made_again(manifest: Manifest, clean: BuiltImage) -> None:
    """Killed while unpacking, Trivy leaves a database that looks whole; one without our mark is fetched again."""
    gate(manifest, clean)
    (manifest.state / "trivy" / "origin.json").unlink()
    half = manifest.state / "trivy" / "db" / "trivy.db"
    os.truncate(half, half.stat().st_size // 2)

    assert gate(manifest, clean)[0].vulnerabilities_checked


def test_an_empty_database_breaks_the_gate(manifest: Manifest, vulnerable: BuiltImage, registry: Registry) -> None:
    """Trivy finds nothing with it and exits 0; a package known bad shows it up."""
    empty = registry.push("empty", trivy_db.bolt({"data-source": {}, "vulnerability": {}}))

    with pytest.raises(ScanBroken, match="knows nothing about Python packages"):
        gate(manifest, vulnerable, db_repository=empty)


@pytest.mark.parametrize(
    ("bucket", "files", "unknown"),
    [
        ("debian 13", DEBIAN, "debian 13.1"),
        ("npm::GHSA", {"app/node_modules/a/package.json": '{"name": "a", "version": "1.0.0"}'}, "npm packages"),
    ],
)
def test_a_database_without_what_an_image_holds_breaks_the_gate(
    manifest: Manifest, build: Build, registry: Registry, bucket: str, files: dict[str, str], unknown: str
) -> None:
    """No advisories for the image's distribution or package type would look like no findings."""
    advisories = {name: content for name, content in trivy_db.advisories().items() if name != bucket}
    partial = registry.push("partial", trivy_db.bolt(advisories))
    image = build("partial", files)

    with pytest.raises(ScanBroken, match=f"knows nothing about {unknown}"):
        gate(manifest, image, db_repository=partial)
    assert gate(manifest, image)[0].vulnerabilities_checked


def test_a_repository_that_is_no_database_breaks_the_gate(
    manifest: Manifest, clean: BuiltImage, registry: Registry
) -> None:
    """A registry that answers and has no database there is a wrong setting, not an absent network."""
    for wrong in (f"{registry.address}/nothing:2", clean.reference):
        with pytest.raises(ScanBroken) as broken:
            gate(manifest, clean, db_repository=wrong)
        assert "gates.db_repository" in broken.value.hint


def test_vulnerabilities_alone_without_a_database_break_the_gate(manifest: Manifest, clean: BuiltImage) -> None:
    """When nothing at all can be scanned for, that is no pass."""
    with pytest.raises(ScanBroken, match="nothing can be scanned for"):
        gate(manifest, clean, db_repository="", scanners=("vuln",))


# Waivers -------------------------------------------------------------------------------------------------------------


def waive(manifest: Manifest, text: str) -> str:
    """Write a waiver file; its name for gates.ignore_file."""
    (manifest.root / ".trivyignore.yaml").write_text(text)
    return ".trivyignore.yaml"


def test_a_waiver_takes_a_finding_out_and_keeps_the_evidence(manifest: Manifest, vulnerable: BuiltImage) -> None:
    """A dated, reasoned waiver lets the image pass; the JSON report keeps the finding with the reason."""
    name = waive(
        manifest,
        "vulnerabilities:\n- id: CVE-2019-10906\n  expired_at: 2999-01-31\n  statement: only our own templates\n"
        "  purls: ['pkg:pypi/jinja2']\n",
    )
    (verdict,) = gate(manifest, vulnerable, ignore_file=name)

    scan.enforce([verdict])
    (kept,) = report(verdict, "json")["Results"][0]["ExperimentalModifiedFindings"]
    assert (kept["Finding"]["VulnerabilityID"], kept["Statement"]) == ("CVE-2019-10906", "only our own templates")
    assert (verdict.waived, verdict.findings["HIGH"], verdict.findings["MEDIUM"]) == (1, 0, 1)


def test_an_expired_waiver_counts_again_and_is_named(
    manifest: Manifest, vulnerable: BuiltImage, capsys: pytest.CaptureFixture[str]
) -> None:
    """From its date on a waiver does nothing but be mentioned."""
    today = datetime.now(UTC).date()
    name = waive(
        manifest,
        f"vulnerabilities:\n- id: CVE-2019-10906\n  expired_at: {today}\n  statement: only our own templates\n",
    )
    (verdict,) = gate(manifest, vulnerable, ignore_file=name)

    assert verdict.refused
    assert f"the waiver of CVE-2019-10906 expired on {today}: its findings count again" in capsys.readouterr().err


def test_a_waiver_that_matches_nothing_is_reported(
    manifest: Manifest, leaking: BuiltImage, capsys: pytest.CaptureFixture[str]
) -> None:
    """A used waiver is silent, one without a finding is named, one for what was not scanned for is let be."""
    name = waive(
        manifest,
        "secrets:\n- {id: github-pat, expired_at: 2999-01-01, statement: a sample, paths: [/app/settings.env]}\n"
        "- {id: aws-access-key-id, expired_at: 2999-01-01, statement: a sample}\n"
        "vulnerabilities:\n- {id: CVE-1999-0001, expired_at: 2999-01-01, statement: none}\n",
    )
    (verdict,) = gate(manifest, leaking, ignore_file=name, db_repository="")

    said = capsys.readouterr().err
    assert not verdict.refused
    assert "the waiver of aws-access-key-id matches nothing" in said
    assert "the waiver of github-pat" not in said
    assert "CVE-1999-0001" not in said


def test_a_waiver_without_reason_is_refused_before_the_scan(manifest: Manifest, clean: BuiltImage) -> None:
    """The manifest's waiver file is checked first: no report is written."""
    name = waive(manifest, "vulnerabilities:\n- id: CVE-2019-10906\n  expired_at: 2999-01-31\n")

    with pytest.raises(ManifestError, match=r"vulnerabilities\[0\]\.statement: missing"):
        gate(manifest, clean, ignore_file=name)
    assert not (manifest.state / "reports").exists()


# What could open the gate, and what breaks it ------------------------------------------------------------------------


def test_the_shell_cannot_open_the_gate(
    manifest: Manifest, vulnerable: BuiltImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trivy's own variables and files, left where the task is called, decide nothing."""
    for name, value in {"TRIVY_SKIP_DIRS": "/usr", "TRIVY_SEVERITY": "LOW", "TRIVY_IGNOREFILE": ".trivyignore"}.items():
        monkeypatch.setenv(name, value)
    (manifest.root / ".trivyignore").write_text("CVE-2019-10906\n")
    (manifest.root / "trivy.yaml").write_text("severity: [LOW]\nscan:\n  skip-dirs: [/usr]\n")
    monkeypatch.chdir(manifest.root)
    (verdict,) = gate(manifest, vulnerable)

    assert verdict.refused


def test_an_image_that_is_not_there_breaks_the_gate(manifest: Manifest, clean: BuiltImage) -> None:
    """Trivy's own failure is told apart from findings, and an old report does not stand in for the new one."""
    gate(manifest, clean)
    gone = replace(clean, digest="sha256:" + "a" * 64)

    with pytest.raises(ScanBroken) as broken:
        gate(manifest, gone)
    assert "manifest unknown" in broken.value.output
    assert list((manifest.state / "reports" / "scan").iterdir()) == []


def test_a_missing_trivy_is_named(
    manifest: Manifest, clean: BuiltImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither beside this Python nor on PATH: a missing tool, with the command that tells more."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingTool, match="trivy is not installed") as missing:
        gate(manifest, clean)
    assert missing.value.hint == "./inv doctor"


@pytest.mark.parametrize(("files", "repository", "code"), [(JINJA2, "", 0), (JINJA2, "full", 5), (JINJA2, "none", 8)])
def test_the_task_ends_with_the_code_of_its_kind(
    project: Project, build: Build, registry: Registry, database: str, files: dict[str, str], repository: str, code: int
) -> None:
    """`invoke scan` ends with 0, with 5 where findings refuse and with 8 where the gate could not run."""
    reference = {"": "", "full": database, "none": f"{registry.address}/none:2"}[repository]
    project.append(f'\n[gates]\ndb_repository = "{reference}"\n')
    state.write(project.root / ".uc" / "images.json", {"web": asdict(build("web", files)) | {"service": "web"}})
    ran = project.inv("scan")

    assert ran.code == code, ran.text
    assert ("NOT checked" in ran.text) is (repository == "")


def test_two_scans_at_once_take_turns(manifest: Manifest, clean: BuiltImage) -> None:
    """While another scan holds the cache for longer than Trivy waits, ours waits on instead of breaking."""
    gate(manifest, clean)
    held = manifest.state / "trivy" / "fanal" / "fanal.db"
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        release = threading.Timer(7, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        release.start()
        (verdict,) = gate(manifest, clean)
        release.join()

    assert not verdict.refused
