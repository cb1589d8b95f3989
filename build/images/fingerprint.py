"""The fingerprint of an image: a hash of everything that decides its content.

Included: the bake target (arguments, stage, names of secrets), the path, kind, exec bit and content of everything that
its contexts send, the digests of its bases, and the same of each shared stage. Not included: commit, time and version,
which only label an image, and the content of build secrets, which is not in BuildKit's cache key either.
Content counts as git's id of its raw bytes, which git has at hand for whatever is as the commit has it; without git the
same id is computed. Release records hold fingerprints: whatever changes their values makes every service be built again
once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from build import dockerignore
from build.git.blobs import FILE, LINK, PROGRAM, blob_id, odd_mode
from build.git.inputs import Inputs
from build.git.memory import recalled, remember
from build.images.bake_file import Target

_FORMAT = b"2"
_LABELS = {"labels", "annotations", "tags", "output"}
NOTHING_KNOWN = Inputs()
_READ_SEPARATELY = {"context", "contexts", "secret", "args"}


def of_target(
    targets: Mapping[str, Target], name: str, bases: Mapping[str, str], inputs: Inputs = NOTHING_KNOWN
) -> str:
    """The fingerprint of bake target `name`; `bases` maps the context of a base image to its digest.

    `inputs` is what git knows of the contexts: it makes this fast and changes no value.
    """
    digest = hashlib.sha256(_FORMAT)
    for part in _target(targets, name, bases, inputs):
        digest.update(part)
    return digest.hexdigest()


def _target(targets: Mapping[str, Target], name: str, bases: Mapping[str, str], inputs: Inputs) -> Iterator[bytes]:
    target = targets[name]
    settings: dict[str, object] = {key: value for key, value in target.items() if key not in _LABELS | _READ_SEPARATELY}
    settings["args"] = {key: value for key, value in target.get("args", {}).items() if key != "SOURCE_DATE_EPOCH"}
    settings["secret"] = [secret.partition(",")[0] for secret in target["secret"]]
    yield json.dumps(settings, sort_keys=True).encode()
    for context, value in sorted({"": target["context"], **target["contexts"]}.items()):
        yield f"\0{context}\0".encode()
        if value.startswith("target:"):
            yield from _target(targets, value.removeprefix("target:"), bases, inputs)
        elif value.startswith("docker-image:"):
            yield bases[value].encode()
        else:
            yield _folder(Path(value), target.get("dockerfile", "") if not context else "", inputs)


def _folder(folder: Path, dockerfile: str, inputs: Inputs) -> bytes:
    """The hash of everything that a context sends; that of a tree which is the commit's is remembered."""
    known = inputs.sent.get((str(folder), dockerfile))
    memory = inputs.home / "contents.json" if inputs.home else None
    if known and known.key and memory and (found := recalled(memory).get(known.key)):
        return bytes.fromhex(found)
    blobs = known.blobs() if known else {}
    digest = hashlib.sha256()
    for path in sorted(dockerignore.sent_from(folder, dockerfile)):
        # What was removed since it was listed counts as if it had never been there.
        with contextlib.suppress(FileNotFoundError):
            mode, content = blobs.get(path) or _entry(folder, path)
            digest.update(f"{mode} {content}\t{path}\0".encode("utf-8", "surrogateescape"))
    if known and known.key and memory:
        remember(memory, known.key, digest.hexdigest())
    return digest.digest()


def _entry(folder: Path, path: str) -> tuple[str, str]:
    """Mode and content of an entry as git has them; for what git can't have, the kind."""
    mode = (folder / path).lstat().st_mode
    if stat.S_ISREG(mode):
        kind = PROGRAM if mode & stat.S_IXUSR else FILE
        return f"{kind}{odd_mode(folder / path)}", blob_id(folder / path)
    return (LINK, blob_id(folder / path)) if stat.S_ISLNK(mode) else (f"{stat.S_IFMT(mode):o}", "")
