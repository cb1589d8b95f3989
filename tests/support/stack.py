"""Small services on the Python base, free ports for them, and removal of what tests started."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from typing import Any

from build import json_file
from build.config.load import load
from build.images import bases
from tests.support.project import REPOSITORY, Project

_GIVEN_OUT: set[int] = set()

SERVER = """\
import http.server, json, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "healthy", "path": self.path}).encode()
        self.send_response(200); self.send_header("Content-Type", "application/json"); self.end_headers(); self.wfile.write(body)
    def log_message(self, *args): print(json.dumps({"event": "request", "path": self.path}), flush=True)
signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
HEALTH_VERDICT = "sys.exit(b''.join(iter(lambda:c.recv(4096),b''))[9:12]!=b'200')"
# Its check imports no http.client: on a busy machine that would take more than all else that the container does.
DOCKERFILE = f"""\
FROM python
COPY server.py /app/server.py
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --start-interval=0.2s \\
  CMD ["python3", "-S", "-I", "-c", "import _socket,sys;c=_socket.socket();c.settimeout(3);c.connect(('127.0.0.1',8000));c.sendall(b'GET / HTTP/1.0\\\\n\\\\n');{HEALTH_VERDICT}"]
ENTRYPOINT ["python3", "/app/server.py"]
"""
# Its user and its check, which asks for /health: for other servers.
_CHECKED = DOCKERFILE[DOCKERFILE.index("USER") : DOCKERFILE.index("ENTRYPOINT")]
USER_AND_HEALTH = _CHECKED.replace("GET / ", "GET /health ")


def free_port() -> int:
    """Return an unused port that was not returned before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _GIVEN_OUT:
            _GIVEN_OUT.add(port)
            return port


def reuse_bases(project: Project, record: dict[str, Any]) -> None:
    """Copy the repository's record of bases into the project, under the project's settings."""
    manifest_file = project.root / "versions.toml"
    shipped = load(REPOSITORY, {}, local=False).bases.images["registry"]
    manifest_file.write_text(
        manifest_file.read_text().replace(
            "[build_secrets]",
            f'[bases.images.registry]\nreference = "{shipped.reference}"\npackages = {json.dumps(list(shipped.packages))}\n\n[build_secrets]',
        )
    )
    loaded = project.load()
    stored = {
        key: record[key] | {"recipe": bases.recipe(loaded, loaded.bases.images[key])} for key in ("python", "registry")
    }
    json_file.write(loaded.workspace.root / "bases.json", stored)


def add_server(project: Project, name: str, dockerfile: str = DOCKERFILE, **extra: str) -> int:
    """Add a small HTTP service to the project on a free port; return the port."""
    port = free_port()
    options = {"bases": '["python"]', "secrets": '["alpha"]', "volumes": f'{{ {name}-data = "/data" }}'} | extra
    container = "\n".join(f"{key} = {value}" for key, value in options.items() if key != "smoke")
    project.append(
        f'\n[services.{name}]\nfolder = "docker/{name}"\ndescription = "A test"\nport = 8000\n{container}\n'
        f"[services.{name}.containers.{name}]\npublished = {port}\n"
        f'\n[[services.{name}.smoke]]\nname = "answers"\npath = "/x"\njson = {{ status = "healthy" }}\ndeadline_seconds = 5\n'
    )
    project.write(f"docker/{name}/Dockerfile", dockerfile)
    project.write(f"docker/{name}/server.py", SERVER)
    return port


def clean(project: str, registry: str) -> None:
    """Remove the containers, volumes, networks and images of a test project."""
    docker = shutil.which("docker") or "docker"

    def listed(*arguments: str) -> list[str]:
        return subprocess.run([docker, *arguments], capture_output=True, text=True, check=False).stdout.split()

    label = f"label=com.docker.compose.project={project}"
    containers = listed("ps", "-aq", "--filter", label) + listed("ps", "-aq", "--filter", f"name={project}-registry")
    if containers:
        listed("rm", "-f", *containers)
    for kind in ("volume", "network"):
        if found := listed(kind, "ls", "-q", "--filter", f"name={project}-"):
            listed(kind, "rm", "-f", *found)
    if images := listed("images", "-q", "--filter", f"reference={registry}/*/*"):
        listed("rmi", "-f", *images)
