"""What never goes into an image or to a client: secrets, by name and by content, and folders that are not sources.

One rule set for every source and context. docker/python/ucservice has the same file for the services that serve a tree.
Sources of the forms: the documentation of each issuer, as far as it names a prefix; RFC 7468 for private keys.
"""

from __future__ import annotations

import codecs
import fnmatch
import functools
import re
from collections.abc import Iterable, Iterator

VERSION = "1"  # of the rules: what was judged by others is judged again
VIRTUALENV_MARK = "pyvenv.cfg"  # PEP 405: a folder that has it is a virtual environment
VIRTUALENV = "a virtual environment (pyvenv.cfg)"
LARGEST_BYTES = 8 << 20  # of a file whose content is read; of a larger one, the beginning

_FOLDERS = {
    ".git": "git's own folder",
    ".hg": "Mercurial's own folder",
    ".svn": "Subversion's own folder",
    "node_modules": "installed npm packages",
    ".ssh": "SSH keys",
    ".gnupg": "GnuPG keys",
    ".aws": "AWS credentials",
    ".azure": "Azure credentials",
    ".kube": "Kubernetes credentials",
}
_FILES = {
    **dict.fromkeys((".env", "*.env", ".env.*", ".envrc"), "an environment file"),
    **dict.fromkeys((".npmrc", ".yarnrc", ".pypirc", ".netrc", "_netrc", ".pgpass", ".my.cnf"), "a login file"),
    **dict.fromkeys((".git-credentials", ".dockercfg", ".htpasswd", ".vault-token", "kubeconfig"), "a login file"),
    **dict.fromkeys(("*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx"), "a key file"),
    **dict.fromkeys(("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"), "an SSH key"),
    **dict.fromkeys(
        (
            *("token", "*.token", "token.txt", "tokens.txt", "*_token.txt", "*-token.txt", "*_token", "*-token"),
            *("api_key", "api-key", "apikey", "*apikey.txt", "*api_key.txt", "*api-key.txt", "*_api_key", "*-api-key"),
        ),
        "a token file",
    ),
    **dict.fromkeys(("password", "passwords", "password.txt", "passwords.txt", "*_password.txt"), "a password file"),
    **dict.fromkeys(
        (
            *("secret", "secrets", "secret.txt", "secrets.txt", "secrets.json", "secrets.toml", "secrets.y*ml"),
            *("credentials", "credentials.json", "credentials.txt", "credentials.toml", "credentials.y*ml"),
            *("client_secret*.json", "service-account*.json", "service_account*.json", "*.tfstate", "*.tfstate.backup"),
        ),
        "a credentials file",
    ),
}
# Templates and public halves, which exist to be shared.
_SHARED = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults", "*.env.example", "id_*.pub")


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))


_shared = _any_of(_SHARED)
_named = _any_of(_FILES)
# What names begin or end with that a pattern may match: most names have none of it, which is known at once.
_beginnings = tuple({pattern.partition("*")[0] for pattern in _FILES if not pattern.startswith("*")})
_endings = tuple({pattern.removeprefix("*") for pattern in _FILES if pattern.startswith("*")})

_NO_WORD = rb"(?<![A-Za-z0-9_-])"
_FORMS = {
    "a private key": rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    rb"(?:\s|\\r|\\n|[A-Za-z-]+: [^\r\n]*)+[A-Za-z0-9+/=]{24}",
    "a PuTTY private key": rb"PuTTY-User-Key-File-\d: [^\0]{0,2000}Private-Lines: ",
    "a GitHub token": _NO_WORD + rb"(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50})",
    "a GitLab token": _NO_WORD + rb"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas)-[A-Za-z0-9_-]{20}",
    "an AWS access key": _NO_WORD + rb"(?:AKIA|ASIA)(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "an Anthropic key": _NO_WORD + rb"sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{20}",
    "an OpenAI key": _NO_WORD + rb"sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20}|[A-Za-z0-9]{32})",
    "a Slack token": _NO_WORD + rb"xox[abeoprs]-[A-Za-z0-9-]{20}",
    "a Slack webhook": rb"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20}",
    "a Google API key": _NO_WORD + rb"AIza[A-Za-z0-9_-]{35}",
    "a Google OAuth secret": _NO_WORD + rb"GOCSPX-[A-Za-z0-9_-]{28}",
    "an npm token": _NO_WORD + rb"npm_[A-Za-z0-9]{36}",
    "a PyPI token": _NO_WORD + rb"pypi-AgE[A-Za-z0-9_-]{50}",
    "a Docker Hub token": _NO_WORD + rb"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20}",
    "a Hugging Face token": _NO_WORD + rb"hf_[A-Za-z0-9]{34}",
    "a LangSmith key": _NO_WORD + rb"lsv2_(?:pt|sk)_[a-f0-9]{32}",
    "a Stripe key": _NO_WORD + rb"[rs]k_live_[A-Za-z0-9]{20}",
    "a SendGrid key": _NO_WORD + rb"SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20}",
    "an Azure storage key": rb"AccountKey=[A-Za-z0-9+/]{80}",
}
# What each form begins with: a search for these words costs a tenth of one for the forms, and most files have none.
_BEGINNINGS = re.compile(
    rb"PRIVATE KEY|PuTTY-User|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|AKIA|ASIA|sk-|xox[abeoprs]-|hooks\.slack|AIza"
    rb"|GOCSPX-|npm_|pypi-AgE|dckr_|hf_|lsv2_|[rs]k_live_|SG\.|AccountKey="
)
_forms = {reason: re.compile(form) for reason, form in _FORMS.items()}


def folder_rule(name: str) -> str:
    """Why a folder of this name is left out, in the words of a report; "" if it is not. Case does not matter."""
    return _FOLDERS.get(name.lower(), "")


@functools.lru_cache(maxsize=65536)
def name_rule(name: str) -> str:
    """Why a file of this name is left out, in the words of a report; "" if it is not. Case does not matter.

    `name` is the last part of a path.
    """
    lowered = name.lower()
    if rule := _FOLDERS.get(lowered):
        return rule
    if not lowered.startswith(_beginnings) and not lowered.endswith(_endings):
        return ""
    if not _named.match(lowered) or _shared.match(lowered):
        return ""
    return next(reason for pattern, reason in _FILES.items() if fnmatch.fnmatchcase(lowered, pattern))


def content_rule(data: bytes) -> str:
    """Why a file with these bytes is left out; "" if it is not. UTF-16 is read as text, binary data as it is."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode("utf-8", "replace")
    if not _BEGINNINGS.search(data):
        return ""
    return next((f"it has {reason}" for reason, form in _forms.items() if form.search(data)), "")


def path_rules(path: str) -> Iterator[tuple[str, str]]:
    """Yield each part of a file's relative path, from its top, that is left out by its name; with its rule."""
    *folders, name = path.split("/")
    for count, folder in enumerate(folders, start=1):
        if rule := folder_rule(folder):
            yield "/".join(folders[:count]), rule
    if rule := name_rule(name):
        yield path, rule
