"""The routes of the LangGraph REST API, one module for each kind of thing."""
