"""What flows reach outside the process: HTTP, search engines, databases, Python functions, MCP servers."""
