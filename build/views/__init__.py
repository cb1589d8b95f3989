"""Results as people and programs read them: a table or a few lines, or one JSON document.

tables                        images, bases and containers
gates                         scans and smoke checks
versions, changelog, commits  what git says
bundles                       bundles
proofs                        keys, verified releases
releases                      plans, releases, withdrawals, what a registry allows
differences                   what differs between two releases
cleaning                      what was deleted from the registry
deploys                       deploys, their history, what runs on a target
backups                       what was backed up, and what came back
doctor, quickstart            the machine
sources                       the user's own folders
mcp                           the configuration of an MCP client
"""
