"""The smoke checks of the services, asked of a target instead of this checkout's stack."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from build import console
from build.config.manifest import Manifest
from build.deploy import sets
from build.deploy.target import DeployedSet, Target
from build.errors import SmokeFailed
from build.gates.smoke import checks
from build.stack import secrets


def run(manifest: Manifest, target: Target, current: DeployedSet) -> int:
    """Ask every container of the set, and return how many checks passed.

    A container that this machine can't reach, and a check whose secret is not on it, are left out with a warning.
    Raises SmokeFailed naming every check that failed.
    """
    addresses = {name: url for name, spec in current.specs.items() if (url := target.address(name, spec))}
    if unreachable := [name for name in current.specs if name not in addresses]:
        console.warn(f"not smoke-tested, because this machine has no way to them: {', '.join(unreachable)}")
    folder = sets.secrets(manifest, target.settings)
    services = {spec.service for name, spec in current.specs.items() if name in addresses}
    if unknown := sorted(services - manifest.services.keys()):
        console.warn(f"not smoke-tested, because this checkout's manifest does not have them: {', '.join(unknown)}")
    services &= manifest.services.keys()
    needed = {check.secret for name in services for check in manifest.services[name].smoke if check.secret}
    if lacking := sorted(name for name in needed if not (folder / name).is_file()):
        console.warn(f"checks left out, because their secrets are not on this machine: {', '.join(lacking)}")
    asked = {
        name: replace(service, smoke=tuple(check for check in service.smoke if check.secret not in lacking))
        for name, service in manifest.services.items()
    }
    results = checks.run(
        replace(manifest, services=asked), sorted(services), addresses, partial(secrets.value_in, folder)
    )
    results = [result for result in results if result.container in addresses]
    for result in results:
        if result.note:
            console.note(f"{result.container}: {result.check}: {result.note}")
    if failed := [f"{result.container}: {result.check}: {result.reason}" for result in results if not result.passed]:
        raise SmokeFailed("\n".join([f"{len(failed)} of {len(results)} smoke checks failed:", *failed]))
    return sum(result.applies for result in results)
