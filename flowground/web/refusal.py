"""What a visitor is told whom the edge does not let in."""

from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

from flowground.api.errors import answer_error
from flowground.errors import StoreUnavailable
from flowground.web.paths import is_api

_TITLE = "This Flowground is not open yet"
_SENTENCE = (
    "Nobody has made an account on it, so it answers only the computer it runs on. "
    "Open it there, at http://127.0.0.1 and its port, and make the first account; then this address works."
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
:root {{ color-scheme: light dark; --ink: #1b1f2a; --paper: #fff; --soft: #5b6274 }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e7e9f0; --paper: #0f1117; --soft: #a2a8b8 }} }}
body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; background: var(--paper);
  color: var(--ink); font: 16px/1.6 system-ui, sans-serif }}
main {{ max-width: 30rem; padding: 1.5rem }} h1 {{ font-size: 1.4rem; margin: 0 0 .5rem }}
p {{ margin: 0; color: var(--soft) }}
</style></head><body><main><h1>{title}</h1><p>{sentence}</p></main></body></html>"""

NOT_SERVED = JSONResponse({"detail": "Not Found"}, 404)


def explain_local_mode(scope: Scope) -> Response:
    """For a visitor from elsewhere while there is no account. 403: a page for browsers, JSON for programs."""
    if _wants_page(scope):
        return HTMLResponse(_write_page(_TITLE, _SENTENCE), 403)
    return JSONResponse({"detail": f"{_TITLE}. {_SENTENCE}", "code": "local_mode"}, 403)


def explain_outage(scope: Scope, error: StoreUnavailable) -> Response:
    """While the database cannot be asked who this is."""
    response = answer_error(error)
    if not _wants_page(scope):
        return response
    page = _write_page("Not available just now", error.full_message)
    return HTMLResponse(page, response.status_code, headers={"retry-after": response.headers["retry-after"]})


def _wants_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") and not is_api(scope["path"])


def _write_page(title: str, sentence: str) -> str:
    return _PAGE.format(title=escape(title), sentence=escape(sentence))
