"""Databases and their threads: connections, the writer, the readers, and trouble with them."""
