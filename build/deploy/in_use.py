"""The images that deploy targets name, for whoever wants to delete some."""

from __future__ import annotations

from build.config.manifest import Manifest
from build.deploy import kinds, ledger
from build.errors import BuildError
from build.release.names import service_repository


def images(manifest: Manifest) -> dict[tuple[str, str], str]:
    """Every image in the journal of a configured target, by repository and digest, and which target has it.

    The journal has all sets that a roll back can go back to. Raises the failure of a target that can't be read, in
    words that name it.
    """
    result: dict[tuple[str, str], str] = {}
    for name in manifest.deploy.targets:
        try:
            history = ledger.entries(kinds.named(manifest, name)[1].store)
        except BuildError as error:
            message = f"what the deploy target {name} needs is not known, so nothing is deleted: {error}"
            hint = f"{error.hint or f'./inv status --target {name}'}; if it is gone, remove [deploy.targets.{name}]"
            raise error.with_message(message, hint=hint) from error
        for entry in history:
            for deployed in (entry.before, entry.after):
                for spec in deployed.specs.values() if deployed else ():
                    place = service_repository(manifest, spec.service)
                    result[place, spec.image.rpartition("@")[2]] = f"the deploy target {name}"
    return result
