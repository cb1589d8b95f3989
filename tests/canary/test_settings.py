"""The audit of secrets is given every kind of canary, and its search finds what it is to find."""

from __future__ import annotations

import base64
import gzip
import shutil

import pytest

from build.config.load import load
from build.signing import keys
from tests.canary import search, signing_key
from tests.canary.canaries import KINDS, value
from tests.canary.checkout import Checkout
from tests.canary.index import Index
from tests.canary.search import Found
from tests.support.own_engine import OwnEngine
from tests.support.project import REPOSITORY

# These are handed over outside the settings: in the address of the git remote.
IN_THE_REMOTE = {"git-user", "git-password"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The settings of an audit, without its engine, registry and index."""
    folder = tmp_path_factory.mktemp("canary")
    (folder / "private").mkdir()
    for name in ("docker", "docs", "Modules", "agents", "watched"):
        shutil.copytree(REPOSITORY / name, folder / "checkout" / name)
    shutil.copy(REPOSITORY / "versions.toml", folder / "checkout")
    (folder / "ca").touch()
    result = Checkout(folder / "checkout", folder, OwnEngine(folder))
    result.settings(Index("index.test:1", {}), folder / "ca", folder / "ca")
    return result


def test_every_kind_of_canary_is_handed_over(checkout: Checkout) -> None:
    """A kind that no setting and no file has would be searched for, and never be seen, whatever leaks."""
    given = b"".join(path.read_bytes() for path in checkout.folder.rglob("*") if path.is_file())

    assert [kind for kind in KINDS if value(kind).encode() not in given and kind not in IN_THE_REMOTE] == []


def test_the_release_of_the_audit_is_signed_by_a_key_whose_password_is_a_canary(checkout: Checkout) -> None:
    """The key of its settings signs, its public half verifies, and without a signature no release goes on."""
    manifest = load(checkout.root, {})
    signer = keys.signer(manifest)

    assert signer is not None
    assert keys.trusted(manifest)[0].verifies(b"text", signer.sign(b"text"))
    assert manifest.signing.required


def test_a_signing_key_is_recognised_in_every_form(checkout: Checkout) -> None:
    """Its file, a line of it, and its private number in whatever it is packed or encoded are seen; another key is not."""
    private = checkout.folder / "private"
    secrets = signing_key.secrets(private)
    search.also(secrets)
    forms = [(private / keys.KEY).read_bytes(), gzip.compress(secrets["line 3 of the key"])]
    forms += [secrets["the private number"], base64.b64encode(b"x" + secrets["the private number"] + b"y")]

    assert [form for form in forms if not _found(form)] == []
    (checkout.folder / "other").mkdir()
    signing_key.make(checkout.folder / "other")
    assert not _found((checkout.folder / "other" / keys.KEY).read_bytes())


def _found(data: bytes) -> list[str]:
    found = Found()
    found.read("here", data)
    return found.hits
