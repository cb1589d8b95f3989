"""What an image's configuration says to whoever runs it."""

from __future__ import annotations

from build.images import settings


def test_what_matters_to_whoever_runs_an_image_is_a_setting() -> None:
    """Each has a name and a text; version, revision and time of the build are no settings, nor are formats of data."""
    config = {
        "architecture": "amd64",
        "created": "2026-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/bin", "EMPTY=", "PAIR=a=b"],
            "User": "65532",
            "WorkingDir": "/srv",
            "Entrypoint": ["python", "-m", "server"],
            "Cmd": ["--port", "8000"],
            "ExposedPorts": {"8000/tcp": {}},
            "Volumes": {"/data": {}},
            "StopSignal": "SIGINT",
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30_000_000_000, "Timeout": 500_000_000, "Retries": 3},
            "Labels": {
                "org.opencontainers.image.version": "1", "org.opencontainers.image.revision": "2",
                "org.opencontainers.image.created": "3", "org.opencontainers.image.title": "Web",
                "org.unity-claude.data-format.web-data": "3 reads 1",
            },
        },
    }  # fmt: skip

    assert settings.of_config(config) == {
        "command": '["--port", "8000"]', "entrypoint": '["python", "-m", "server"]', "env EMPTY": "", "env PAIR": "a=b",
        "env PATH": "/bin", "healthcheck interval": "30s", "healthcheck retries": "3",
        "healthcheck test": '["CMD", "true"]', "healthcheck timeout": "0.5s",
        "label org.opencontainers.image.title": "Web", "port 8000/tcp": "yes", "stop signal": "SIGINT", "user": "65532",
        "volume /data": "yes", "working directory": "/srv",
    }  # fmt: skip
    assert settings.data_of_config(config) == {"web-data": "3 reads 1"}


def test_an_image_may_say_nothing() -> None:
    """FROM scratch has a configuration without settings, and null where Docker wrote an empty one."""
    for config in ({}, {"config": None}, {"config": {"Env": None, "Labels": None, "Volumes": None}}):
        assert settings.of_config(config) == {}
        assert settings.data_of_config(config) == {}
