"""The organization and one's own account."""
