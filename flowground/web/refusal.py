"""Answers of the edge to requests that it does not serve."""

from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

from flowground.api.errors import answer_error
from flowground.core.errors import StoreUnavailable
from flowground.ui.shims import page_messages
from flowground.web.paths import is_api

_TITLE = "This Flowground is not open yet"
_SENTENCE = (
    "Nobody has made an account on it, so it answers only the computer it runs on. "
    "Open it there, at http://127.0.0.1 and its port, and make the first account; then this address works."
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="/app/static/icon.svg"><style>
@font-face {{ font-family: Inter; font-weight: 100 900; font-display: swap;
  src: url(/app/static/inter-latin.woff2) format("woff2") }}
:root {{ color-scheme: light dark; --ink: {ink}; --paper: {paper}; --main: {main};
  --soft: color-mix(in srgb, var(--ink) 75%, var(--paper)); font: 15px/1.6 Inter, system-ui, sans-serif }}
body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; background: var(--paper);
  color: var(--ink) }}
main {{ max-width: 30rem; padding: 1.5rem }}
h1 {{ font-size: 1.5rem; font-weight: 650; line-height: 1.3; margin: 0 0 .5rem }}
p {{ margin: 0; color: var(--soft) }} p + p {{ margin-top: 1.5rem }}
a {{ display: inline-block; padding: .55rem 1.1rem; border-radius: .5rem; background: var(--main); color: #fff;
  text-decoration: none }}
a:focus-visible {{ outline: 3px solid color-mix(in srgb, var(--main) 50%, #fff); outline-offset: 2px }}
</style><script>try {{ document.documentElement.style.colorScheme = ({{ light: "light", dark: "dark" }})[
  localStorage.getItem("flowground-look")] ?? "" }} catch {{}}</script></head>
<body><main><h1>{title}</h1><p>{sentence}</p>{way_out}</main></body></html>"""
_MISSING = (
    "There is no such page",
    "The address may have a typing mistake, or what stood here is gone. Your flows and conversations are still there.",
)
_TOO_LONG = (
    "This address is too long",
    "It was not opened: more is written in it than a page takes, so it was pasted twice or is no link of ours. "
    "Ask whoever sent it for another one.",
)
_PAINTS = {"ink": "textColor", "paper": "backgroundColor", "main": "primaryColor"}
_WAY_OUT = '<p><a href="/">Go to your flows</a></p>'

NOT_SERVED = JSONResponse({"detail": "Not Found"}, 404)


def explain_local_mode(scope: Scope) -> Response:
    """403 for a visitor from another computer while there is no account: a page for browsers, JSON for programs."""
    if _wants_page(scope):
        return HTMLResponse(_write_page(_TITLE, _SENTENCE), 403)
    return JSONResponse({"detail": f"{_TITLE}. {_SENTENCE}", "code": "local_mode"}, 403)


def explain_missing(scope: Scope) -> Response:
    """404, the same for everybody, whoever they are."""
    return HTMLResponse(_write_page(*_MISSING, way_out=_WAY_OUT), 404) if _wants_page(scope) else NOT_SERVED


def explain_long_address(scope: Scope) -> Response:
    """414 for a page's address that is too long: its socket would be ignored, and the page would wait for ever."""
    if _wants_page(scope):
        return HTMLResponse(_write_page(*_TOO_LONG, way_out=_WAY_OUT), 414)
    return JSONResponse({"detail": f"{_TOO_LONG[0]}."}, 414)


def explain_outage(scope: Scope, error: StoreUnavailable) -> Response:
    """The answer while the database, which knows who asks, is not available."""
    response = answer_error(error)
    if not _wants_page(scope):
        return response
    page = _write_page("Not available at the moment", error.full_message)
    return HTMLResponse(page, response.status_code, headers={"retry-after": response.headers["retry-after"]})


def _wants_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") and not is_api(scope["path"])


def _write_page(title: str, sentence: str, *, way_out: str = "") -> str:
    """A page in the organization's colours."""
    paints = {
        word: f"light-dark({page_messages.read_color('light', name)}, {page_messages.read_color('dark', name)})"
        for word, name in _PAINTS.items()
    }
    return _PAGE.format(title=escape(title), sentence=escape(sentence), way_out=way_out, **paints)
