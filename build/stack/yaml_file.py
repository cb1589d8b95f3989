"""YAML for people: in the order of what it is made from, and without aliases."""

from __future__ import annotations

from typing import Any


def text(*documents: Any) -> str:
    """The documents as YAML, --- between them."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
            return True

    return str(yaml.dump_all(documents, Dumper=Plain, sort_keys=False, width=120))
