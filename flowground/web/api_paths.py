"""Which addresses belong to the API; all others are Streamlit's."""

_FIRST_PARTS = frozenset({"api", "v1", "lf", "mcp", "health", "health_check", "healthz"}) | frozenset(
    # What clients of Langflow or FastAPI ask for: a page there would be read as logs, or as a document.
    {"logs", "logs-stream", "docs", "redoc", "openapi.json"}
)


def is_api(path: str) -> bool:
    """Whether the address belongs to the API, known or unknown: what is not there answers JSON, not a page.

    Also with slashes or capital letters too many, where Streamlit would answer plain text.
    """
    return path.lstrip("/").partition("/")[0].lower() in _FIRST_PARTS
