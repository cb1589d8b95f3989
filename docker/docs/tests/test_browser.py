"""A real browser under the real policy: pages, navigation, search, dark mode and a diagram, with a clean console."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from docs_rig import HERE, REPOSITORY_DOCS, Start, fetch_mermaid, make, pack
from websockets.sync.client import ClientConnection, connect

from tests.support.debian import Program, program

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
]
BY_THEME = "getComputedStyle(document.body).backgroundColor"


pytestmark = pytest.mark.browser


class CallFailed(Exception):
    """The browser could not do what it was asked."""


class Page:
    """One tab, driven over the DevTools protocol; `complaints` is everything its console and network said."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        for domain in ("Runtime", "Log", "Page", "Network"):
            self.call(f"{domain}.enable")

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:400])
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
            self.complaints.append(json.dumps(params["args"])[:400])
        elif method == "Network.requestWillBeSent" and params["request"]["url"].startswith("http"):
            self.hosts.add(httpx.URL(params["request"]["url"]).netloc.decode())

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message: dict[str, Any] = json.loads(self._connection.recv(timeout=20))
            if message.get("id") == number:
                if "error" in message:
                    raise CallFailed(message["error"]["message"])
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def value(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def until(self, expression: str, seconds: float = 15) -> Any:
        """The first true value of a JavaScript expression."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # A question that falls into the change from one page to the next has no answer: ask again.
            with contextlib.suppress(CallFailed):
                if value := self.value(expression):
                    return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression}; the console said {self.complaints}")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def screenshot(self, name: str) -> None:
        self.until("document.getAnimations().every(one => one.playState !== 'running')")
        if folder := os.environ.get("UC_SCREENSHOTS"):
            data = self.call("Page.captureScreenshot", format="png")["data"]
            (Path(folder) / name).write_bytes(base64.b64decode(data))


@pytest.fixture(scope="module")
def mermaid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Mermaid that the lock file names."""
    file = tmp_path_factory.mktemp("mermaid") / "mermaid.min.js"
    done = fetch_mermaid(HERE / "package-lock.json", file)
    assert done.code == 0, done.text
    return file


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mermaid: Path, start_any: Start) -> str:
    """The repository's own documentation with the real Mermaid, served."""
    folder = tmp_path_factory.mktemp("browser")
    assert make(REPOSITORY_DOCS, folder / "site").code == 0
    done = pack(folder / "site", folder / "packed", mermaid)
    assert done.code == 0, done.text
    return start_any(folder / "packed").url


@pytest.fixture(scope="module")
def chromium() -> Program:
    """The browser of this machine, else Debian's, unpacked for the tests alone."""
    return program("chromium", "chromium", "usr/lib/chromium/chromium")


@pytest.fixture
def page(tmp_path: Path, chromium: Program) -> Iterator[Page]:
    """A tab of a new browser with an empty profile."""
    browser = subprocess.Popen(
        [chromium.path, *FLAGS, f"--user-data-dir={tmp_path}/profile", "--window-size=1280,900", "about:blank"],
        env=chromium.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = tmp_path / "profile/DevToolsActivePort"
        end = time.monotonic() + 30
        while not (port_file.is_file() and port_file.read_text().strip()):
            assert browser.poll() is None and time.monotonic() < end, "chromium did not start"
            time.sleep(0.05)
        port = port_file.read_text().split()[0]
        tab = next(t for t in httpx.get(f"http://127.0.0.1:{port}/json").json() if t["type"] == "page")
        with connect(tab["webSocketDebuggerUrl"], max_size=None) as connection:
            yield Page(connection)
    finally:
        browser.terminate()
        browser.wait()


def test_a_reader_finds_the_way_with_a_clean_console(page: Page, site: str) -> None:
    """Front page, diagram, navigation, search and dark mode work under the policy, with no word from the console
    and no request to another host."""
    page.open(f"{site}/")
    assert "Unity-Claude-Automation" in page.value("document.querySelector('h1').textContent")
    page.until(
        "document.querySelector('div.mermaid')?.shadowRoot !== undefined && !document.querySelector('pre.mermaid')"
    )
    page.screenshot("1-front.png")

    page.value("document.querySelector('.md-nav__link[href*=troubleshooting]').click()")
    page.until("location.pathname === '/troubleshooting/' && document.readyState === 'complete'")
    page.until("document.querySelector('h1').textContent.startsWith('Troubleshooting')")
    page.screenshot("2-navigated.png")

    page.value("document.querySelector('label[for=__search].md-header__button').click()")
    page.value(
        "(() => { const box = document.querySelector('.md-search__input'); box.focus(); box.value = 'rotation';"
        " box.dispatchEvent(new KeyboardEvent('keyup', {key: 'n', bubbles: true})); })()"
    )
    hit = page.until("document.querySelector('.md-search-result__item a')?.href")
    page.screenshot("3-search.png")
    assert "/operating/secrets/" in hit
    page.value("document.querySelector('.md-search-result__item a').click()")
    page.until("location.pathname === '/operating/secrets/' && document.readyState === 'complete'")

    light = page.until(BY_THEME)
    page.value("[...document.querySelectorAll('form[data-md-component=palette] label')].find(l => !l.hidden).click()")
    page.until(f"document.body.dataset.mdColorScheme === 'slate' && {BY_THEME} !== {json.dumps(light)}")
    page.open(f"{site}/services/")
    assert page.value("document.body.dataset.mdColorScheme") == "slate"
    page.screenshot("4-dark.png")
    page.open(f"{site}/")
    page.until("document.querySelector('div.mermaid') !== null")
    page.screenshot("5-dark-diagram.png")

    assert page.complaints == []
    assert page.hosts == {httpx.URL(site).netloc.decode()}


def test_a_mistyped_address_leads_to_a_search(page: Page, site: str) -> None:
    """The 404 page's own field opens the search of the site, and a word's form finds what is meant."""
    page.call("Page.navigate", url=f"{site}/no/such/page")
    page.until("document.querySelector('article form input[name=q]') !== null")
    page.screenshot("6-not-found.png")

    page.value("document.querySelector('article form input[name=q]').value = 'rotated'")
    page.value("document.querySelector('article form button').click()")

    page.until("location.pathname === '/' && document.querySelector('.md-search-result__item a') !== null")
    page.screenshot("7-found.png")
    hits = page.value("[...document.querySelectorAll('.md-search-result__item a')].map(hit => hit.hash)")
    assert "#rotation" in hits
    assert page.value("document.querySelectorAll('.md-search-result__terms del').length") == 0


def test_a_copy_button_takes_the_command_alone(page: Page, site: str) -> None:
    """Of a console session neither the prompt nor the output is copied."""
    page.open(f"{site}/get-started/")
    page.until("document.querySelector('.highlight .gp') !== null")

    copied = page.value(
        "[...document.querySelectorAll('.highlight code')].filter(code => code.querySelector('.gp')).map(code => {"
        " code.setAttribute('data-md-copying', ''); const text = code.innerText.trim();"
        " code.removeAttribute('data-md-copying'); return text; })"
    )

    assert copied == ["./inv quickstart --dry-run", "./inv ps"]


def test_an_injected_script_does_not_run(page: Page, site: str) -> None:
    """The policy is in force in the browser, not only in a header: a script that no hash allows is blocked."""
    page.open(f"{site}/")
    page.value(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.smuggledIn = 1';"
        " document.body.append(s); })()"
    )

    assert page.value("window.smuggledIn") is None
    assert any("Content Security Policy" in text for text in page.complaints)


def test_s8_a_prebuilt_page_works_under_the_policy(
    page: Page, tmp_path: Path, fake_mermaid: Path, start_any: Start
) -> None:
    """Inline scripts, event handlers, a frame, a module and an embedded font of a generated site run; nothing else does."""
    source = tmp_path / "built"
    (source / "_static").mkdir(parents=True)
    (source / "index.html").write_text(
        """<!doctype html><style>@font-face { font-family: x; src: url(data:font/woff2;base64,AA==) }</style>"""
        """<link rel="icon" href="data:,"><script>window.ran = ['inline']</script>"""
        """<script type="module" src="_static/m.js"></script>"""
        """<button id="b" onclick="ran.push(&quot;handler&quot;)">x</button><iframe src="inner.html"></iframe>"""
    )
    (source / "inner.html").write_text("<!doctype html><script>parent.ran.push('frame')</script>")
    (source / "_static/m.js").write_text("window.ran.push('module')")
    assert make(source, tmp_path / "site").code == 0
    assert pack(tmp_path / "site", tmp_path / "out", fake_mermaid).code == 0
    page.open(f"{start_any(tmp_path / 'out').url}/")

    page.value("document.querySelector('#b').click()")

    page.until("['inline', 'handler', 'frame', 'module'].every(name => window.ran.includes(name))")
    assert not any("Content Security Policy" in text for text in page.complaints)
    page.value("document.querySelector('#b').setAttribute('onclick', 'window.smuggledIn = 1')")
    page.value("document.querySelector('#b').click()")
    assert page.value("window.smuggledIn") is None
