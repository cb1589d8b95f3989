"""Results as people and programs read them: tables and JSON."""
