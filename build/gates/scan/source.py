"""Where the vulnerability database comes from: which repository answers, and what it has under its tag now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from build.config.manifest import Gates, Manifest, RegistrySettings
from build.errors import BuildError
from build.parallel import within
from build.registry.client import RegistryClient

# Trivy's own defaults, in its order; Trivy itself does not try the second when the first can't be reached.
PUBLIC = ("mirror.gcr.io/aquasec/trivy-db:2", "ghcr.io/aquasecurity/trivy-db:2")
_DEFAULT, _NONE = "default", ("none", "")
_TAG = "2"
_SECONDS = 5.0  # for all repositories together: behind a firewall that drops packets nothing ever answers
_silent: dict[str, Answer] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a repository answers: the digest of its database, or the problem.

    `silent`: nobody answered in time. `reference` is what Trivy is given.
    """

    repository: str
    digest: str = ""
    problem: str = ""
    silent: bool = False

    @property
    def reference(self) -> str:
        """The database by its digest if that is known."""
        if not self.digest or "@" in self.repository:
            return self.repository
        return f"{without_tag(self.repository)}@{self.digest}"


def repositories(gates: Gates) -> tuple[str, ...]:
    """The repositories to ask, in order; none if the setting says so."""
    if gates.db_repository == _DEFAULT:
        return PUBLIC
    return () if gates.db_repository in _NONE else (gates.db_repository,)


def is_public(gates: Gates) -> bool:
    """Whether nobody has named a repository: what the public ones answer is then no failure of a setting."""
    return gates.db_repository == _DEFAULT


def ask(manifest: Manifest) -> list[Answer]:
    """What each repository answers, all asked at once; one that is silent is not asked again in this process."""
    asked = [name for name in repositories(manifest.gates) if name not in _silent]
    answers = within(_SECONDS, [partial(_answer, manifest, name) for name in asked])
    given = {answer.repository: answer for answer in answers if answer}
    for name in asked:
        if name not in given or given[name].silent:
            _silent[name] = Answer(repository=name, problem=f"no answer within {_SECONDS:.0f} s", silent=True)
    return [_silent.get(name) or given[name] for name in repositories(manifest.gates)]


def _answer(manifest: Manifest, repository: str) -> Answer:
    import httpx

    address, _, rest = repository.partition("/")
    own = address == manifest.registry.address
    settings = manifest.registry if own else RegistrySettings(address=address, namespace="db", embedded=False)
    path, tag = without_tag(rest), repository.removeprefix(without_tag(repository)).lstrip(":@")
    try:
        with RegistryClient(replace(manifest, registry=settings), attempts=1, read_timeout=_SECONDS) as registry:
            digest = registry.digest(path, tag or _TAG)
    except (BuildError, httpx.InvalidURL) as error:
        # What the client has made an error of its own is still the context of that.
        silent = isinstance(error.__context__, httpx.TimeoutException)
        return Answer(repository=repository, problem=str(error), silent=silent)
    return Answer(repository=repository, digest=digest or "", problem="" if digest else "it has no such database")


def without_tag(repository: str) -> str:
    """The repository of a reference, without tag and digest."""
    name = repository.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def problems(answers: Sequence[Answer]) -> str:
    """Why there is no database, in words."""
    return "; ".join(f"{answer.repository}: {answer.problem}" for answer in answers)
