"""A new service: with a folder and a table, every task and check includes it."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.support.project import REPOSITORY, Project, Ran
from tests.support.stack import DOCKERFILE, add_server

PACKAGE = '''\
"""Says hello."""


def greeting(name: str) -> str:
    """What it says."""
    return f"hello {name}"
'''
MAIN = '''\
"""`python3 -m seventh_service`: listen until SIGTERM."""

from __future__ import annotations

import http.server
import json
import signal
import sys

from seventh_service import greeting


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every request alike."""

    def do_GET(self) -> None:
        """Healthy."""
        body = json.dumps({"status": "healthy", "says": greeting("world")}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
'''
TESTS = '''\
"""It greets."""

from seventh_service import greeting


def test_greets() -> None:
    """By name."""
    name: str = "you"
    assert greeting(name) == "hello you"
'''
_COPY, _START = "COPY server.py /app/server.py", '["python3", "/app/server.py"]'


def _dockerfile() -> str:
    """The one of the small services, with the package in the place of their script."""
    assert _COPY in DOCKERFILE
    assert _START in DOCKERFILE
    package = DOCKERFILE.replace(_COPY, "WORKDIR /app\nCOPY seventh_service seventh_service")
    return package.replace(_START, '["python3", "-m", "seventh_service"]')


def _checked(project: Project) -> Ran:
    """What nox says of the service, with the noxfile and the settings of this repository."""
    # uv, as in the project's .venv: pip would take ten times as long.
    argv = [sys.executable, "-m", "nox", "--force-venv-backend", "uv", "--session", "services(service='seventh')"]
    done = subprocess.run(
        argv, cwd=project.root, env=project.environment(), capture_output=True, text=True, timeout=240, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_a_seventh_service_needs_no_python_change(stack_project: Project) -> None:
    """A folder and one table are enough to build, start and smoke-test a new service, and to have its types and tests run."""
    folder = stack_project.root / "docker" / "seventh"
    add_server(stack_project, "seventh", _dockerfile())
    (folder / "server.py").unlink()
    for name, text in {"__init__.py": PACKAGE, "__main__.py": MAIN}.items():
        stack_project.write(f"docker/seventh/seventh_service/{name}", text)
    test = stack_project.write("docker/seventh/tests/test_greeting.py", TESTS)
    shutil.copyfile(REPOSITORY / "docker/python/requirements-test.txt", folder / "requirements-test.txt")
    for name in ("noxfile.py", "pyproject.toml"):
        shutil.copyfile(REPOSITORY / name, stack_project.root / name)
    stack_project.commit("Add the seventh service")

    for arguments in (["build", "--service", "seventh"], ["secrets.init"], ["up", "--service", "seventh"]):
        ran = stack_project.inv(*arguments)
        assert ran.code == 0, ran.text
    smoked = stack_project.inv("smoke", "--service", "seventh", "--json")
    good = _checked(stack_project)
    test.write_text(TESTS.replace("name: str", "name: int"))
    wrongly_typed = _checked(stack_project)
    test.write_text(TESTS.replace('"hello you"', '"hello me"'))
    failing = _checked(stack_project)

    assert smoked.code == 0, smoked.text
    assert [(one["container"], one["reason"]) for one in smoked.result] == [("seventh", "")]
    assert good.code == 0, good.text
    assert "no issues found in 3 source files" in good.text
    assert "1 passed" in good.text
    assert wrongly_typed.code != 0
    assert "test_greeting.py:8: error: Incompatible types in assignment" in wrongly_typed.text
    assert failing.code != 0
    assert "1 failed" in failing.text
