"""versions.toml: its types, reading it with its overrides, and selecting services."""
