"""What git holds: every git command starts in client.py.

client                      the git runner, and the address of a remote
headers, footers, forges    the parts of a message, and what forges write into one
commits, conventional       Conventional Commits: what a message says, and whether it is one
tags, versions              which tags are versions; lines of versions, and the next version on one
status, history             the work tree and the commits of HEAD, read with few processes
remote                      version tags on the remote, which decides who owns a version
next_versions               what each bump would make of HEAD
releases, changelog         what each release brought, as the sections of CHANGELOG.md
markdown                    messages as Markdown
"""
