"""Where manifests can't be deleted, and what frees the disk."""

from __future__ import annotations

import pytest

from build.config.load import load
from build.registry import deletion, policy
from tests.support.project import REPOSITORY


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ghcr.io", "gh api --method DELETE"),
        ("docker.io", "hub.docker.com"),
        ("registry-1.docker.io", "hub.docker.com"),
        ("registry.example:5000", "REGISTRY_STORAGE_DELETE_ENABLED=true"),
        ("127.0.0.1:5000", "./inv registry.up"),
    ],
)
def test_a_registry_that_deletes_nothing_has_its_own_way_out(address: str, expected: str) -> None:
    """The hosted ones have their own API, the embedded one is made anew, Distribution has a setting."""
    assert expected in deletion.instead(load(REPOSITORY, {"UC_REGISTRY_ADDRESS": address}, local=False))


def test_the_embedded_registry_collects_inside_its_container() -> None:
    """The command names the container, and never deletes what no tag names: an image's platforms have none."""
    manifest = load(REPOSITORY, {"UC_REGISTRY_ADDRESS": "127.0.0.1:5000"}, local=False)

    command = deletion.frees(manifest)

    assert f"docker exec {manifest.project.name}-registry" in command
    assert "untagged" not in command


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("1.0.0", True), ("1.7", True), ("107", True), (f"sha256-{'a' * 64}.sig", True), ("1.8.0", False),
        ("108", False), ("1.7.1", False), ("latest", False),
    ],
)  # fmt: skip
def test_what_a_probe_leaves_is_known_by_its_tag(tag: str, expected: bool) -> None:
    """A probe has three tags for each of eight slots, and what a registry makes of them."""
    assert policy.is_of_a_probe(tag) is expected
