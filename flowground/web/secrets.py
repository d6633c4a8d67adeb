"""Keys and codes in an address are taken out before anything can log it."""

from urllib.parse import unquote_plus

from starlette.types import Scope

API_KEY = "flowground.api_key"
"""Where the API finds the `?x-api-key=` of a request (last one wins, as for any query parameter)."""

_MOST_FIELDS = 1_000
"""Of a query; what stands behind is dropped. Reading thirty thousand keeps the process for 50 ms."""
_OWN_CODE = ("oauth2callback",)


def hide_secrets(scope: Scope) -> None:
    """Moves `x-api-key` from the query string to `scope[API_KEY]`; drops the owner's `code` and what sets a password.

    In place because uvicorn's access log reads this very scope when the response starts. The page learns them from its
    websocket, where the browser sends the page's query string as a message.
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
            case "invitation" | "reset":
                pass
            case "code" if not scope["path"].endswith(_OWN_CODE):
                pass
            case _:
                kept.append(part)
    scope["query_string"] = b"&".join(kept)
