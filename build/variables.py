"""The environment variables of other tools, each with what is decided about it: the one table that all calls obey.

A variable is honoured if a person sets it to say where something is (an engine, an index, a proxy, a certificate, a
login) or how much is shown. It is neutralised, that is removed for every program that is started, if it would change
what is built, where it goes, or what is stopped. A variable that is in no rule is no business of ours and stays.

docs/pages/environment.md has the same table. Standard library only: it is used before anything is installed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Decision = Literal["honoured", "neutralised"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is decided about variables of a tool; a name that ends in `*` stands for all that begin so."""

    tool: str
    decision: Decision
    names: tuple[str, ...]
    why: str


def _rule(tool: str, decision: Decision, names: str, why: str) -> Rule:
    return Rule(tool, decision, tuple(names.split()), why)


# The first rule with a matching name decides.
RULES: tuple[Rule, ...] = (
    _rule(
        "Docker", "honoured",
        "DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_CERT_PATH DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_API_VERSION "
        "DOCKER_AUTH_CONFIG DOCKER_CUSTOM_HEADERS DOCKER_RAMDISK",
        "which engine, and how to log in to it",
    ),
    _rule(
        "Docker", "neutralised", "DOCKER_*",
        "a default platform builds other images, content trust signs and refuses, the rest changes output",
    ),
    _rule("Compose", "honoured", "COMPOSE_PARALLEL_LIMIT", "how many calls of the engine at once"),
    _rule(
        "Compose", "neutralised", "COMPOSE_*",
        "another project, other files, profiles or orphans: a start or stop would hit other containers",
    ),
    _rule("buildx", "honoured", "BUILDX_CONFIG", "the folder of its own state"),
    _rule(
        "buildx", "neutralised", "BUILDX_*",
        "another builder keeps the images out of the engine; the rest changes labels, attestations and metadata",
    ),
    _rule("BuildKit", "neutralised", "BUILDKIT_*", "another daemon, or a log that can't be read"),
    _rule("BuildKit", "neutralised", "SOURCE_DATE_EPOCH EXPERIMENTAL_BUILDKIT_*", "the time comes from the commit"),
    _rule(
        "git", "honoured",
        "GIT_SSH GIT_SSH_COMMAND GIT_SSH_VARIANT GIT_SSL_* GIT_PROXY_* GIT_HTTP_* GIT_ASKPASS GIT_ALLOW_PROTOCOL "
        "GIT_PROTOCOL_FROM_USER",
        "how to reach a remote",
    ),
    _rule("git", "honoured", "GIT_AUTHOR_* GIT_COMMITTER_*", "who makes a tag"),
    _rule(
        "git", "honoured",
        "GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_CONFIG_COUNT GIT_CONFIG_KEY_* GIT_CONFIG_VALUE_*",
        "where its configuration is; what of it would change a result is set on each call",
    ),
    _rule(
        "git", "honoured", "GIT_CEILING_DIRECTORIES GIT_DISCOVERY_ACROSS_FILESYSTEM GIT_EXEC_PATH",
        "where repositories and its own programs may be",
    ),
    _rule("git", "honoured", "GIT_TRACE* GIT_CURL_VERBOSE GIT_REDACT_COOKIES", "what it tells of its work"),
    _rule(
        "git", "neutralised", "GIT_*",
        "another repository, index, object store, history or pathspec, as a hook of git sets them, and other output",
    ),
    _rule(
        "pip", "honoured",
        "PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_CERT PIP_CLIENT_CERT PIP_PROXY "
        "PIP_RETRIES PIP_TIMEOUT PIP_DEFAULT_TIMEOUT PIP_NO_INDEX PIP_NO_BINARY PIP_ONLY_BINARY PIP_CACHE_DIR "
        "PIP_NO_CACHE_DIR PIP_KEYRING_PROVIDER PIP_USE_DEPRECATED PIP_USE_FEATURE",
        "where packages come from, and in which form; their hashes are locked",
    ),
    _rule("pip", "honoured", "PIP_CONFIG_FILE", "where its configuration is; only those settings are read from it"),
    _rule("pip", "neutralised", "PIP_*", "packages would be installed elsewhere, in part, or refused"),
    _rule(
        "uv", "honoured",
        "UV_INDEX* UV_DEFAULT_INDEX UV_EXTRA_INDEX* UV_FIND_LINKS UV_INSECURE_HOST UV_HTTP_* UV_KEYRING_PROVIDER "
        "UV_SYSTEM_CERTS UV_NATIVE_TLS UV_OFFLINE UV_CACHE_DIR UV_NO_CACHE UV_CONCURRENT_* UV_LINK_MODE",
        "where packages come from; their hashes are locked",
    ),
    _rule("uv", "neutralised", "UV_*", "another Python, environment, target, resolution or configuration file"),
    _rule("Python", "neutralised", "VIRTUAL_ENV CONDA_PREFIX", "the environment is .venv, activated or not"),
    _rule(
        "Python", "honoured",
        "PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONUTF8 PYTHONIOENCODING PYTHONUNBUFFERED PYTHONFAULTHANDLER "
        "PYTHONDEVMODE PYTHONTRACEMALLOC PYTHONHASHSEED PYTHONMALLOC",
        "how it runs, never what",
    ),
    _rule(
        "Python", "neutralised",
        "PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTHONUSERBASE PYTHONSTARTUP PYTHONOPTIMIZE "
        "PYTHONINSPECT PYTHONWARNINGS PYTHONCASEOK PYTHONSAFEPATH PYTHONINTMAXSTRDIGITS",
        "other modules than the locked ones, or other behaviour of them",
    ),
    _rule("Python", "neutralised", "PYTHON*", "what a later Python adds"),
    _rule("Invoke", "honoured", "INVOKE_DEBUG", "what it tells of its work"),
    _rule("Invoke", "neutralised", "INVOKE_RUNTIME_CONFIG", "another file of tasks; those of the project are named"),
    _rule("Invoke", "neutralised", "INVOKE_*", "no task runs by its settings"),
    _rule("Nox", "neutralised", "NOX*", "other sessions, Pythons and environments than those that a task names"),
    _rule(
        "Trivy", "honoured", "TRIVY_USERNAME TRIVY_PASSWORD TRIVY_REGISTRY_TOKEN TRIVY_CACERT",
        "a login, and the CA of a registry",
    ),
    _rule("Trivy", "neutralised", "TRIVY_*", "each is a flag: one left in a shell would open the gate"),
    _rule("cosign", "honoured", "SIGSTORE_*", "a login for keyless signatures, and which services of it are trusted"),
    _rule(
        "cosign", "neutralised", "COSIGN_*",
        "another password, place or form of signatures; the password is in signing.password_file",
    ),
    _rule("kubectl", "honoured", "KUBECONFIG KUBECACHEDIR", "which clusters there are, and where its cache is"),
    _rule("kubectl", "neutralised", "KUBECTL_* KUBERC", "another program for differences, and flags that mean others"),
    _rule(
        "all", "honoured",
        "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy", "the way out",
    ),
    _rule(
        "all", "honoured",
        "SSL_CERT_FILE SSL_CERT_DIR SSL_CLIENT_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS",
        "which certificates are trusted",
    ),
    _rule(
        "all", "honoured", "TMPDIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_STATE_HOME XDG_RUNTIME_DIR",
        "where files may be",
    ),
    _rule(
        "all", "honoured", "LANG LC_* TZ",
        "characters and clock; what is read by the toolkit is printed in C.UTF-8 and as UTC",
    ),
    _rule("all", "neutralised", "LANGUAGE", "it translates messages even where the locale is C.UTF-8"),
    _rule(
        "all", "neutralised", "CDPATH ENV BASH_ENV GREP_OPTIONS POSIXLY_CORRECT",
        "scripts would run something first, or read their options in another way",
    ),
)  # fmt: skip


@functools.cache
def rule_of(name: str) -> Rule | None:
    """The rule that decides about a variable; None for one that no rule names."""
    return next((rule for rule in RULES if any(_fits(name, pattern) for pattern in rule.names)), None)


def _fits(name: str, pattern: str) -> bool:
    """Whether a pattern, in which only the last character may be `*`, is about a variable."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def is_neutralised(name: str) -> bool:
    """Whether a variable is removed for every program that is started."""
    rule = rule_of(name)
    return rule is not None and rule.decision == "neutralised"


def patterns(tool: str, decision: Decision) -> tuple[str, ...]:
    """The names of a tool's rules with that decision, in order."""
    return tuple(name for rule in RULES if (rule.tool, rule.decision) == (tool, decision) for name in rule.names)


def kept(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what is neutralised."""
    return {name: value for name, value in environment.items() if not is_neutralised(name)}


def sorted_by_decision(names: Iterable[str]) -> dict[Decision, list[str]]:
    """Those of the variables that a rule names, by decision, in alphabetical order."""
    result: dict[Decision, list[str]] = {"honoured": [], "neutralised": []}
    for name in sorted(names):
        if rule := rule_of(name):
            result[rule.decision].append(name)
    return result
