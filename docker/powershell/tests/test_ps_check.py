"""The static reader of the image build: what it refuses, what it fetches, what it reports."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from psserver import CHECK, SHIPPED, write_module
from pstrees import GOOD, write_rough_tree


@dataclass
class Verdict:
    """What a run of the reader said."""

    code: int
    out: str
    err: str
    report: Path

    @cached_property
    def body(self) -> dict[str, Any]:
        """The report."""
        return dict(json.loads(self.report.read_text()))


def check(pwsh: str, tree: Path, folder: Path, critical: str, *more: str) -> Verdict:
    """Run the reader as the Dockerfile does."""
    report = folder / "report.json"
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(CHECK), "-Modules", str(tree)]
    command += ["-Required", str(folder / "required"), "-Report", str(report), "-Critical", critical, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return Verdict(done.returncode, done.stdout, done.stderr, report)


def write_package(folder: Path, name: str, version: str, *, requires: str = "", extra: str | None = None) -> Path:
    """A module as a .nupkg, as galleries serve it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{version}.nupkg"
    with zipfile.ZipFile(path, "w") as packed:
        metadata = f"<metadata><id>{name}</id><version>{version}</version></metadata>"
        packed.writestr(f"{name}.nuspec", f"<package>{metadata}</package>")
        packed.writestr("_rels/.rels", "<x/>")
        packed.writestr("[Content_Types].xml", "<x/>")
        fields = f"ModuleVersion='{version}'; RootModule='{name}.psm1'; RequiredModules=@({requires})"
        packed.writestr(f"{name}.psd1", f"@{{ {fields} }}")
        packed.writestr(f"{name}.psm1", f"function Get-{name} {{ }}")
        if extra:
            packed.writestr(extra, "x")
    return path


def test_the_shipped_modules_can_be_there(pwsh: str, tmp_path: Path) -> None:
    """The default image's gate is open."""
    critical = "Unity-Claude-CompileLog,Unity-Claude-FileTree,Unity-Claude-RepositoryHealth"
    verdict = check(pwsh, SHIPPED, tmp_path, critical)
    assert (verdict.code, verdict.err) == (0, "")
    assert {row["verdict"] for row in verdict.body["modules"]} == {"ok"}


def test_critical_modules_that_cannot_be_there_end_the_build(pwsh: str, tmp_path: Path) -> None:
    """Each is reported with kind, reason and fix; the other modules of the tree are in the report with theirs."""
    tree = tmp_path / "Modules"
    write_rough_tree(tree)
    write_module(tree, "Chain", GOOD, manifest="RootModule = 'Chain.psm1'; RequiredModules = @('Broken')")
    verdict = check(pwsh, tree, tmp_path, "Good,Windows,Forms,Needy,Broken,Garbled,Rootless,lower,Other,Chain,Absent")
    assert verdict.code == 1
    told = dict(line.removeprefix("critical module ").split(": ", 1) for line in verdict.err.splitlines())
    assert {name: text.split(":")[0] for name, text in told.items()} == {
        "Windows": "windows-only-assembly",
        "Forms": "windows-only-assembly",
        "Needy": "missing-required-module",
        "Broken": "parse-error",
        "Garbled": "parse-error",
        "Rootless": "missing-root-module",
        "lower": "name-case",
        "Other": "name-mismatch",
        "Chain": "missing-required-module",
        "Absent": "not-in-tree",
    }
    assert all("To fix: " in text for text in told.values())
    rows = {row["name"]: row for row in verdict.body["modules"]}
    assert rows["Good"]["verdict"] == "ok"
    assert rows["Inner"]["findings"][0]["kind"] == "nested"
    assert verdict.body["missing"] == [{"name": "Nowhere", "reason": ""}]


def test_a_broken_module_that_is_not_critical_is_only_reported(pwsh: str, tmp_path: Path) -> None:
    """A rough tree still makes an image."""
    write_rough_tree(tmp_path / "Modules")
    verdict = check(pwsh, tmp_path / "Modules", tmp_path, "Good")
    assert verdict.code == 0
    assert "refused: Broken/Broken.psd1: parse-error: Broken.psm1, line 1" in verdict.out


def test_a_pattern_names_critical_modules(pwsh: str, tmp_path: Path) -> None:
    """Of those that it matches the broken one ends the build; one that matches nothing is no error, a plain name is."""
    for name, script in {"Good": GOOD, "Goodish": "function {", "Other": "function {"}.items():
        write_module(tmp_path / "Modules", name, script)
    verdict = check(pwsh, tmp_path / "Modules", tmp_path, "Goo*,None*,Absent")
    assert [line.split(": ")[0] for line in verdict.err.splitlines()] == [
        "critical module Absent",
        "critical module Goodish",
    ]
    assert verdict.body["critical"] == ["Absent", "Good", "Goodish"]


def test_the_tree_as_a_document(pwsh: str, tmp_path: Path) -> None:
    """-Json prints one document with every module, what is wrong, and what to do; the tree, which is read-only, stays as it is."""
    tree = tmp_path / "Modules"
    write_rough_tree(tree)
    write_module(tree, "Ending", "[Environment]::Exit(3)")
    write_module(tree, "Helped", GOOD, manifest="RootModule='Helped.psm1'; RequiredModules=@('Helper')")
    write_package(tmp_path / "nupkgs", "Helper", "1.0.0")
    before = sorted(tree.rglob("*"))
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(CHECK), "-Modules", str(tree), "-Json"]
    command += ["-Packages", str(tmp_path / "nupkgs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    document = json.loads(line)
    modules = {module["name"]: module for module in document["modules"]}
    assert len(modules) == len(document["modules"])
    kinds = {
        "Good": "",
        "Helped": "",
        "Broken": "parse error",
        "Needy": "missing required module",
        "Lib": "missing assembly",
        "Rootless": "missing root module",
        "Windows": "windows only",
        "Other": "not discoverable",
        "Loose": "not discoverable",
        "Inner": "not discoverable",
        "Ending": "ends process",
    }
    assert {name: modules[name]["kind"] for name in kinds} == kinds
    for module in modules.values():
        assert (module["state"] == "ready") == (module["kind"] == module["reason"] == module["fix"] == "")
    assert {modules[name]["code"] for name in ("Other", "Loose", "Inner")} == {"name-mismatch", "loose-file", "nested"}
    assert document["counts"] == {
        state: sum(module["state"] == state for module in modules.values()) for state in ("ready", "failed")
    }
    assert [row["path"] for row in document["other_versions"]] == ["Twice/1.0.0/Twice.psd1"]
    assert sorted(tree.rglob("*")) == before


def test_required_modules_come_from_packages(pwsh: str, tmp_path: Path) -> None:
    """Unpacked where the engine finds them, without the package's bookkeeping, named in the report with their hash."""
    needs = "RequiredModules = @(@{ModuleName='Helper';ModuleVersion='2.0'})"
    write_module(tmp_path / "Modules", "Needy", GOOD, manifest=f"RootModule = 'Needy.psm1'; {needs}")
    write_package(tmp_path / "nupkgs", "Helper", "2.1.0", requires="'Deeper'")
    write_package(tmp_path / "nupkgs", "Deeper", "0.1")
    verdict = check(pwsh, tmp_path / "Modules", tmp_path, "Needy", "-Packages", str(tmp_path / "nupkgs"))
    assert (verdict.code, verdict.err) == (0, "")
    assert [(one["name"], one["version"], len(one["sha256"])) for one in verdict.body["packages"]] == [
        ("Deeper", "0.1", 64),
        ("Helper", "2.1.0", 64),
    ]
    unpacked = {str(path.relative_to(tmp_path / "required")) for path in (tmp_path / "required").rglob("*.*1")}
    assert "Helper/2.1.0/Helper.psd1" in unpacked
    assert not list((tmp_path / "required").rglob("*.nuspec"))


def test_a_package_too_old_or_escaping_is_refused(pwsh: str, tmp_path: Path) -> None:
    """The version that is there is told; a package that would write outside its folder is no package."""
    needs = "RequiredModules = @(@{ModuleName='Helper';ModuleVersion='2.0'})"
    write_module(tmp_path / "Modules", "Needy", GOOD, manifest=f"RootModule = 'Needy.psm1'; {needs}")
    write_package(tmp_path / "old", "Helper", "1.9")
    verdict = check(pwsh, tmp_path / "Modules", tmp_path, "Needy", "-Packages", str(tmp_path / "old"))
    assert verdict.code == 1
    assert "Helper (at least 2.0) is there as 1.9 only" in verdict.err
    write_package(tmp_path / "evil", "Helper", "2.0", extra="../../escaped.psm1")
    verdict = check(pwsh, tmp_path / "Modules", tmp_path, "Needy", "-Packages", str(tmp_path / "evil"))
    assert verdict.code == 2
    assert "outside the module's folder" in verdict.err
    assert not list(tmp_path.rglob("escaped.psm1"))


@dataclass
class Repository:
    """A module repository on loopback: paths it serves, requests it saw."""

    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0


@contextmanager
def serving(repository: Repository) -> Iterator[None]:
    """Serve it while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repository.seen.append((self.path, self.headers.get("Authorization", "")))
            body = repository.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    repository.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("style", ["flat", "v2"])
def test_a_configured_repository_fills_the_gap(pwsh: str, tmp_path: Path, style: str) -> None:
    """Of both styles, with credentials that are sent and never printed; what it hasn't got is named."""
    write_module(tmp_path / "Modules", "Needy", GOOD, manifest="RootModule='Needy.psm1'; RequiredModules=@('Helper')")
    write_module(tmp_path / "Modules", "Poor", GOOD, manifest="RootModule='Poor.psm1'; RequiredModules=@('Absent')")
    package = write_package(tmp_path / "made", "Helper", "1.10.0").read_bytes()
    repository = Repository()
    if style == "flat":
        repository.files["/feed/helper/index.json"] = b'{"versions":["1.9.0","1.10.0","2.0.0-rc"]}'
        repository.files["/feed/helper/1.10.0/helper.1.10.0.nupkg"] = package
    else:
        repository.files["/feed/package/Helper"] = package
    with serving(repository):
        secret = tmp_path / "secret"
        secret.write_text(f"http://user:p%40ss@127.0.0.1:{repository.port}/feed\n")
        arguments = ("-RepositoryFile", str(secret))
        verdict = check(pwsh, tmp_path / "Modules", tmp_path, "Needy,Poor", *arguments)
    assert [one["name"] for one in verdict.body["packages"]] == ["Helper"], verdict
    assert verdict.code == 1
    assert "critical module Poor: missing-required-module: the required module Absent is not there" in verdict.err
    assert "(the module repository answered 404" in verdict.err
    assert "Needy" not in verdict.err
    assert {credentials for _, credentials in repository.seen} == {"Basic " + base64.b64encode(b"user:p@ss").decode()}
    for text in (verdict.out, verdict.err, verdict.report.read_text()):
        assert "p%40ss" not in text
        assert "p@ss" not in text
        assert str(repository.port) not in text


def test_a_repository_that_does_not_answer_is_said_so(pwsh: str, tmp_path: Path) -> None:
    """The gap is reported with the repository's failure, without its address."""
    write_module(tmp_path / "Modules", "Needy", GOOD, manifest="RootModule='Needy.psm1'; RequiredModules=@('Helper')")
    secret = tmp_path / "secret"
    secret.write_text("http://127.0.0.1:9/feed")
    verdict = check(pwsh, tmp_path / "Modules", tmp_path, "Needy", "-RepositoryFile", str(secret))
    assert verdict.code == 1
    assert "the module repository did not answer" in verdict.err
    assert "127.0.0.1" not in verdict.err
