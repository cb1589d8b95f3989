"""Reads large blobs piece by piece: memory stays flat, and a transfer that breaks off goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from build.errors import RegistryError
from build.registry import retry
from build.registry.body import PIECE
from build.registry.transport import Altered, Transport


def download(registry: Transport, repository: str, digest: str, write: Callable[[bytes], object]) -> int:
    """Pass the bytes of a blob to `write`, in order; return how many there are.

    Raises Altered if they are others than the digest says, which shows only after the last; RegistryError if the
    registry lacks the blob, refuses, or breaks off again and again.
    """
    import httpx

    path, hashed, received = f"/v2/{repository}/blobs/{digest}", hashlib.sha256(), 0
    for attempt in range(1, registry.attempts + 1):
        headers = {"Range": f"bytes={received}-"} if received else {}
        answer = registry.request("GET", path, ok=(200, 206), headers=headers, stream=True)
        skipped = received if answer.status_code == 200 else 0  # without ranges it sends all again (RFC 9110, 14.2)
        try:
            for piece in answer.iter_raw(PIECE):
                new, skipped = piece[skipped:], max(0, skipped - len(piece))
                hashed.update(new)
                received += len(new)
                write(new)
            break
        except httpx.RequestError as error:
            if attempt == registry.attempts:
                problem = f"breaks off after {received} bytes: {error or type(error).__name__}"
                raise registry.failure(problem, "GET", path) from None
        finally:
            answer.close()
        retry.wait(attempt)
    if (actual := f"sha256:{hashed.hexdigest()}") != digest:
        raise Altered.of(registry.failure(f"sends bytes of {actual} for {digest}", "GET", path))
    return received


def is_intact(registry: Transport, repository: str, digest: str) -> str:
    """Read a blob and return what is wrong with it, "" if nothing is. Raises RegistryError without an answer."""
    try:
        download(registry, repository, digest, lambda _piece: None)
    except RegistryError as error:
        if not isinstance(error, Altered) and not error.status:
            raise
        return str(error)
    return ""
