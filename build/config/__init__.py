"""versions.toml: its types, how it is read and overridden, which services are chosen."""
