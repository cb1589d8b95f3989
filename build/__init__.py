"""The library behind tasks.py. A package imports only packages above it here, and no two modules import each other.

    config     versions.toml: its types, its reading, its overrides, which services are chosen
    git        history, commits, tags, versions, status, remote, changelog
    engine     the Docker client, the daemon, ports and disk, what installs them
    registry   OCI distribution client: transport, credentials, client, policy, artifacts, the embedded registry
    signing    keys, signatures and attestations, in the forms that cosign reads
    stack      the running set: its model, Compose, start and stop, status, secrets, sandbox
    images     bases, stand-ins, bake definition, fingerprint, build, export, store
    sources    the user's own folders, looked at before any build
    gates      a folder for each gate: scan, smoke; order.py lists them
    release    the release transaction; read steps.py
    deploy     what is brought to run: a build or a released set
    bundle     releases in one file: written, checked, loaded
    views      results as people and programs read them: tables, JSON
    machine    .venv, doctor, quickstart, watch, checks
    program    the command line: Invoke's program with pages, bare names, completion and outcomes of our own

What stands beside the packages (errors, columns, encodings, console, waiting, process, parallel, typed, json_file,
lock, steps, diagnosis, dockerignore, left_out, context_walk, mkdocs_needs, secret_files,
variables, interrupts, github) imports none of them.
"""
