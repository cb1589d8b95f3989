"""Reading git: history, commits, tags, versions, work tree status, the remote, the changelog."""
