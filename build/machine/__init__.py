"""This machine and its developer. The library's other packages know nothing of these.

pip_settings, installer, environment               .venv: the locks of tasks and of tests, installed with uv or pip
host_checks, docker_checks, supply_checks, doctor  what a build, a gate or a run needs, with a remedy for each row
own_project, init                                  versions.local.toml from flags, answers and what a project has
prepare, quickstart                                from a fresh machine to a smoke-tested stack
checks, watch                                      the sessions of noxfile.py; rebuilding what changed
"""
