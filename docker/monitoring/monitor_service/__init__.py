"""Watch a folder, keep what changed in SQLite, and tell the targets named in triggers.toml, at least once each."""
