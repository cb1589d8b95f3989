"""Everything that would stop a release later, checked before anything is built; nothing here leaves a trace."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping

from build import console
from build.config.manifest import Manifest, ReleaseSettings
from build.engine import client as engine
from build.engine import disk
from build.errors import ReleaseRefused, RepositoryError
from build.gates.protocol import Gate
from build.gates.scan import trivy
from build.git import status as git_status
from build.git.remote import branches_with, remote_branches
from build.git.versions import History
from build.images.bases import Resolved
from build.images.data_formats import DataFormat
from build.parallel import at_once, together
from build.registry import policy
from build.registry.client import RegistryClient
from build.registry.oci import EMPTY, digest_of
from build.registry.policy import Policy
from build.release import candidates, claim
from build.release.ci import in_ci
from build.release.names import release_repository, service_repository
from build.release.plan import Plan
from build.release.world import World
from build.signing import cosign
from build.signing import signer as signing
from build.signing.signer import Signer


def authority(settings: ReleaseSettings, environment: Mapping[str, str], *, local: bool) -> str:
    """Who makes the release: a CI system, or "local". Raises ReleaseRefused on a machine that may not release."""
    system = in_ci(environment)
    if not system and settings.authority == "ci" and not local:
        message = "[release] authority is 'ci': a CI job makes the releases, not this machine"
        raise ReleaseRefused(
            message, hint="push and let the pipeline release, or ./inv release --local (it is recorded)"
        )
    return system or "local"


def check_tree(history: History, settings: ReleaseSettings) -> None:
    """Raise RepositoryError for a dirty tree, ReleaseRefused on a branch that may not release."""
    if history.dirty:
        message = f"this is not the commit: {git_status.described(history.changed, history.differences)}"
        raise RepositoryError(message, hint=git_status.remedies(history.changed, history.differences))
    name = history.branch or ""
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in settings.branches):
        head = f"branch {name}" if name else "a detached HEAD"
        message = f"{head} does not release: [release] branches are {', '.join(settings.branches)}"
        raise ReleaseRefused(message, hint=f"git switch {settings.branches[0] if settings.branches else 'main'}")


def check_branch(world: World, remote: str) -> None:
    """Raise RepositoryError unless the remote has HEAD on the branch that is released, or gets it with the tag."""
    if not remote or world.pushed_branch:
        return
    manifest, history = world.manifest, world.history
    patterns, name = manifest.release.branches, history.branch
    branches = [name] if name else list(remote_branches(manifest.root, remote))
    allowed = [one for one in branches if any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns)]
    if not branches_with(manifest.root, remote, history.commit, allowed):
        where = f"branch {name}" if name else f"a branch that releases ({', '.join(patterns)})"
        message = (
            f"{remote} does not have {history.commit[:7]} on {where}, and a release is of a commit that all can fetch"
        )
        hint = f"git push {remote} HEAD:{name or 'main'}; or [release] push_branch, which pushes it with the tag"
        raise RepositoryError(message, hint=hint)


def tools(manifest: Manifest) -> dict[str, str]:
    """The versions of engine, buildx, Compose and Trivy. Raises MissingTool for one that is missing or too old."""
    installed, scanner = together(
        [lambda: engine.require(manifest.tools), lambda: {"trivy": trivy.version(trivy.Scanner.of(manifest))}]
    )
    return installed | scanner


def warn(world: World, remote: str) -> None:
    """Print why a release would be refused as the tree and the branch are now."""
    try:
        check_tree(world.history, world.manifest.release)
        check_branch(world, remote)
    except (RepositoryError, ReleaseRefused) as error:
        console.warn(f"a release would be refused: {error} ({error.hint})")


def check_unchanged(
    manifest: Manifest, history: History, planned: Mapping[str, str], current: Mapping[str, str]
) -> None:
    """Raise ReleaseRefused if commit, tree or sources changed since the plan: then what was built is unknown.

    `planned` and `current` are fingerprints by service.
    """
    tree = git_status.read(manifest)
    moved = [f"HEAD is {tree.commit[:7]} and was {history.commit[:7]}"] if tree.commit != history.commit else []
    moved += [git_status.described(tree.changed, tree.differences)] if tree.dirty else []
    moved += [f"the sources of {name}" for name, fingerprint in current.items() if fingerprint != planned[name]]
    if moved:
        message = f"this changed while the images were built: {'; '.join(moved)}"
        raise ReleaseRefused(message, hint="commit or undo it, leave the checkout alone, then ./inv release again")


def check_bases(manifest: Manifest, plan: Plan, resolved: Mapping[str, Resolved]) -> None:
    """Raise ReleaseRefused if an image would be built on a stand-in base that is not allowed by name."""
    services = [planned.service for line in plan.lines for planned in line.services]
    used = {key for name in services for key in manifest.services[name].bases}
    refused = sorted(
        key for key in used if resolved[key].source == "stand-in" and key not in manifest.release.stand_ins
    )
    if refused:
        names = ", ".join(f"{key} ({resolved[key].reference})" for key in refused)
        message = f"a release on stand-in bases must be allowed by name: {names}"
        hint = f"[bases] mirror or archives; or UC_RELEASE_STAND_INS={','.join(refused)} (it is recorded)"
        raise ReleaseRefused(message, hint=hint)


def check_room(manifest: Manifest) -> None:
    """Raise ReleaseRefused if the disk could not hold the images of a release."""
    space = disk.free([manifest.workspace.root])
    if disk.state(space) == "fail":
        message = f"{disk.describe(space)}, and a release may need {disk.FAIL_GIGABYTES}"
        raise ReleaseRefused(message, hint=disk.HINT)


def check_rights(manifest: Manifest, registry: RegistryClient, plan: Plan, remote: str, branch: str) -> Policy:
    """Prove that we may push, to the registry and (tags and `branch`, if any) to the remote; the registry's policy.

    A repository whose first write would come after the claim is proven. One that gets a new image is written to before
    it; if no earlier release has, it is proven too, so that no build is wasted for want of a project.
    Raises RegistryError, RepositoryError.
    """
    at_once(lambda proof: _prove(registry, *proof), _proofs(manifest, plan))
    claim.prove_push(manifest.root, remote, [line.tag for line in plan.lines], branch=branch)
    rules = policy.policy(manifest, registry)
    if rules.floats != "client":
        console.note(f"floats are not ours to move in this registry ({rules.floats})")
    return rules


def _proofs(manifest: Manifest, plan: Plan) -> list[tuple[str, str]]:
    """The repositories to prove; with the digest of an image that they have, or ""."""
    proofs = []
    for line in plan.lines:
        written = {tag.repository for tag in line.tags if tag.before}
        for planned in line.services:
            repository = service_repository(manifest, planned.service)
            if planned.action == "reuse" or repository not in written:
                proofs.append((repository, planned.digest))
        proofs.append((release_repository(manifest, line.line), ""))
    return proofs


def _prove(registry: RegistryClient, repository: str, digest: str) -> None:
    # What a release repository has from every record is the blob that artifacts have for a configuration.
    blob = candidates.config(registry, repository, digest) if digest else digest_of(EMPTY)
    registry.prove_push(repository, blob=blob)


def check_formats(manifest: Manifest, data: Mapping[str, Mapping[str, DataFormat]]) -> None:
    """Raise ReleaseRefused if an image states the format of a volume that its service does not have."""
    volumes = {service: set(settings.volumes) for service, settings in manifest.services.items()}
    for service, container in manifest.containers().values():
        volumes[service] |= set(container.volumes)
    for service, formats in data.items():
        if unknown := sorted(formats.keys() - volumes[service]):
            message = f"{service}: its image states the data format of {', '.join(unknown)}, and has no such volume"
            raise ReleaseRefused(message, hint=f"services.{service}.volumes: {', '.join(volumes[service]) or 'none'}")


def signer(manifest: Manifest, rules: Policy) -> Signer | None:
    """The signing key, None if none is configured: nothing is signed then, or cosign signs without a key.

    Raises ReleaseRefused where a signature is required and there is no key, otherwise as the signer does.
    """
    if manifest.signing.identity:
        cosign.signing_options()
        if not rules.fallback_tags:
            message = "this registry takes no tags for signatures, and those without a key have no other place"
            raise ReleaseRefused(message, hint="[signing] key or key_file; see docs/pages/verifying.md")
        return None
    own = signing.signer(manifest)
    if own is None and manifest.signing.required:
        message = "[signing] required is true, and this machine has no key to sign a release with"
        raise ReleaseRefused(
            message,
            hint='[signing] key_file and password_file; ./inv keys.init makes them. Or signer = "cosign" and key',
        )
    return own


def check_gates(manifest: Manifest, gates: Iterable[Gate]) -> None:
    """Require everything that the gates depend on. Raises the BuildError of the first dependency that is missing."""
    for gate in gates:
        for dependency in gate.dependencies:
            dependency.require(manifest)
