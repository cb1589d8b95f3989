"""Signed releases: what is signed and attached, by which key, and that anybody can check it with stock tools."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.release.queries import is_public_write, ok
from tests.support import database_writer
from tests.support.hub import Hub
from tests.support.policies import immutable, three_parts
from tests.support.proxy import Proxy
from tests.support.server import free_address
from tests.support.signing import Keys, cosign, make_keys
from tests.support.steps import begins
from tests.support.world import FAST, SERVICES, World

_POLICY = """\
predicateType: "https://slsa.dev/provenance/v1"
predicate: buildDefinition: externalParameters: version: "{version}"
"""

_VEX = json.dumps(
    {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.invalid/vex/1",
        "author": "Test",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2019-10906"},
                "products": [{"@id": "pkg:pypi/jinja2@2.10"}],
                "status": "not_affected",
                "justification": "vulnerable_code_not_in_execute_path",
            }
        ],
    }
)


@pytest.fixture
def keys(world: World, tmp_path: Path) -> Keys:
    """The signing key of a world."""
    return make_keys(world.clone, tmp_path / "keys")


def _digest(world: World, service: str, version: str = "0.1.0") -> str:
    return world.hub.digest(f"{world.namespace}/{service}", version)


def _attached(world: World) -> dict[str, str]:
    """What is attached in every repository: repository:tag → digest."""
    return {name: digest for name, digest in world.public().images.items() if ":sha256-" in name}


def test_everything_that_is_released_is_signed_before_it_has_its_version(world: World, keys: Keys) -> None:
    """The record, each image and its manifest for each platform are signed, and the signatures are there before X.Y.Z."""
    running = world.clone.start("release", *FAST, **keys.signing)
    assert running.when(begins("publish"), running.kill).wait().code == -9

    kinds = sorted(name.partition(":")[0] + name[-4:] for name in _attached(world))
    assert kinds == ["one.att", "one.sig", "one.sig", "release.att", "release.sig", "two.att", "two.sig", "two.sig"]
    assert not _digest(world, "one")
    assert not _digest(world, "release")


def test_a_machine_without_the_key_finishes_the_same_bytes(world: World, keys: Keys) -> None:
    """What was signed is carried with the claim: another clone, without the key, completes the release as it was."""
    running = world.clone.start("release", *FAST, **keys.signing)
    assert running.when(begins("attach"), running.kill).wait().code == -9
    assert _attached(world) == {}

    ok(world.another().inv("release", "--resume"))

    assert ok(world.clone.inv("verify", "0.1.0", "--json", **keys.verifying)).result["verified"] is True
    assert cosign_rc(world, keys, "one") == 0


def cosign_rc(world: World, keys: Keys, service: str, version: str = "0.1.0") -> int:
    """How cosign ends that verifies an image of a release, through a proxy on an address that it takes for its own."""
    with Proxy(free_address("127.0.0.1"), world.address) as proxy:
        image = f"{proxy.address}/{world.namespace}/{service}@{_digest(world, service, version)}"
        return cosign("verify", "--key", keys.public, image).returncode


def test_stock_tools_verify_a_release(world: World, keys: Keys, tmp_path: Path) -> None:
    """Debian's cosign verifies record, image and platform, and attestations against a policy; openssl a signature."""
    ok(world.clone.inv("release", "--skip-smoke", **keys.signing))
    policy = tmp_path / "policy.cue"

    with Proxy(free_address("127.0.0.1"), world.address) as proxy:
        place = f"{proxy.address}/{world.namespace}"
        platform = world.hub.manifest(f"{world.namespace}/one", "0.1.0")["manifests"][0]["digest"]
        for image in (
            f"release@{_digest(world, 'release')}",
            *(f"{name}@{_digest(world, name)}" for name in SERVICES),
            f"one@{platform}",
        ):
            ran = cosign("verify", "--key", keys.public, f"{place}/{image}")
            assert ran.returncode == 0, ran.stderr
        image = f"{place}/one@{_digest(world, 'one')}"
        for version, code in (("0.1.0", 0), ("0.2.0", 10)):
            policy.write_text(_POLICY.format(version=version))
            attested = (
                "verify-attestation",
                "--key",
                keys.public,
                "--type",
                "slsaprovenance1",
                "--policy",
                str(policy),
            )
            ran = cosign(*attested, image)
            assert (ran.returncode == 0) == (code == 0), ran.stderr
        ran = cosign("verify-attestation", "--key", keys.public, "--type", "cyclonedx", image)
        assert ran.returncode == 0, ran.stderr
        payload = json.loads(base64.b64decode(json.loads(ran.stdout)["payload"]))
        assert payload["predicate"] == ok(world.clone.inv("sbom", "0.1.0", "--service", "one", "--json")).result

    tag = f"sha256-{_digest(world, 'release').removeprefix('sha256:')}.sig"
    layer = world.hub.manifest(f"{world.namespace}/release", tag)["layers"][0]
    content = world.hub.blob(f"{world.namespace}/release", layer["digest"])
    (tmp_path / "payload").write_bytes(content or b"")
    (tmp_path / "signature").write_bytes(base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"]))
    verified = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", keys.public, "-signature", "signature", "payload"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.stdout == "Verified OK\n"


def test_what_the_scan_said_and_went_by_is_attested(world: World, keys: Keys) -> None:
    """A scan for vulnerabilities is attested as one, with its database; VEX documents that it went by are, too."""
    made = datetime.now(UTC).replace(microsecond=0)
    layer = database_writer.artifact(database_writer.bolt(database_writer.advisories()), made)
    database = database_writer.push(world.address, f"{world.namespace}/db", layer)
    world.clone.project.write("vex/one.openvex.json", _VEX)
    world.clone.share("feat: a statement")

    ok(world.clone.inv("release", "--skip-smoke", UC_GATES_DB_REPOSITORY=database, **keys.signing))

    with Proxy(free_address("127.0.0.1"), world.address) as proxy:
        place = f"{proxy.address}/{world.namespace}"
        stated = {}
        for name, kind in (("one", "vuln"), ("release", "vuln"), ("release", "openvex")):
            image = f"{place}/{name}@{_digest(world, name)}"
            ran = cosign("verify-attestation", "--key", keys.public, "--type", kind, image)
            assert ran.returncode == 0, ran.stderr
            stated[name, kind] = json.loads(base64.b64decode(json.loads(ran.stdout)["payload"]))["predicate"]
    assert stated["one", "vuln"]["scanner"]["db"]["uri"] == database
    assert set(stated["release", "vuln"]["scanner"]["result"]["findings"]) == set(SERVICES)
    assert stated["release", "openvex"] == json.loads(_VEX)
    assert ok(world.clone.inv("verify", "0.1.0", "--json", **keys.verifying)).result["verified"] is True


def test_an_image_of_two_releases_is_signed_once(faulty: World, proxy: Proxy, tmp_path: Path) -> None:
    """A release that reuses an image finds its signature and attestations there, and writes none of them again."""
    keys = make_keys(faulty.clone, tmp_path / "keys")
    ok(faulty.clone.release(**keys.signing))
    before = _attached(faulty)
    faulty.clone.commit("one")
    proxy.heal()

    ok(faulty.clone.release(**keys.signing))

    assert before.items() <= _attached(faulty).items()
    written = [str(seen) for seen in proxy.seen if is_public_write(str(seen)) and "sha256-" in str(seen)]
    assert written
    assert not [request for request in written if "/two/" in request]
    assert ok(faulty.clone.inv("verify", "0.1.1", "--json", **keys.verifying)).result["verified"] is True


def test_a_registry_that_refuses_the_names_has_releases_that_verify(
    faulty: World, proxy: Proxy, hub: Hub, tmp_path: Path
) -> None:
    """Where no such tag may be written, the release says so, and its git tag has what verifies it, as a bundle has."""
    proxy.rules = [three_parts(hub)]
    keys = make_keys(faulty.clone, tmp_path / "keys")

    ran = ok(faulty.clone.release(**keys.signing))

    assert "this registry takes no tags for signatures" in ran.text
    assert _attached(faulty) == {}
    assert ok(faulty.clone.inv("verify", "0.1.0", "--json", **keys.verifying)).result["verified"] is True
    bundle = str(tmp_path / "release.tar")
    ok(faulty.clone.inv("bundle.write", "0.1.0", "--out", bundle, **keys.signing))
    ok(faulty.clone.inv("bundle.verify", bundle, **keys.verifying))


def test_every_tag_is_put_once(faulty: World, proxy: Proxy, hub: Hub, tmp_path: Path) -> None:
    """Where every tag is immutable from its first put on, a signed release is completed, killed and resumed."""
    proxy.rules = [immutable(hub)]
    keys = make_keys(faulty.clone, tmp_path / "keys")
    ok(faulty.clone.release(**keys.signing))
    faulty.clone.commit("one")
    running = faulty.clone.start("release", *FAST, **keys.signing)
    assert running.when(begins("publish"), running.kill).wait().code == -9

    ok(faulty.another().inv("release", "--resume"))

    assert ok(faulty.clone.inv("verify", "0.1.1", "--json", **keys.verifying)).result["verified"] is True


def test_a_signature_of_somebody_else_is_not_added_to(world: World, keys: Keys, tmp_path: Path) -> None:
    """Where an image has a signature by none of the keys, the release is refused before it is claimed, and names it."""
    ok(world.clone.release())
    other = make_keys(world.clone, tmp_path / "other")
    world.clone.touch("feat: nothing in the images")
    ok(world.clone.release(**other.signing))
    world.clone.touch("feat: nothing in the images")
    before = world.public()

    ran = world.clone.release(**keys.signing)

    assert ran.code == 14, ran.text
    assert "none of the keys in [signing] made" in ran.text
    assert world.public() == before


def test_a_retired_key_verifies_its_own_releases_alone(world: World, keys: Keys, tmp_path: Path) -> None:
    """A release signed by a retired key verifies up to that key's last day; a later one does not."""
    ok(world.clone.release(**keys.signing))
    new = make_keys(world.clone, tmp_path / "new")
    world.clone.project.append(
        f'\n[signing]\npublic_key = "{new.public}"\n\n[signing.retired]\n"{keys.public}" = "{{day}}"\n'
    )
    file = world.clone.project.root / "versions.toml"
    text = file.read_text()
    today = datetime.now(UTC).date()

    def verified(day: str, version: str) -> tuple[int, str]:
        file.write_text(text.replace("{day}", day))
        ran = world.clone.inv("verify", version)
        return ran.code, ran.text

    assert verified(str(today + timedelta(days=1)), "0.1.0")[0] == 0
    code, output = verified(str(today - timedelta(days=1)), "0.1.0")
    assert code == 21
    assert "signs nothing after" in output

    world.clone.share("feat: a new key")
    ok(world.clone.release(**{name: value for name, value in new.signing.items() if "PUBLIC" not in name}))
    assert world.clone.inv("verify", "0.2.0", "--json").result["verified"] is True


def test_no_part_of_a_key_is_seen_anywhere(world: World, keys: Keys) -> None:
    """Password and private key are in no output, in no file of .uc/, in no tag and in nothing that the registry has."""
    ran = ok(world.clone.inv("release", *FAST, UC_VERBOSE="1", **keys.signing))

    seen = [ran.text.encode(), world.record_bytes("v0.1.0")]
    files = [path for path in (world.clone.project.root / ".uc").rglob("*") if path.is_file()]
    assert files
    seen += [path.read_bytes() for path in files]
    for name in (*SERVICES, "release"):
        repository = f"{world.namespace}/{name}"
        for tag in world.hub.tags(repository):
            manifest = world.hub.manifest(repository, tag)
            seen += [json.dumps(manifest).encode()]
            seen += [world.hub.blob(repository, part["digest"]) or b"" for part in manifest.get("layers", [])]
    assert not [secret for secret in keys.secrets if any(secret in content for content in seen)]


def test_where_a_signature_is_required_nothing_goes_on_without(world: World, keys: Keys) -> None:
    """With `required`, no release is made without a key, and none is run that is unsigned or can't be verified."""
    required = {"UC_SIGNING_REQUIRED": "true"}
    refused = world.clone.release(**required)
    assert refused.code == 14, refused.text
    assert world.git_tags() == {}

    ok(world.clone.release())

    assert world.clone.inv("up", "--release", "0.1.0", **required).code == 21
    ran = world.clone.inv("up", "--release", "0.1.0", **required, **keys.verifying)
    assert ran.code == 21
    assert "signature of" in ran.text
