"""Signing in and out, first accounts, and links that set a password."""
