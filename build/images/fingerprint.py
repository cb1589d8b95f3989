"""The fingerprint of an image: a hash of everything that decides its content.

Included: the bake target (arguments, stage, names of secrets), the path, kind, exec bit and content of everything that
its contexts send, the digests of its bases, and the same of each shared stage. Not included: commit, time and version,
which only label an image, and the content of build secrets, which is not in BuildKit's cache key either.
Equal fingerprints are equal images, byte by byte, but for what says which commit it was: the labels revision, version
and created, and the dates in the configuration. `nox -s reproducible` checks it.
Content counts as git's id of its raw bytes, which git has at hand for whatever is as the commit has it; without git the
same id is computed. Release records hold fingerprints: whatever changes their values makes every service be built again
once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from build.images.bake_file import Target
from build.images.contents import Reader

_FORMAT = b"2"
_LABELS = {"labels", "annotations", "tags", "output"}
_READ_SEPARATELY = {"context", "contexts", "secret", "args"}


def of_target(targets: Mapping[str, Target], name: str, bases: Mapping[str, str], reader: Reader) -> str:
    """The fingerprint of bake target `name`; `bases` maps the context of a base image to its digest.

    `reader` reads the contexts, those that several targets share once.
    """
    digest = hashlib.sha256(_FORMAT)
    for part in _target(targets, name, bases, reader):
        digest.update(part)
    return digest.hexdigest()


def _target(targets: Mapping[str, Target], name: str, bases: Mapping[str, str], reader: Reader) -> Iterator[bytes]:
    target = targets[name]
    settings: dict[str, object] = {key: value for key, value in target.items() if key not in _LABELS | _READ_SEPARATELY}
    settings["args"] = {key: value for key, value in target.get("args", {}).items() if key != "SOURCE_DATE_EPOCH"}
    settings["secret"] = [secret.partition(",")[0] for secret in target["secret"]]
    yield json.dumps(settings, sort_keys=True).encode()
    for context, value in sorted({"": target["context"], **target["contexts"]}.items()):
        yield f"\0{context}\0".encode()
        if value.startswith("target:"):
            yield from _target(targets, value.removeprefix("target:"), bases, reader)
        elif value.startswith("docker-image:"):
            yield bases[value].encode()
        else:
            yield reader.contents(Path(value), target.get("dockerfile", "") if not context else "").digest
