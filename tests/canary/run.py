"""`nox -s canary`: real builds, a release and a running stack with a canary in every secret; none may turn up anywhere.

usage: run.py [SERVICE…]
An engine of its own builds the services from an index, an npm registry and a module repository that want credentials,
pushes them to a registry that wants a login, exports its cache, releases from a git remote with a password, and starts
the stack. Then every place is searched: all that the engine has on its disk, the registry's storage, the workspace, the
git objects that were pushed, what was printed and logged, and the environment and command line of every process
meanwhile. Before that, a search has to find each positive control; a place of which nothing was read is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from build import console
from build.config.load import load
from build.config.select import chosen
from build.images import bases
from tests.canary import canaries, controls
from tests.canary.canaries import value
from tests.canary.checkout import Checkout
from tests.canary.index import NAME, basic, serving
from tests.canary.processes import Sampler
from tests.canary.search import Found
from tests.support.certificates import Authority, certify
from tests.support.engine import take_registry_program
from tests.support.names import naming
from tests.support.own_engine import OwnEngine, own_engine, startable
from tests.support.secured import serve

ROOT = Path(__file__).parents[2]
_SHOWN = 10


def main() -> int:
    """Check the controls, do the work, search; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("services", nargs="*")
    options = parser.parse_args()
    services = chosen(load(ROOT, os.environ), options.services)
    if problem := startable():
        console.error(f"the audit has an engine of its own: {problem}")
        return 1
    with tempfile.TemporaryDirectory(prefix="uc-canary-") as name:
        folder = Path(name)
        if missed := [*controls.missed(), *controls.missed_processes(folder)]:
            console.error(f"the search does not find its controls: {', '.join(missed)}")
            return 1
        console.note("the search finds its positive controls")
        with ExitStack() as stack:
            engine = stack.enter_context(own_engine(builds=True))
            return _audit(stack, folder, engine, services)


def _audit(stack: ExitStack, folder: Path, engine: OwnEngine, services: Sequence[str]) -> int:
    stack.enter_context(naming(engine.machine))
    of_index, of_registry = (
        certify(_new(folder / "index"), NAME),
        certify(_new(folder / "certificates"), engine.machine),
    )
    password = basic(value("index-user"), value("index-password"))
    wanted = {
        "simple": password, "npm": f"Bearer {value('npm-token')}",
        "modules": basic(value("modules-user"), value("modules-password")),
    }  # fmt: skip
    index = stack.enter_context(serving(engine.machine, of_index.certificate, of_index.key, wanted))
    with _registry(folder, engine, of_registry):
        checkout = Checkout.make(ROOT, folder, engine, index, (of_index.ca, of_registry.ca))
        with Sampler() as sampler:
            problems = checkout.work(services)
        checkout.lose_remote()  # git gives the URL to its own programs on their command lines
    unused = [part for part in wanted if not index.served[part] and part in _parts(services)]
    problems += [f"the secret of /{part} was never used" for part in unused]
    return _report(_places(folder, engine, checkout) | {"processes": sampler.found}, problems)


def _parts(services: Sequence[str]) -> set[str]:
    """The parts of the index that these services are built from."""
    needs = {"docs-server": {"simple", "npm"}, "powershell-modules": {"modules"}}
    return {part for service in services for part in needs.get(service, {"simple"})}


@contextlib.contextmanager
def _registry(folder: Path, engine: OwnEngine, certified: Authority) -> Iterator[None]:
    """A registry with TLS and a login where the engine expects one."""
    home = _new(folder / "registry")
    manifest = load(ROOT, os.environ)
    resolved, missing = bases.resolve(manifest, ["registry"])
    assert not missing, missing
    (home / "htpasswd").write_text(canaries.HTPASSWD)
    with serve(
        take_registry_program(resolved["registry"].image, home), home, engine.registry,
        http={"tls": {"certificate": str(certified.certificate), "key": str(certified.key)}},
        auth={"htpasswd": {"realm": "registry", "path": str(home / "htpasswd")}},
    ):  # fmt: skip
        yield


def _places(folder: Path, engine: OwnEngine, checkout: Checkout) -> dict[str, Found]:
    """What a search of each place read and found. The secrets' own files, and docker's store of logins, are none."""
    own = checkout.root / ".uc"
    return {
        "the engine's disk: layers, snapshots, content, BuildKit's databases": Found().folder(engine.folder / "data"),
        "the engine's log": _files([engine.folder / "log"]),
        "the registry: images, attestations, cache export, record": Found().folder(folder / "registry" / "storage"),
        "the registry's log": _files([folder / "registry" / "registry.log"]),
        "the workspace .uc": Found().folder(own, without=(own / "secrets",)),
        "exports with provenance of mode max": Found().folder(folder / "exports"),
        "what was printed, inspected, logged": Found().folder(folder / "outputs"),
        "temporary files": Found().folder(folder / "tmp"),
        "git objects of the remote": checkout.objects(),
    }


def _files(paths: Sequence[Path]) -> Found:
    found = Found()
    for path in paths:
        found.read(str(path), path.read_bytes())
    return found


def _report(places: dict[str, Found], problems: Sequence[str]) -> int:
    for place, found in places.items():
        verdict = "✗" if found.hits or not found.files else "✓"
        console.text(f"{verdict} {place}: {found.files} read, {found.size / 1e6:.0f} MB, {len(found.hits)} canaries")
        for hit in found.hits[:_SHOWN]:
            console.text(f"    {hit}")
    for problem in problems:
        console.text(f"✗ {problem}")
    report = ROOT / ".uc" / "reports" / "canary.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({name: {"files": f.files, "hits": f.hits} for name, f in places.items()}, indent=2))
    return int(bool(problems) or any(found.hits or not found.files for found in places.values()))


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
