"""Around the pages: navigation, the flows as cards, opening one, asking for access."""
