"""Which addresses belong to the API; all others are Streamlit's."""

FIRST_PARTS = frozenset({"api", "v1", "lf", "mcp", "health", "health_check", "healthz"})


def is_api(path: str) -> bool:
    """Whether the address belongs to the API, known or unknown: what is not there answers JSON, not a page."""
    return path[1:].partition("/")[0] in FIRST_PARTS
