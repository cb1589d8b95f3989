"""The hardening of every container that this toolkit starts."""

from __future__ import annotations

# The user of every container, by number: the Dockerfiles name the same one, and files mounted into it belong to it.
UID = 10001
USER = f"{UID}:{UID}"
DROPPED_CAPABILITIES = ("ALL",)
SECURITY_OPTIONS = ("no-new-privileges:true",)
# What was running when the engine was killed comes back with it. "unless-stopped" does not: the engine counts what it
# finds dead at its start as stopped. The price: `docker stop` lasts until the engine starts again; `./inv down` lasts.
RESTART = "always"
