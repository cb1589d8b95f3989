"""Signatures that cosign makes without a key and attaches itself: by an identity that an issuer vouches for.

A certificate of a few minutes and an entry in a public log stand in place of the key (docs.sigstore.dev, "Keyless").
What is signed, attached and verified is left to cosign here, one image at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build.config.manifest import Manifest
from build.errors import ToolFailed
from build.process import raw_output
from build.signing import cosign, envelope
from build.signing.envelope import NoAttestation, Statement

_SECONDS = 120.0  # certificate, log and registry, one after the other
_REFUSALS = range(10, 20)  # cosign's exit codes for what is not signed as it should be (cmd/cosign/errors)
_SIGN_HINT = "a CI job with an identity signs: GitHub with id-token: write, GitLab with SIGSTORE_ID_TOKEN"
_VERIFY_HINT = "cosign needs its trusted root (cosign initialize), and the registry"


@dataclass(frozen=True, slots=True)
class Keyless:
    """What cosign signs with and what it trusts, as its own options; `registry` says how it gets there."""

    signing: tuple[str, ...]
    trust: tuple[str, ...]
    registry: tuple[str, ...] = ()
    seconds: float = _SECONDS

    def sign(self, image: str) -> None:
        """Sign REPOSITORY@DIGEST, and attach the signature. Raises MissingTool, ToolFailed."""
        self._write("sign", image)

    def attest(self, image: str, statement: Statement) -> None:
        """Attest a statement of REPOSITORY@DIGEST in place of an earlier one of its type. Raises as `sign` does."""
        predicate = json.dumps(statement.predicate, sort_keys=True, separators=(",", ":")).encode()
        options = ("--replace", "--type", statement.predicate_type, "--predicate", "-")
        self._write("attest", image, *options, content=predicate)

    def problem(self, image: str) -> str:
        """Say what is wrong with the signature of REPOSITORY@DIGEST, "" if it is signed by what is trusted.

        Raises ToolFailed if that can't be examined, MissingTool without cosign.
        """
        try:
            self._run("verify", *self.trust, image)
        except ToolFailed as error:
            words = _words(error)
            if error.returncode in _REFUSALS:
                return words
            raise ToolFailed(f"cosign can't verify {image}: {words}", hint=_VERIFY_HINT) from None
        return ""

    def statement(self, image: str, predicate_type: str) -> Statement | str:
        """Return what is attested of REPOSITORY@DIGEST by what is trusted, the last of its type; or why nothing is."""
        try:
            output = self._run("verify-attestation", *self.trust, "--type", predicate_type, image)
        except ToolFailed as error:
            return _words(error)
        try:
            stated = [envelope.stated_in(line) for line in output.splitlines() if line.startswith(b"{")]
        except NoAttestation as error:
            return str(error)
        digest = image.rpartition("@")[2]
        ours = [each for each in stated if each.predicate_type == predicate_type and digest in each.subjects.values()]
        return ours[-1] if ours else "cosign verified none of that type"

    def _write(self, task: str, image: str, *arguments: str, content: bytes = b"") -> None:
        try:
            self._run(task, "--yes", *self.signing, *arguments, image, content=content)
        except ToolFailed as error:
            raise ToolFailed(f"cosign {task} {image}: {_words(error)}", hint=_SIGN_HINT) from None

    def _run(self, task: str, *arguments: str, content: bytes = b"") -> bytes:
        return raw_output(
            [cosign.PROGRAM, task, *self.registry, *arguments],
            env={"COSIGN_PASSWORD": ""},
            stdin=content,
            timeout=self.seconds,
            hint=cosign.MISSING,
        )


def _words(error: ToolFailed, environment: Mapping[str, str] = os.environ) -> str:
    return cosign.shown(error.output, "", environment) or str(error)


def configured(manifest: Manifest) -> Keyless | None:
    """Return how cosign signs and verifies without a key; None where [signing] has no identity."""
    settings = manifest.signing
    if not settings.identity:
        return None
    authority = manifest.registry.ca_file
    return Keyless(
        signing=(),
        trust=("--certificate-identity", settings.identity, "--certificate-oidc-issuer", settings.issuer),
        registry=("--registry-cacert", str(manifest.root / Path(authority))) if authority else (),
    )
