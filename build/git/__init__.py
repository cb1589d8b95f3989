"""What git says and holds: history, commits, tags, versions, status, the remote, the changelog."""
