"""What is taken over of pip's settings, for pip itself and for uv."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from build.machine import pip_settings

LISTING = """\
:env:.index-url='https://person:word@env.example/simple'
:env:.user='1'
global.cert='/etc/company.pem'
global.constraint='/etc/constraints.txt'
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.index-url='https://global.example/simple'
install.find-links='/wheels https://wheels.example'
install.index-url='https://install.example/simple'
install.target='/elsewhere'
list.format='json'
"""


def test_a_later_layer_goes_before() -> None:
    """A variable goes before a section of the file, a command's section before the global one, as in pip."""
    assert pip_settings.read(LISTING) == {
        "cert": "/etc/company.pem",
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "find-links": "/wheels https://wheels.example",
        "index-url": "https://person:word@env.example/simple",
    }


@pytest.mark.parametrize(
    ("setting", "value", "variables"),
    [
        ("index-url", "https://a/simple", {"UV_DEFAULT_INDEX": "https://a/simple"}),
        ("extra-index-url", "https://a\nhttps://b", {"UV_INDEX": "https://a https://b"}),
        ("find-links", "/wheels https://b", {"UV_FIND_LINKS": "/wheels,https://b"}),
        ("trusted-host", "a b:8080", {"UV_INSECURE_HOST": "a b:8080"}),
        ("client-cert", "/key.pem", {"SSL_CLIENT_CERT": "/key.pem"}),
        ("retries", "9", {"UV_HTTP_RETRIES": "9"}),
        ("timeout", "60.5", {"UV_HTTP_TIMEOUT": "60"}),
        ("default-timeout", "180", {"UV_HTTP_TIMEOUT": "180"}),
        ("no-cache-dir", "true", {"UV_NO_CACHE": "1"}),
        ("proxy", "proxy:3128", {"HTTPS_PROXY": "proxy:3128", "https_proxy": "proxy:3128", "ALL_PROXY": "proxy:3128"}),
    ],
)
def test_each_setting_reaches_uv(setting: str, value: str, variables: dict[str, str]) -> None:
    """The settings of pip reach uv under the names that uv has for them."""
    assert variables.items() <= pip_settings.for_uv({setting: value}, {"HTTPS_PROXY": "other"}).items()


@pytest.mark.parametrize(
    ("settings", "environment", "variable"),
    [
        ({"cert": "a.pem"}, {}, ("SSL_CERT_FILE", "a.pem")),
        ({"cert": "a.pem"}, {"SSL_CERT_FILE": "b.pem"}, ("SSL_CERT_FILE", "a.pem")),
        ({"cert": "a.pem"}, {"REQUESTS_CA_BUNDLE": "b.pem"}, ("SSL_CERT_FILE", "b.pem")),
        ({}, {"CURL_CA_BUNDLE": "c.pem"}, ("SSL_CERT_FILE", "c.pem")),
        ({}, {"SSL_CERT_FILE": "d.pem"}, ("SSL_CERT_FILE", "d.pem")),
        ({}, {}, ("UV_SYSTEM_CERTS", "1")),
    ],
)
def test_uv_trusts_what_pip_trusts(
    settings: dict[str, str], environment: dict[str, str], variable: tuple[str, str]
) -> None:
    """The bundle that pip takes is uv's; without any, the certificates of the system are."""
    assert variable in pip_settings.for_uv(settings, environment).items()


def test_a_folder_of_certificates(tmp_path: Path) -> None:
    """A folder is another variable than a file."""
    assert pip_settings.for_uv({"cert": str(tmp_path)}, {})["SSL_CERT_DIR"] == str(tmp_path)


def test_settings_of_uv_take_precedence() -> None:
    """Variables of uv's own that say where packages come from stay; those that change what it does do not."""
    own = {"UV_DEFAULT_INDEX": "https://own", "UV_CACHE_DIR": "/cache", "UV_INDEX_COMPANY_PASSWORD": "word"}
    environment = pip_settings.for_uv(
        {"index-url": "https://pip"}, {**own, "UV_NO_VERIFY_HASHES": "1", "UV_TARGET": "/elsewhere", "HOME": "/home"}
    )

    assert own.items() <= environment.items()
    assert environment["HOME"] == "/home"
    assert not {"UV_NO_VERIFY_HASHES", "UV_TARGET"} & environment.keys()


def test_pip_has_these_settings_and_no_others() -> None:
    """No file and no other variable of pip or Python counts."""
    environment = pip_settings.for_pip(
        {"index-url": "https://a", "no-index": "1"},
        {"PIP_TARGET": "/elsewhere", "PIP_INDEX_URL": "https://b", "PYTHONPATH": "/lib", "PATH": "/bin"},
    )

    assert environment == {
        "PIP_INDEX_URL": "https://a", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PATH": "/bin",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, []),
        ({"no-index": "yes", "only-binary": ":all:"}, ["--no-index", "--only-binary=:all:"]),
        ({"no-index": "0", "no-binary": "a,b"}, ["--no-binary=a", "--no-binary=b"]),
    ],
)
def test_settings_that_are_options_of_uv(settings: dict[str, str], options: list[str]) -> None:
    """What has no variable is an option; every index is asked, as pip does."""
    assert pip_settings.uv_options(settings) == ["--index-strategy", "unsafe-best-match", *options]
