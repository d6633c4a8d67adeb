"""Members, groups, sign-ins, tokens, and who asks for what."""
