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
    plain = JSONResponse({"detail": f"{_TITLE}. {_SENTENCE}", "code": "local_mode"}, 403)
    return _explain(scope, plain, _TITLE, _SENTENCE, way_out="")


def explain_missing(scope: Scope) -> Response:
    """404, the same for everybody, whoever they are."""
    return _explain(scope, NOT_SERVED, *_MISSING)


def explain_long_address(scope: Scope) -> Response:
    """414 for a page's address that is too long: its socket would be ignored, and the page would wait for ever."""
    return _explain(scope, JSONResponse({"detail": f"{_TOO_LONG[0]}."}, 414), *_TOO_LONG)


def explain_outage(scope: Scope, error: StoreUnavailable) -> Response:
    """The answer while the database, which knows who asks, is not available."""
    plain = answer_error(error)
    response = _explain(scope, plain, "Not available at the moment", error.full_message, way_out="")
    response.headers["retry-after"] = plain.headers["retry-after"]
    return response


def _explain(scope: Scope, plain: Response, title: str, sentence: str, *, way_out: str = _WAY_OUT) -> Response:
    """A page in the organization's colours for browsers, and `plain` for programs and the API."""
    if "text/html" not in Headers(scope=scope).get("accept", "") or is_api(scope["path"]):
        return plain
    paints = {
        word: f"light-dark({page_messages.read_color('light', name)}, {page_messages.read_color('dark', name)})"
        for word, name in _PAINTS.items()
    }
    page = _PAGE.format(title=escape(title), sentence=escape(sentence), way_out=way_out, **paints)
    return HTMLResponse(page, plain.status_code)
