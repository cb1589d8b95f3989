"""Package URLs, by the rules of their specification."""

from __future__ import annotations

import pytest

from build.release.purl import parse


@pytest.mark.parametrize(
    ("text", "identity", "name", "version"),
    [
        ("pkg:npm/left-pad@1.3.0", "pkg:npm/left-pad", "left-pad", "1.3.0"),
        ("pkg:npm/%40angular/core@17.0.1", "pkg:npm/%40angular/core", "@angular/core", "17.0.1"),
        ("pkg:npm/@angular/core@17.0.1", "pkg:npm/%40angular/core", "@angular/core", "17.0.1"),
        ("pkg:npm/@angular/core", "pkg:npm/%40angular/core", "@angular/core", ""),
        ("pkg:maven/org.apache/commons@1?type=jar#src", "pkg:maven/org.apache/commons", "org.apache/commons", "1"),
        ("pkg:golang/a.b/c/d@v1.0.0%2Bincompatible", "pkg:golang/a.b/c/d", "a.b/c/d", "v1.0.0+incompatible"),
        ("pkg:golang/a.b//C/@v1#x@y?z", "pkg:golang/a.b/C", "a.b/C", "v1"),
        ("pkg:deb/debian/libstdc%2B%2B6@14.2?arch=amd64", "pkg:deb/debian/libstdc%2B%2B6", "debian/libstdc++6", "14.2"),
        ("pkg:deb/debian/login@4.16?arch=amd64&epoch=1", "pkg:deb/debian/login", "debian/login", "1:4.16"),
        ("pkg:pypi/Typing_Extensions@4.0", "pkg:pypi/typing-extensions", "typing-extensions", "4.0"),
        ("PKG:NPM//a", "pkg:npm/a", "a", ""),
        ("pkg:generic/a%20b@1%2F2", "pkg:generic/a%20b", "a b", "1/2"),
        ("pkg:github/A/b@feature/x", "pkg:github/a/b", "a/b", "feature/x"),
        ("pkg:generic/x:y@1:2", "pkg:generic/x:y", "x:y", "1:2"),
    ],
)
def test_a_purl_has_an_identity_and_a_version(text: str, identity: str, name: str, version: str) -> None:
    """Type, namespace and name are the package, decoded and as its type writes them; the rest says which and where."""
    purl = parse(text)

    assert purl is not None
    assert (purl.identity, purl.full_name, purl.version) == (identity, name, version)


@pytest.mark.parametrize(
    "text", ["", "left-pad", "pkg:", "pkg:npm", "pkg:npm/", "http://a/b@1", "pkg:n%70m/a", "pkg:1x/a"]
)
def test_what_is_no_purl_is_none(text: str) -> None:
    """A component whose package URL is missing or broken has no identity by it."""
    assert parse(text) is None
