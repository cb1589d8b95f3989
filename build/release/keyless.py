"""Releases that cosign signs without a key: after the claim, image by image; and what it verifies of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from build.parallel import at_once
from build.registry.client import RegistryClient
from build.release import attest, statements
from build.release.record import Record, of_record
from build.signing import attached
from build.signing.envelope import Statement
from build.signing.keyless import Keyless


@dataclass(frozen=True, slots=True)
class Witness:
    """What is asked about the signatures of a release: cosign, of the registry at `address`.

    `place` says where a repository of the record is there.
    """

    cosign: Keyless
    address: str
    place: Callable[[str], str]

    @property
    def name(self) -> str:
        """Who is trusted, for people."""
        return " of ".join(value for value in self.cosign.trust if not value.startswith("--"))

    def problem(self, repository: str, digest: str) -> str:
        """Return what `Keyless.problem` does."""
        return self.cosign.problem(self._image(repository, digest))

    def statement(self, repository: str, digest: str, predicate_type: str) -> Statement | str:
        """Return what `Keyless.statement` does."""
        return self.cosign.statement(self._image(repository, digest), predicate_type)

    def _image(self, repository: str, digest: str) -> str:
        return f"{self.address}/{self.place(repository)}@{digest}"


def attach(registry: RegistryClient, cosign: Keyless, record: Record, vex: Iterable[Mapping[str, Any]] = ()) -> int:
    """Let cosign sign and attest what belongs to a release; how many images, with those of platforms and the record.

    What is signed and attested already stays as it is. Raises ToolFailed if cosign can't, RegistryError.
    """
    attest.stage(registry, record.repository, of_record(record))  # cosign signs what it can fetch
    todo = list(_work(registry, record, vex))
    at_once(partial(_attach, registry, cosign, record.registry.partition("/")[0]), todo)
    return len(todo)


@dataclass(frozen=True, slots=True)
class _Work:
    repository: str
    digest: str
    statements: tuple[Statement, ...] = ()


def _work(registry: RegistryClient, record: Record, vex: Iterable[Mapping[str, Any]]) -> Iterator[_Work]:
    stated = {(record.repository, of_record(record).manifest.digest): tuple(statements.of_release(record, vex))}
    for service, image in record.services.items():
        described = attest.described(registry, record, service)
        stated[record.repository_of(service), image.digest] = tuple(statements.of_image(record, service, described))
    for subject in attest.subjects(registry, record, {}):
        yield _Work(*subject, stated.get(subject, ()))


def _attach(registry: RegistryClient, cosign: Keyless, address: str, work: _Work) -> None:
    image = f"{address}/{work.repository}@{work.digest}"

    def has(kind: str) -> bool:
        return registry.digest(work.repository, attached.tag(work.digest, kind), new=True) is not None

    if not has("sig") or cosign.problem(image):
        cosign.sign(image)
    attested = has("att")
    for statement in work.statements:
        if not attested or isinstance(cosign.statement(image, statement.predicate_type), str):
            cosign.attest(image, statement)
