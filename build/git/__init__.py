"""What git holds: every git command starts in client.py.

client                      the git runner, and the address of a remote
headers, footers, forges    the parts of a message, and what forges write into one
commits, conventional       Conventional Commits: what a message says, and whether it is one
tags, versions              which tags are versions; lines of versions, and the next version on one
blobs                       files as git keeps them: modes, ids, what a Git LFS pointer stands for
own_directory, own_index    a git directory and an index of our own, which no setting of a user reaches
tracked, user_view          the commit's entries that the work tree lacks; what git says of them by the user's settings
memory                      small values that are kept between runs
contexts, comparison        the folders that a build sends; how they differ from their commit, and why
inputs                      all of that at once: the commit is the image
status, history             the work tree and the commits of HEAD, read with few processes
remote                      version tags on the remote, which decides who owns a version
next_versions               what each bump would make of HEAD
releases, changelog         what each release brought, as the sections of CHANGELOG.md
between                     the commits between two releases
markdown                    messages as Markdown
"""
