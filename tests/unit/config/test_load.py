"""versions.toml, its overrides, and what is said about a wrong one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from build.errors import ManifestError
from tests.support.project import PYTHON, REPOSITORY, Project


def _replace(project: Project, old: str, new: str) -> None:
    path = project.root / "versions.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


BAD: dict[str, tuple[Callable[[Project], object], str]] = {
    "malformed": (lambda p: p.append("[oops\n"), "versions.toml: not valid TOML"),
    "unknown section": (lambda p: p.append("\n[gate]\n"), "gate: unknown key (did you mean 'gates'?)"),
    "unknown key": (
        lambda p: _replace(p, "address =", "adress ="), "registry.adress: unknown key (did you mean 'address'?)"
    ),
    "wrong type": (lambda p: _replace(p, "port = 18980", 'port = "18980"'), "services.web.port: expected an integer"),
    "bool is no integer": (lambda p: _replace(p, "port = 18980", "port = true"), "services.web.port: expected an integer"),
    "missing key": (lambda p: _replace(p, 'title = "Test"\n', ""), "project.title: missing"),
    "port out of range": (lambda p: _replace(p, "port = 18980", "port = 70000"), "services.web.port: expected a port between 1 and 65535, found 70000"),
    "two services on one port": (lambda p: p.service("api", 18980), "services.api.published: 18980 is already the port of web"),
    "missing Dockerfile": (
        lambda p: (p.root / "docker/web/Dockerfile").unlink(), "services.web.folder: docker/web/Dockerfile is missing"
    ),
    "unknown base": (lambda p: p.append('bases = ["pyton"]\n'), "services.web.bases: unknown name 'pyton' (did you mean 'python'?)"),
    "unknown secret": (lambda p: p.append('secrets = ["alfa"]\n'), "(did you mean 'alpha'?)"),
    "unknown build secret": (lambda p: p.append('build_secrets = ["ca"]\n'), "services.web.build_secrets: unknown name 'ca'"),
    "unknown context": (lambda p: p.append('contexts = { docs = "source:dosc" }\n'), "services.web.contexts.docs"),
    "unknown network": (lambda p: p.append('networks = ["outside"]\n'), "services.web.networks[0]: expected one of edge, internal"),
    "unknown dependency": (lambda p: p.append('depends_on = ["webb"]\n'), "(did you mean 'web'?)"),
    "source folder missing": (lambda p: _replace(p, 'watched = ""', 'watched = "nowhere"'), "sources.watched: no such folder: nowhere"),
    "bad name": (lambda p: p.service("Web_", 18981), "expected lower-case letters and digits, with single"),
    "reserved name": (lambda p: p.service("release", 18981), "services.release: the name is reserved for release records"),
    "written folder": (lambda p: _replace(p, "[project]", 'folder = "elsewhere"\n[project]'), "folder: unknown key"),
    "bad digest": (
        lambda p: _replace(p, f'reference = "{PYTHON}"', f'reference = "{PYTHON}"\ndigest = "sha256:12"'),
        "bases.images.python.digest: expected sha256: and 64 hex digits",
    ),
    "table expected": (lambda p: _replace(p, "[sources]\nwatched", "sources = 1\n[other]\nwatched"), ""),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_manifest_is_refused_by_path(project: Project, case: str) -> None:
    """Each kind of mistake is a ManifestError that starts with the file and the path of the mistake."""
    spoil, expected = BAD[case]
    spoil(project)

    with pytest.raises(ManifestError) as caught:
        project.load()

    assert expected in str(caught.value)
    assert "versions.toml" in str(caught.value)


def test_every_problem_is_named_at_once(project: Project) -> None:
    """A manifest with two mistakes needs one run to learn both."""
    project.append('bases = ["nope"]\nsecrets = ["nada"]\n')

    with pytest.raises(ManifestError, match=r"(?s)nope.*nada"):
        project.load()


def test_the_local_file_overrides_key_by_key(project: Project) -> None:
    """versions.local.toml changes what it names and leaves the rest."""
    project.write("versions.local.toml", '[registry]\naddress = "127.0.0.9:5009"\n')

    registry = project.load().registry

    assert (registry.address, registry.namespace) == ("127.0.0.9:5009", "test")


def test_the_environment_overrides_both(project: Project) -> None:
    """UC_<SECTION>_<KEY> wins over the local file."""
    project.write("versions.local.toml", '[registry]\naddress = "127.0.0.9:5009"\n')

    assert project.load(UC_REGISTRY_ADDRESS="127.0.0.8:5008").registry.address == "127.0.0.8:5008"


def test_a_setting_with_a_default_can_be_overridden(project: Project) -> None:
    """A key that the file does not spell out is as overridable as one that it does."""
    assert project.load(UC_GATES_SEVERITY="LOW,HIGH").gates.severity == ("LOW", "HIGH")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("UC_REGISTRY_ADRESS", "x", "did you mean 'address'"),
        ("UC_REGISTRY_EMBEDDED", "perhaps", "expected true or false"),
        ("UC_GATES_DB_MAX_AGE_HOURS", "soon", "expected an integer"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(project: Project, name: str, value: str, expected: str) -> None:
    """A misspelt or wrong UC_ variable is an error, never silently ignored."""
    with pytest.raises(ManifestError, match=expected) as caught:
        project.load(**{name: value})

    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ADDRESS", "https://registry.example", "registry.address: expected HOST or HOST:PORT"),
        ("ADDRESS", "registry.example/team", "registry.address: expected HOST or HOST:PORT"),
        ("ADDRESS", "registry.example:port", "registry.address: expected HOST or HOST:PORT"),
        ("ADDRESS", "registry.example:", "registry.address: expected HOST or HOST:PORT"),
        ("ADDRESS", "", "registry.address: expected HOST or HOST:PORT"),
        (
            "ADDRESS",
            "registry.example:70000",
            "registry.address: expected HOST or HOST:PORT, with a port between 1 and 65535",
        ),
        ("NAMESPACE", "My Team", "registry.namespace: expected lower-case letters"),
        ("NAMESPACE", "team/", "registry.namespace: expected lower-case letters"),
        ("NAMESPACE", "", "registry.namespace: expected lower-case letters"),
        ("CA_FILE", "missing.pem", "registry.ca_file: no such file: missing.pem"),
    ],
)
def test_a_registry_that_can_t_be_is_refused_when_it_is_read(
    project: Project, name: str, value: str, expected: str
) -> None:
    """An address, a namespace or a CA that no request could use is told by its path, before there is a request."""
    with pytest.raises(ManifestError) as caught:
        project.load(**{f"UC_REGISTRY_{name}": value})

    assert expected in str(caught.value)


@pytest.mark.parametrize("address", ["localhost:5000", "127.1:5000", "ghcr.io", "my-host.example:443", "[::1]:5000"])
@pytest.mark.parametrize("namespace", ["a", "owner/some--repo", "a.b/c_d/e__f"])
def test_a_registry_that_may_be_is_taken(project: Project, address: str, namespace: str) -> None:
    """Whatever an image's name may begin with is an address and a namespace."""
    registry = project.load(UC_REGISTRY_ADDRESS=address, UC_REGISTRY_NAMESPACE=namespace).registry

    assert (registry.address, registry.namespace) == (address, namespace)


def test_archive_folders_come_as_a_path_list(project: Project) -> None:
    """UC_BASE_ARCHIVES is a list of folders, like PATH."""
    assert project.load(UC_BASE_ARCHIVES="a:b").bases.archives == ("a", "b")


def test_the_shipped_manifest_is_valid() -> None:
    """The manifest of this repository loads, and has a service or a shared stage for each folder with a Dockerfile."""
    from build.config.load import load

    manifest = load(REPOSITORY, {}, local=False)
    folders = {path.parent.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docker").glob("*/Dockerfile")}
    services, stages = manifest.services.values(), manifest.stages.values()

    assert {*(service.folder for service in services), *(stage.folder for stage in stages)} == folders


def test_containers_inherit_from_their_service(project: Project) -> None:
    """A container's own secrets and environment are added to those of its service."""
    project.append(
        'secrets = ["alpha"]\nenvironment = { A = "1" }\n[services.web.containers.web-b]\npublished = 18990\n'
        'environment = { B = "2" }\n'
    )

    ((service, container),) = project.load().containers().values()

    assert (service, container.secrets, container.environment) == ("web", ("alpha",), {"A": "1", "B": "2"})
