"""The model that is built in: its weights are fetched by digest, and a process of its own runs it."""
