"""What an address means before it is served: the API's or Streamlit's, open or shut, and of which flow's page.

Secrets in an address are removed here, before a log sees them.
"""

import re
from collections.abc import Collection
from urllib.parse import unquote_plus

from starlette.types import Scope

from flowground.flows.parse import RESERVED

_API = frozenset({"api", "v1", "lf", "mcp", "health", "health_check", "healthz"}) | frozenset(
    # What clients of Langflow or FastAPI ask for: a page there would be read as logs, or as a document.
    {"logs", "logs-stream", "docs", "redoc", "openapi.json"}
)
"""First parts of the API's addresses; all others are Streamlit's."""
_STREAMLITS = "/_stcore/"
_OPEN = frozenset({"/_stcore/health", "/_stcore/host-config"})
"""Addresses that Streamlit's frontend needs before it opens a page's socket. Not served are uploads into memory
(`upload_file`), numbers of visitors (`metrics`), pages driven by programs (`agent/…`), and what later versions add."""
_SHUT = ("/auth", "/oauth2callback", "/component", "/chat")
"""Not served: Streamlit's own sign-in, foreign components, and the address of conversations, which is no page's."""
PREFIX = "/public_flow"
_RESERVED_PARTS = "|".join(sorted(RESERVED))
_ID = rf"(?!(?:{_RESERVED_PARTS})(?:/|$))[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}"
_BELOW_A_FLOW = re.compile(
    rf"^{PREFIX}(?:/(?P<flow>{_ID}))?"
    rf"(?P<rest>/(?:{_RESERVED_PARTS})/.*|/favicon\.png|/manifest\.json)$"
)
_SHARED_PAGE = re.compile(rf"^{PREFIX}/{_ID}$")
_STREAMLITS_PARTS = frozenset({"_stcore", "media", "app", "favicon.png", "manifest.json"})
"""First parts of addresses that Streamlit serves beside pages and their files."""
API_KEY = "flowground.api_key"
"""Key of a scope for the `?x-api-key=` of a request; the last one counts, as of any query parameter."""
_MOST_FIELDS = 1_000
"""Most fields of a query; further ones are dropped. Parsing thirty thousand takes 50 ms."""


def is_api(path: str) -> bool:
    """Whether the address belongs to the API, also an unknown one: its 404 is JSON, not a page.

    Extra slashes and capital letters are allowed, for which Streamlit would answer plain text.
    """
    return path.lstrip("/").partition("/")[0].lower() in _API


def is_served(path: str) -> bool:
    """Whether an HTTP request for this path may reach Streamlit; `path` as Streamlit would see it.

    Streamlit 1.67 keeps its own routes below `/_stcore/`, and serves the page itself at every address that is no route.
    """
    path = path.rstrip("/")
    if path.startswith(_STREAMLITS) or path == _STREAMLITS[:-1]:
        return path in _OPEN
    return not any(path == root or path.startswith(f"{root}/") for root in _SHUT)


def is_page(path: str, pages: Collection[str]) -> bool:
    """Whether a page is at this address; `pages`: names of pages that have an address of their own."""
    return path == "/" or path[1:] in pages or _SHARED_PAGE.match(path) is not None


def is_nowhere(path: str, routes: Collection[str]) -> bool:
    """Whether neither Streamlit nor a route serves the address, which is no page's; `routes` as `Web` lists them.

    Streamlit would show its first page there. It mends extra slashes itself.
    """
    if path.endswith("/") or path.startswith("//") or path in routes:
        return False
    return path[1:].partition("/")[0] not in _STREAMLITS_PARTS and f"{path.rpartition('/')[0]}/" not in routes


def strip_flow_prefix(scope: Scope) -> tuple[Scope, str | None]:
    """The scope as Streamlit expects it, and the id of the flow whose page sent the request.

    Streamlit's frontend (1.67) takes the whole address as its base: what it asks for below `/public_flow/{flow_id}/` is
    served as if it stood at the root, and the flow's id travels in a header.
    """
    path: str = scope["path"]
    match = _BELOW_A_FLOW.match(path) if path.startswith(PREFIX) else None
    if match is None:
        return scope, None
    rest = match["rest"]
    return {**scope, "path": rest, "raw_path": rest.encode()}, match["flow"]


def hide_secrets(scope: Scope) -> None:
    """Moves `x-api-key` from the query to `scope[API_KEY]`; drops the owner's `code` and secrets of one-time links.

    Changes the scope in place, because uvicorn's access log reads it when the response starts. The page gets the
    dropped values over its websocket, where the browser sends the page's query as a message.
    """
    query: bytes = scope.get("query_string", b"")
    if not query:
        return
    kept = []
    for part in query.split(b"&", _MOST_FIELDS)[:_MOST_FIELDS]:
        name, _, value = part.partition(b"=")
        match unquote_plus(name.decode("latin-1")).strip().lower():
            case "x-api-key":
                scope[API_KEY] = unquote_plus(value.decode("latin-1"))
            case "invitation" | "reset" | "code":
                pass
            case _:
                kept.append(part)
    scope["query_string"] = b"&".join(kept)
