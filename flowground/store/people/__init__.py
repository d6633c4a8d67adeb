"""Members, groups, sign-ins, tokens, and access requests."""
