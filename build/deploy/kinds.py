"""The kinds of target: KINDS is the list, and the only place that a new one is added to."""

from __future__ import annotations

from collections.abc import Callable

from build.config.deploy import TargetSettings
from build.config.manifest import Manifest
from build.deploy.target import Target
from build.deploy.targets.compose.target import ComposeTarget
from build.deploy.targets.kubernetes.target import KubernetesTarget
from build.deploy.targets.swarm.target import SwarmTarget
from build.errors import ManifestError
from build.typed import suggest

Kind = Callable[[Manifest, str, TargetSettings], Target]


KINDS: dict[str, Kind] = {"compose": ComposeTarget, "swarm": SwarmTarget, "kubernetes": KubernetesTarget}


def named(manifest: Manifest, name: str = "") -> tuple[str, Target]:
    """The target of this name, or without one the one that is meant; with its name.

    Raises ManifestError if there is none, or several and none is named.
    """
    targets = manifest.deploy.targets
    if not targets:
        hint = 'add to versions.toml or versions.local.toml:  [deploy.targets.production]  kind = "compose"'
        raise ManifestError("no deploy target is configured", hint=hint)
    chosen = name or manifest.deploy.target or (next(iter(targets)) if len(targets) == 1 else "")
    if not chosen:
        raise ManifestError("several deploy targets are configured", hint=f"--target {' | '.join(targets)}")
    if chosen not in targets:
        message = f"unknown deploy target '{chosen}'{suggest(chosen, targets)}"
        raise ManifestError(message, hint=f"one of: {', '.join(targets)}")
    settings = targets[chosen]
    return chosen, KINDS[settings.kind](manifest, chosen, settings)
