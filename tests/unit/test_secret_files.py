"""What the filter knows: names and contents of secrets, and what only looks like them."""

from __future__ import annotations

import pytest

from build import secret_files
from tests.support.project import REPOSITORY

SECRET_NAMES = (
    ".env", ".ENV", ".env.local", ".env.production", "prod.env", ".envrc", ".npmrc", ".pypirc", ".netrc", "_netrc",
    ".git-credentials", ".htpasswd", "server.pem", "server.key", "client.p12", "client.PFX", "id_rsa", "id_ed25519",
    "id_ecdsa_sk", "token", "token.txt", "tokens.txt", "github_token.txt", "api-token", "openai_api_key", "apikey.txt",
    "my-api-key.txt", "password.txt", "db_password.txt", "secrets.json", "secrets.yaml", "secrets.yml", "credentials",
    "credentials.json", "client_secret_123.json", "service-account.json", "terraform.tfstate", ".vault-token",
)  # fmt: skip
PLAIN_NAMES = (
    ".env.example", ".env.sample", ".env.template", "environment.md", "id_rsa.pub", "id_mapping.py", "tokenizer.py",
    "token.py", "tokens.md", "api-key.md", "passwords.md", "secrets.py", "secrets.md", "credentials.py", "monkey.jpg",
    "keys.json", "Secrets.psm1", "requirements.txt", "Dockerfile", "index.html", "package.json",
)  # fmt: skip


def _key(kind: str, body: str, end: str = "\n") -> str:
    return end.join((f"-----BEGIN {kind}PRIVATE KEY-----", body, f"-----END {kind}PRIVATE KEY-----"))


BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"
# In parts, so that this file is none of them.
SECRETS = {
    "a private key": _key("", BODY),
    "an RSA key": _key("RSA ", BODY),
    "an OpenSSH key": _key("OPENSSH ", BODY),
    "a PGP key": f"-----BEGIN PGP {'PRIVATE'} KEY BLOCK-----\n\nlQOYBF{BODY}",
    "an encrypted key": _key("RSA ", f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\n{BODY}"),
    "a key with Windows' line ends": _key("", BODY, "\r\n"),
    "a key in JSON": _key("", BODY, "\\n"),
    "GitHub": "ghp" + "_" + "a1B2" * 9,
    "GitHub, fine-grained": "github" + "_pat_" + "a1B2" * 20,
    "GitLab": "glpat" + "-" + "a1B2" * 5,
    "AWS": "AK" + "IA" + "A1B2C3D4E5F6G7H8",
    "Anthropic": "sk-" + "ant-api03-" + "a1B2" * 10,
    "OpenAI": "sk-" + "a1B2" * 12,
    "OpenAI, project": "sk-" + "proj-" + "a1B2" * 10,
    "Slack": "xoxb" + "-" + "1234567890-" * 2 + "a1B2" * 6,
    "Google": "AI" + "za" + "a1B2C" * 7,
    "npm": "npm" + "_" + "a1B2" * 9,
    "PyPI": "pypi" + "-AgE" + "a1B2" * 15,
    "Hugging Face": "hf" + "_" + "a1" * 17,
    "LangSmith": "lsv2" + "_pt_" + "0a" * 16,
    "Stripe": "sk" + "_live_" + "a1B2" * 6,
}
PLAIN = {
    "the header of a key alone": "It begins with `-----BEGIN PRIVATE KEY-----`, and ends so.\n",
    "an abridged key": "-----BEGIN PRIVATE KEY-----\nMIIE...\n-----END PRIVATE KEY-----\n",
    "a public key": f"-----BEGIN PUBLIC KEY-----\n{BODY}\n-----END PUBLIC KEY-----\n",
    "a certificate": f"-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----\n",
    "AWS's own example": "AK" + "IA" + "IOSFODNN7EXAMPLE",
    "a word": "the task-manager-of-the-disk-and-risk-assessment-department",
    "a class of a page": "sk-toggleable__content-and-more-of-it",
    "a shortened token": "export GITHUB_TOKEN=ghp_…",
    "a hash": "0123456789abcdef" * 4,
}


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_s2_a_secret_is_known_by_its_name(name: str) -> None:
    """Names that only secrets have, in any case."""
    assert secret_files.name_rule(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_s2_what_only_resembles_a_secret_s_name_stays(name: str) -> None:
    """Templates, public halves, and sources about tokens and passwords."""
    assert secret_files.name_rule(name) == ""


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_s2_a_secret_is_known_by_its_form(kind: str, encoding: str) -> None:
    """In the middle of a text, in the encodings of editors."""
    assert secret_files.content_rule(f"# Notes\n\nvalue: {SECRETS[kind]}\n".encode(encoding))


@pytest.mark.parametrize("kind", PLAIN)
def test_s2_what_only_resembles_a_secret_stays(kind: str) -> None:
    """Documentation may name a form, show a shortened example, and hold public keys."""
    assert secret_files.content_rule(PLAIN[kind].encode()) == ""


def test_s2_folders_are_left_out_by_name_and_files_in_them_by_their_path() -> None:
    """A folder of credentials, of a version control system, or of installed packages; a folder `secrets` may be docs."""
    assert secret_files.folder_rule("node_modules")
    assert secret_files.folder_rule(".git")
    assert not secret_files.folder_rule("secrets")
    assert [part for part, _ in secret_files.path_rules("web/node_modules/a/.env")] == [
        "web/node_modules",
        "web/node_modules/a/.env",
    ]


def test_s2_s3_the_services_have_the_same_rules() -> None:
    """The services that serve a tree filter it by the file that the build filters by."""
    copies = [path.read_bytes() for path in REPOSITORY.rglob("secret_files.py") if ".nox" not in path.parts]

    assert len(copies) == 2
    assert len(set(copies)) == 1
