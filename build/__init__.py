"""The library behind tasks.py: five layers, imports only downward (errors, console → … → quickstart, release)."""
