"""A model's Markdown on its way to a page: what it must not do there is taken out."""
