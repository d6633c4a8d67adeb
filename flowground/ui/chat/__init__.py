"""A conversation with a flow: its messages, the answer that grows, the composer, the list of sessions."""
