"""The walk over an image's manifests, wherever they are."""

from __future__ import annotations

from typing import Any

from build.registry.tree import parts, walk

CONFIG, LAYER = {"digest": "config"}, {"digest": "layer"}
MANIFESTS: dict[str, Any] = {
    "top": {"manifests": [{"digest": "index"}, {"digest": "lost"}, {"digest": "second"}]},
    "index": {"manifests": [{"digest": "first"}]},
    "first": {"config": CONFIG, "layers": [LAYER]},
    "second": {"config": CONFIG, "layers": []},
}


def _walk(top: str) -> list[str]:
    known = MANIFESTS.keys()
    return list(walk(top, MANIFESTS.__getitem__, lambda child: child["digest"] if child["digest"] in known else None))


def test_children_come_before_what_names_them_however_deep() -> None:
    """An index may name an index; whoever puts them in this order is never refused for a child that is not there."""
    assert _walk("top") == ["first", "index", "second", "top"]


def test_an_image_without_an_index_is_itself_alone() -> None:
    """A manifest that names no others is the whole walk."""
    assert _walk("first") == ["first"]


def test_the_parts_are_those_of_a_manifest() -> None:
    """A manifest names its configuration and its layers; an index has none of its own."""
    assert [part["digest"] for part in parts(MANIFESTS["first"])] == ["config", "layer"]
    assert parts(MANIFESTS["top"]) == []
