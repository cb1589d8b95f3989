"""The pure parts of the registry client: which addresses are this machine, and how long it is asked to wait."""

from __future__ import annotations

import email.utils
import time

import pytest

from build.registry.connections import is_each_machines_own, is_loopback
from build.registry.logins import scope as scope_of
from build.registry.retry import seconds as seconds_of


@pytest.mark.parametrize("address", ["localhost", "localhost:5000", "127.0.0.1", "127.0.0.1:5000", "127.200.3.4:1"])
def test_loopback_is_this_machine(address: str) -> None:
    """localhost and 127.0.0.0/8 are on this machine: plain HTTP is allowed there."""
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.evil.example:5000", "127.0.0.1.evil.example", "127.0.0.1.evil.example:5000", "localhost.evil.example:5000",
        "evil.example:5000", "128.0.0.1:5000", "1127.0.0.1:5000", "127.0.0:5000", "registry.example", "10.127.0.1", "",
    ],
)  # fmt: skip
def test_a_name_that_only_looks_so_is_elsewhere(address: str) -> None:
    """A name that begins like a loopback address may be anybody's: it is spoken to over TLS."""
    assert not is_loopback(address)


def test_a_registry_on_loopback_is_another_one_on_each_machine() -> None:
    """Also on ::1, where plain HTTP is not allowed: Docker speaks TLS to it."""
    assert all(map(is_each_machines_own, ("localhost:5000", "127.0.0.1", "[::1]", "[::1]:5000")))
    assert not any(map(is_each_machines_own, ("[::2]:5000", "[fe80::1]", "registry.example:5000", "10.127.0.1")))
    assert not is_loopback("[::1]:5000")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 7 ", 7.0),
        ("soon", None),
        ("-1", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    """Seconds are taken as they are, a date in the past asks for no wait, and anything else asks for nothing."""
    assert seconds_of(header) == seconds


def test_retry_after_a_date() -> None:
    """A date asks for the time until then."""
    asked = seconds_of(email.utils.formatdate(time.time() + 100, usegmt=True))

    assert asked is not None
    assert 90 < asked <= 101


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v2/", "/"),
        ("/v2/test/web/manifests/1.0", "test/web"),
        ("/v2/test/web/blobs/uploads/?mount=sha256:0&from=test/api", "test/web"),
        ("https://registry.example/v2/test/web/tags/list?n=1000", "test/web"),
    ],
)
def test_a_token_belongs_to_a_repository(path: str, scope: str) -> None:
    """Requests of one repository share a token, those of two don't."""
    assert scope_of(path) == scope
