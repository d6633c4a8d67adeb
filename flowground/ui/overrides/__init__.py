"""Temporary overrides on the page: editors, presets, links, and the chip that says they apply."""
