"""Pages that are open, each a socket: what it may send, and how many those who are not signed in may have."""
