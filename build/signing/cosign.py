"""Signs with the program cosign, for keys that only it reaches: in a KMS, in a cluster, in a key file of its own.

Cosign signs the very bytes that the toolkit would sign itself (`cosign sign-blob`), so that a release is the same
whatever signed it: nothing but its signatures differs, and those differ each time.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from build.config.manifest import Manifest
from build.config.signing import place
from build.diagnosis import Diagnosis
from build.errors import BuildError, ManifestError, MissingTool, SecretError, ToolFailed
from build.process import raw_output, run
from build.signing import keys
from build.signing.keys import PublicKey

PROGRAM = "cosign"
_DOCTOR_SECONDS = 10.0
SECONDS = 60.0  # a KMS answers in less than one; a program of a provider may log in first
_INSTALL = "https://docs.sigstore.dev/cosign/system_config/installation/ (apt-get install cosign on Debian 13)"
MISSING = f'{_INSTALL}; or [signing] signer = "builtin", with a key of ./inv keys.init'
# Cosign 3 writes another form and asks a public service for its settings, unless it is forbidden.
WHERE_KNOWN = ("--new-bundle-format=false", "--use-signing-config=false")
_NO_LOG = "--tlog-upload=false"  # since cosign 2.0
_PROOF = b"a signature before a release: whether this machine may use the key"
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSPHRASE|CREDENTIAL|(?:^|_)PIN$|ACCESS_KEY")
_SHORTEST = 6  # characters of a secret: what is shorter is in other words, too
_LEAD = re.compile(r"^(?:Error|error during command execution): ")


@dataclass(frozen=True, slots=True)
class CosignSigner:
    """A key as cosign names it, and the key of [signing] that has it (`setting`). The password never shows itself."""

    reference: str
    setting: str
    options: tuple[str, ...] = ()
    password: str = field(default="", repr=False)
    seconds: float = SECONDS

    @property
    def export(self) -> str:
        """The command that prints the public half."""
        return f"{PROGRAM} public-key --key {self.reference}"

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs; cosign is asked once for each key.

        Raises ManifestError for one of another kind than EC P-256, otherwise as `sign` does.
        """
        return _public(self)

    def sign(self, content: bytes) -> bytes:
        """Return a signature of the content, in DER: another one each time.

        Raises MissingTool without a cosign that knows the provider, SecretError for a wrong password, ToolFailed if
        cosign or the provider refuses, does not answer, or returns what the public half does not verify.
        """
        output = _ask(self, "sign-blob", "--yes", *self.options, "--key", self.reference, "-", content=content)
        try:
            signature = base64.b64decode(output.strip(), validate=True)
        except binascii.Error:
            signature = b""
        if not self.public.verifies(content, signature):
            message = f"{self.setting}: what cosign returned is not a signature by the public half of {self.reference}"
            raise ToolFailed(message, hint=f"{self.export}   must print the key that signs, and of one version")
        return signature


def _ask(signer: CosignSigner, *arguments: str, content: bytes = b"") -> bytes:
    try:
        return raw_output(
            [PROGRAM, *arguments],
            env={"COSIGN_PASSWORD": signer.password},
            stdin=content,
            timeout=signer.seconds,
            hint=MISSING,
        )
    except ToolFailed as error:
        raise _explained(signer, error) from None


@functools.cache
def _public(signer: CosignSigner) -> PublicKey:
    content = _ask(signer, "public-key", "--key", signer.reference)
    if public := keys.public_in(content, signer.setting):
        return public
    message = f"{signer.setting}: {signer.reference} is not an EC P-256 key"
    raise ManifestError(message, hint="make one in the KMS: ECC_NIST_P256, EC_SIGN_P256_SHA256 or ecdsa-p256 there")


def _explained(signer: CosignSigner, error: ToolFailed) -> BuildError:
    """The failure in words that say which key, with cosign's own; none of them is a secret."""
    words = shown(error.output, signer.password, os.environ)
    if "decryption failed" in words:
        message = f"{signer.setting}: {signer.reference} can't be read with the password in signing.password_file"
        return SecretError(message, hint="it must be the password that cosign generate-key-pair asked for")
    if "unrecognized scheme" in words:
        provider = signer.reference.partition("://")[0]
        hint = f"the one at {_INSTALL.split(maxsplit=1)[0]} has more of them than a distribution's"
        return MissingTool(f"{signer.setting}: this cosign does not know the provider {provider}://", hint=hint)
    reason = words or str(error)
    message = f"{signer.setting}: cosign can't sign with {signer.reference}: {reason}"
    return ToolFailed(message, hint=f"{signer.export}   must work on this machine", returncode=error.returncode)


def shown(output: str, password: str, environment: Mapping[str, str]) -> str:
    """What cosign wrote, each thing once, without any secret that it was given."""
    secrets = {password, *(value for name, value in environment.items() if _SECRET_NAME.search(name))}
    for secret in sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True):
        output = output.replace(secret, "***")
    return "; ".join(dict.fromkeys(_LEAD.sub("", line).strip() for line in output.splitlines() if line.strip()))


def signing_options() -> tuple[str, ...]:
    """The options by which this cosign signs with a key and sends nothing to a public log.

    What it can do is read from its help: a distribution's cosign may not know its own version.
    Raises MissingTool if it is not installed or too old.
    """
    help_text = run([PROGRAM, "sign-blob", "--help"], timeout=10, hint=MISSING).stdout
    if _NO_LOG.partition("=")[0] not in help_text:
        message = "cosign is too old: it can't sign without a public transparency log, as 2.0 and later can"
        raise MissingTool(message, hint=MISSING)
    return (_NO_LOG, *(option for option in WHERE_KNOWN if option.partition("=")[0] in help_text))


def signer(manifest: Manifest, *, seconds: float = SECONDS) -> CosignSigner | None:
    """Return what signs with the key of [signing], None if there is none; a signature has proven that it does.

    Raises as `CosignSigner.sign` does, and SecretError if a file is missing, open to others or not a key of cosign.
    """
    settings = manifest.signing
    if not (settings.key or settings.key_file):
        return None
    own = CosignSigner(settings.key, "signing.key", signing_options(), seconds=seconds)
    if settings.key_file:
        path = place(manifest.root, settings.key_file)
        if not keys.is_of_cosign(keys.private(path, "signing.key_file")):
            message = f"signing.key_file: {path} is not a key of cosign"
            hint = 'cosign generate-key-pair makes one; signer = "builtin" reads those of ./inv keys.init'
            raise SecretError(message, hint=hint)
        password = keys.private(place(manifest.root, settings.password_file), "signing.password_file").strip()
        if b"\0" in password:
            raise SecretError("signing.password_file: a password has no byte 0", hint="write it as a line of text")
        own = CosignSigner(str(path), "signing.key_file", own.options, password.decode("utf-8", "replace"), seconds)
    own.sign(_PROOF)
    return own


def diagnosis(manifest: Manifest) -> Diagnosis | None:
    """What the doctor says of cosign: whether it signs with the key of [signing]; None where it is not asked to."""
    if manifest.signing.signer != PROGRAM:
        return None
    try:
        if manifest.signing.identity:
            signing_options()
            return Diagnosis("ok", f"signs without a key; trusted is {manifest.signing.identity}")
        own = signer(manifest, seconds=_DOCTOR_SECONDS)
    except BuildError as error:
        return Diagnosis("warn", f"{error}; a release from here would be refused", error.hint)
    described = f"signs with {own.reference}: {own.public.fingerprint}" if own else "no [signing] key on this machine"
    return Diagnosis("ok", described)
