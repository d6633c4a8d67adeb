"""Members, groups, sign-ins, tokens, and requests for access."""
