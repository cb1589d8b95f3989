"""The user's own folders, looked at before any build: what they declare, what won't work, what is left out.

examination    what is there to say of a source: its types
agents         graphs and roles as the agents folder declares them, requirements against the service's
docs           a documentation project, by the static check of docs-server
programs       checks of the services' own builds, loaded by their path
modules        PowerShell modules, read by the engine of the service's base image, none of them imported
examine        each configured source, and all that is said of it
"""
