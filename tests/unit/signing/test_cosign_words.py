"""What cosign writes, as it is shown: each thing once, and no secret."""

from __future__ import annotations

from build.signing import cosign


def test_what_cosign_writes_is_shown_once_and_without_secrets() -> None:
    """The password, and what the environment has under the name of a secret, is masked; other words stay."""
    output = "Error: no access: vault-token-1 and a-password\nerror during command execution: no access: vault-token-1 "
    environment = {"VAULT_TOKEN": "vault-token-1", "AWS_REGION": "access", "SHORT_TOKEN": "no"}

    assert cosign.shown(f"{output}and a-password\n", "a-password", environment) == "no access: *** and ***"
