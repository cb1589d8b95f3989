"""Whether a target runs what its journal says, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from build.deploy.target import DeployedSet, Observed


def report(lines: Sequence[str]) -> str:
    """The message that names what was changed by hand."""
    return "\n".join(["the target does not run what was deployed last:", *(f"  {line}" for line in lines)])


def differences(current: DeployedSet | None, observed: Mapping[str, Observed]) -> list[str]:
    """What was changed by hand since the set in force was deployed; without one, what is there all the same.

    A container that has stopped or is unhealthy is not among it: the next deploy brings it up again.
    """
    if current is None:
        return [f"{name}: no deploy made it" for name in observed]
    result = [f"{name}: was removed" for name in current.specs if name not in observed]
    for name in [*(name for name in current.specs if name in observed), *sorted(observed.keys() - current.specs)]:
        now, spec = observed[name], current.specs.get(name)
        if spec is None:
            result.append(f"{name}: is not in {current.release}")
        elif now.spec != spec.hash:
            what = f"runs {now.image}" if now.image != spec.image else "was made anew with other settings"
            result.append(f"{name}: {what}")
        else:
            result += [f"{name}: {part}" for part in now.drift]
    return result
