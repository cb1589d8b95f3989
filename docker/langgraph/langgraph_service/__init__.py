"""The LangGraph REST API over graphs that are plug-ins, with SQLite state."""
