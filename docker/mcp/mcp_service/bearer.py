"""The bearer token of /mcp: whatever the secret file mcp_token holds at the moment of the request."""

from __future__ import annotations

from urllib.parse import urlsplit

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl
from ucservice.secretfile import Secret


class FileTokens:
    """A token verifier over one secret file; no value there refuses every token."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret

    async def verify_token(self, token: str) -> AccessToken | None:
        """The caller, or None when the token is none of the file's lines."""
        return AccessToken(token=token, client_id="bearer", scopes=[]) if self.secret.matches(token) else None


def auth_settings(public_url: str) -> AuthSettings:
    """What a refusal advertises: this resource. The token binds no audience, so none is checked."""
    parts = urlsplit(public_url)
    return AuthSettings(
        issuer_url=AnyHttpUrl(f"{parts.scheme}://{parts.netloc}"),
        resource_server_url=AnyHttpUrl(public_url),
        validate_token_resource=False,
    )
