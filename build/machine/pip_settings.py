"""What this machine's pip is configured with (files and variables), for pip itself and for uv, which reads none of it.

Only what says where packages come from is taken over. The rest (a target folder, a user's scheme, constraints) would
send packages elsewhere, or refuse what a lock names. pip: https://pip.pypa.io/en/stable/topics/configuration/,
uv: https://docs.astral.sh/uv/reference/environment/.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from pathlib import Path

from build import variables

# pip's layers, each over the one before it.
_LAYERS = ("global", "install", ":env:")
_LISTS = {"extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS", "trusted-host": "UV_INSECURE_HOST"}
_VALUES = {"index-url": "UV_DEFAULT_INDEX", "client-cert": "SSL_CLIENT_CERT", "retries": "UV_HTTP_RETRIES"}
_TIMEOUTS = ("timeout", "default-timeout")
_WHEELS_OR_NOT = ("no-binary", "only-binary")
# What variables.py honours of pip's settings, under the names that its files have.
_KNOWN = {name.removeprefix("PIP_").lower().replace("_", "-") for name in variables.patterns("pip", "honoured")}
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")


def read(listing: str) -> dict[str, str]:
    """The settings of a `pip config list` that say where packages come from: name → value."""
    layers: dict[str, dict[str, str]] = {layer: {} for layer in _LAYERS}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        layer, _, name = key.partition(".")
        if layer in layers and name in _KNOWN and value[:1] in {"'", '"'}:
            layers[layer][name] = str(ast.literal_eval(value))
    return {name: value for layer in _LAYERS for name, value in layers[layer].items() if value}


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what is neutralised, and without any variable of pip, uv or Python."""
    own = ("PIP_", "UV_", "PYTHON")
    return {name: value for name, value in variables.kept(environment).items() if not name.startswith(own)}


def for_pip(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which pip has these settings and no others."""
    chosen = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in settings.items()}
    return {**clean(environment), **chosen, "PIP_CONFIG_FILE": os.devnull}


def for_uv(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which uv has these settings, and what `environment` says to uv itself, which goes first."""
    chosen = {uv: settings[pip] for pip, uv in _VALUES.items() if pip in settings}
    for pip, uv in _LISTS.items():
        if pip in settings:
            chosen[uv] = ("," if pip == "find-links" else " ").join(settings[pip].split())
    for name in _TIMEOUTS:
        if name in settings:
            chosen["UV_HTTP_TIMEOUT"] = settings[name].partition(".")[0]
    if _on(settings, "no-cache-dir"):
        chosen["UV_NO_CACHE"] = "1"
    if "proxy" in settings:
        chosen |= dict.fromkeys([*_PROXIES, *map(str.lower, _PROXIES)], settings["proxy"])
    chosen["UV_LINK_MODE"] = "copy"  # a file that is edited in .venv stays as it was in uv's cache and elsewhere
    own = {name: value for name, value in variables.kept(environment).items() if name.startswith("UV_")}
    return {**clean(environment), **_certificates(settings, environment), **chosen, **own, "UV_NO_CONFIG": "1"}


def _certificates(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    # In this order pip takes them, by the library that it is built on: https://github.com/psf/requests/issues/3829.
    # Without any, a newer pip trusts what the system does, and uv only when told so.
    for bundle in (*map(environment.get, ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")), settings.get("cert")):
        if bundle:
            return {"SSL_CERT_DIR" if Path(bundle).is_dir() else "SSL_CERT_FILE": bundle}
    return {} if environment.get("SSL_CERT_FILE") else {"UV_SYSTEM_CERTS": "1"}


def uv_options(settings: Mapping[str, str]) -> list[str]:
    """The options of `uv pip` for those settings that have no variable.

    Every index is asked for every package, as pip does: what is installed is decided by the hashes of the lock.
    """
    options = ["--index-strategy", "unsafe-best-match"]
    if _on(settings, "no-index"):
        options.append("--no-index")
    for name in _WHEELS_OR_NOT:
        packages = re.split(r"[\s,]+", settings.get(name, ""))
        options += [f"--{name}={package}" for package in packages if package]
    return options


def _on(settings: Mapping[str, str], name: str) -> bool:
    return settings.get(name, "").lower() in {"1", "true", "yes", "on", "y", "t"}
