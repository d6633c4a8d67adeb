"""Pictures of every page and state, wide and narrow, light and dark: `python -m docs.pictures`."""
