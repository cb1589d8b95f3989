"""A versions.toml in which every key stands."""

from __future__ import annotations

import tomllib

# A file with every key, except the old names.
SAMPLE = tomllib.loads(
    """
[project]
name = "sample"
title = "Sample"
version = "0.1.0"
[tools]
engine = "24.0"
buildx = "0.12"
compose = "2.20"
trivy = "0.76"
trivy_mirror = "https://mirror.example/trivy_{system}.tar.gz"
trivy_image = "aquasec/trivy:0.76.0"

[tools.trivy_sha256]
Linux-64bit = "0000000000000000000000000000000000000000000000000000000000000000"
[registry]
address = "registry.example:5000"
namespace = "team/sample"
embedded = false
username = "user"
password_file = "password"
ca_file = "ca.pem"
[bases]
source = "mirror"
mirror = "mirror.example"
archives = ["bases"]
suite = "trixie"
[bases.supported_until]
"python:3.12" = "2028-10-31"
[bases.images.python]
reference = "python:3.12-slim"
digest = "sha256:DIGEST"
packages = ["python3"]
archive = "python.tar"
archive_sha256 = "DIGEST"
[build_secrets]
token = "auto"
[gates]
severity = ["HIGH"]
scanners = ["vuln"]
db_repository = "registry.example/db"
db_max_age_hours = 24
waivers_file = "waivers.yaml"
vex = ["vex/a.json"]
debian_security = "refuse"
require_vulnerabilities = true
[signing]
signer = "builtin"
key = ""
identity = ""
issuer = ""
key_file = "~/release.key"
password_file = "~/release.password"
public_key = "release.pub"
required = true
[signing.retired]
"old.pub" = "2026-06-30"
[release]
mode = "independent"
tag_prefix = "v"
remote = "origin"
push_branch = true
branches = ["main"]
authority = "ci"
major_on_zero = true
stand_ins = ["python"]
conventional_since = "0123456"
merge_titles = true
squash_bodies = true
types = { feat = "minor" }
[sources]
watched = "watched"
[filter]
allow = ["public.pem"]
[smoke]
journey = ""
[deploy]
target = "production"
[deploy.targets.production]
kind = "swarm"
host = "ssh://deploy@manager.example"
project = "sample-production"
address = "0.0.0.0"
ports = { web-a = 9001 }
replicas = { web-a = 1 }
placement = { web-a = ["node.labels.disk == ssd"] }
sources = { watched = "/srv/watched" }
secrets = "/run/secrets"
registry = "registry.example:5000"
encrypted = true
history = 5
health_seconds = 60
monitor_seconds = 2
smoke = false
before = ["./announce", "production"]
after = ["./announce", "production"]
[deploy.targets.cluster]
kind = "kubernetes"
context = "production"
kubeconfig = "kubeconfig"
namespace = "sample"
[secrets]
alpha = "random"
[stages.base]
folder = "docker/web"
target = "base"
bases = ["python"]
build_secrets = ["token"]
[services.web]
folder = "docker/web"
description = "A service"
port = 8000
published = 0
bases = ["python"]
contexts = { base = "stage:base" }
build_secrets = ["token"]
args = { KEY = "value" }
paths = ["shared"]
vendored = ["package-lock.json"]
critical = ["Name*"]
target = "last"
environment = { KEY = "value" }
secrets = ["alpha"]
networks = ["edge"]
volumes = { data = "/data" }
mounts = { watched = "/workspace" }
depends_on = ["web-a"]
release_folder = "/run/uc"
memory = "1g"
cpus = "0.5"
pids = 64
[services.web.containers.web-a]
published = 8001
environment = { KEY = "value" }
secrets = ["alpha"]
volumes = { data = "/data" }
mounts = { watched = "/workspace" }
depends_on = ["web-a"]
[[services.web.smoke]]
name = "answers"
kind = "mcp"
needs = ["module:Name"]
method = "POST"
path = "/"
status = 201
secret = "alpha"
body = { key = "value" }
json = { key = "value" }
contains = "text"
deadline_seconds = 1
""".replace("DIGEST", "a" * 64)
)
