"""Four small MCP servers from one image: modules, docs, repository, events. MCP_SERVER picks one."""
