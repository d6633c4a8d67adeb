"""Which of Streamlit's routes are served. What is not named here is shut, also what a later version adds.

Streamlit 1.67 keeps its own routes below `/_stcore/`, and serves the page itself at every address that is no route.
tests/test_streamlit_paths.py walks through all routes it registers.
"""

_CORE = "/_stcore/"
_OPEN = frozenset({"/_stcore/health", "/_stcore/host-config"})
"""Asked for by the frontend before it opens a page's socket. Shut: files into memory (`upload_file`), how many people
are here (`metrics`), driving a page by program (`agent/…`); below, Streamlit's own sign-in and foreign components."""
_SHUT = ("/auth", "/oauth2callback", "/component")


def is_served(path: str) -> bool:
    """Whether an HTTP request for this path may reach Streamlit; `path` as Streamlit would see it."""
    path = path.rstrip("/")
    if path.startswith(_CORE) or path == _CORE[:-1]:
        return path in _OPEN
    return not any(path == root or path.startswith(f"{root}/") for root in _SHUT)
