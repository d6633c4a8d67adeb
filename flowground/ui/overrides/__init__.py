"""Temporary overrides on the page: editors, links, and the chip that says they apply."""
