"""The built-in model: its weights are fetched and checked by digest, and a child process runs it."""
