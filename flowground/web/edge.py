"""The outermost middleware, http and websocket: who asks is settled here once, and passed to the pages in headers.

- While no account was ever created only this computer is served (local mode).
- A websocket needs an Origin of ours; its cookie is verified and removed. Pages read the caller in headers that a
  client cannot set: a client's own copies are dropped.
- Cookies that are costly to read are dropped before anything reads one, and all of them for the API.
- A conversation's socket (open_pages.py) goes past Streamlit, as the API does.
- Of Streamlit's own addresses only those that pages need are served (paths.py), and a page's socket is bounded
  (open_pages.py). The files of a page's first load are served here (first_load.py).
- Secrets are removed from the address before anything logs it; `/public_flow/…` is unwrapped; security headers are
  added.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flowground.app.runtime import Runtime
from flowground.core.caller import PageHeader
from flowground.core.errors import NotSignedIn, StoreUnavailable
from flowground.ui.shims.page_messages import LONGEST_QUERY
from flowground.web import refusal
from flowground.web.cookies import (
    RawHeaders,
    drop_costly_cookies,
    find_caller,
    name_browser,
    take_cookies,
)
from flowground.web.first_load import FirstLoad
from flowground.web.open_pages import CHAT_PATH, OpenSockets, name_page_owner, read_address
from flowground.web.origin import Proxies, find_own_origin, is_from_this_computer, is_https, name_address
from flowground.web.paths import hide_secrets, is_api, is_served, strip_flow_prefix

OURS = b"x-flowground-"
"""The begin of every PageHeader."""

ResponseHeader = tuple[bytes, bytes]

_EVERYWHERE: list[ResponseHeader] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]
_API: list[ResponseHeader] = [*_EVERYWHERE, (b"content-security-policy", b"frame-ancestors 'none'")]
_SENSORS = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope", "hid",
    "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get", "serial", "usb",
)  # fmt: skip
"""Features that no page of ours uses; fullscreen and the clipboard are used."""
# Nothing is loaded from another host: otherwise a model's answer could send what it knows there, by an image or by a
# link whose host is looked up ahead. Streamlit needs inline styles; charts and st.html need inline scripts and eval.
_PAGES: list[ResponseHeader] = [
    *_EVERYWHERE,
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-dns-prefetch-control", b"off"),
    (b"permissions-policy", ", ".join(f"{name}=()" for name in _SENSORS).encode()),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        b"connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        b"frame-ancestors 'self'",
    ),
]
# For a year, and for this host alone: subdomains may belong to others.
_SECURE: ResponseHeader = (b"strict-transport-security", b"max-age=31536000")


@dataclass(frozen=True, slots=True)
class Started:
    """What serves requests once the process has started."""

    runtime: Runtime
    api: ASGIApp
    files: FirstLoad
    sockets: OpenSockets
    proxies: Proxies


class Edge:
    """ASGI middleware. It calls `started` at each request, since the app is built before the process has started."""

    def __init__(self, app: ASGIApp, *, started: Callable[[], Started]) -> None:
        self.app = app
        self._started = started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        started = self._started()
        started.proxies.settle(scope)
        name = None if is_api(scope["path"]) else started.runtime.settings.cookie.name
        scope["headers"] = drop_costly_cookies(scope["headers"], name)
        hide_secrets(scope)
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
            return
        try:
            await self._serve_http(scope, receive, send)
        except StoreUnavailable as error:
            await refusal.explain_outage(scope, error)(scope, receive, send)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        runtime = self._started().runtime
        is_secure = is_https(scope, runtime.settings.public_url)
        send = add_headers(send, is_for_api=is_api(scope["path"]), is_secure=is_secure)
        sign_in = runtime.sign_in
        if not sign_in.knows_an_account and not is_from_this_computer(scope) and await sign_in.is_local_mode():
            await refusal.explain_local_mode(scope)(scope, receive, send)
            return
        if is_api(scope["path"]):
            # Not through Streamlit's own middleware: its sessions and compression would take a tenth of a run's time.
            await self._started().api(scope, receive, send)
            return
        inner, _ = strip_flow_prefix(scope)
        if not is_served(inner["path"]):
            await refusal.NOT_SERVED(scope, receive, send)
            return
        if len(inner.get("query_string", b"")) > LONGEST_QUERY:
            await refusal.explain_long_address(scope)(scope, receive, send)
            return
        inner = {**inner, "headers": _drop_ours(scope)}
        send = name_browser(runtime.settings, inner, send)
        answer = await self._started().files.find_answer(inner)
        await (answer or self.app)(inner, receive, send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        runtime, sockets = self._started().runtime, self._started().sockets
        url, name = runtime.settings.public_url, runtime.settings.cookie.name
        inner, flow = strip_flow_prefix(scope)
        is_chat = scope["path"] == CHAT_PATH
        if is_chat:
            named, is_public = read_address(scope)
            flow = named if is_public else None
        sent, headers = take_cookies(_drop_ours(scope), name, is_secure=is_https(scope, url))
        origin, outage = find_own_origin(scope, url), None
        try:
            is_local = origin is not None and await runtime.sign_in.is_local_mode()
            if origin is None or (is_local and not is_from_this_computer(scope)):
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": "origin or host is not this server's"})
                return
            caller = await find_caller(runtime, sent, is_local=is_local, shared_flow=flow)
        except StoreUnavailable as error:
            # Accepted without a caller, to show the error: after a rejected socket the page only shows "reconnecting".
            caller, outage = None, error
        if is_chat:
            refused = outage or NotSignedIn("Sign in first.")
            await sockets.serve_chat(scope, receive, send, caller=caller or refused)
            return
        added = {PageHeader.BROWSER: sent.visitor.encode(), PageHeader.ADDRESS: name_address(scope).encode()}
        if outage is not None:
            added = {PageHeader.OUTAGE: outage.message.encode("ascii", "replace")}
        elif caller is not None:
            known = asdict(caller) | {"flows": None}  # a token's scope; tokens do not open pages
            added |= {
                PageHeader.CALLER: json.dumps(known).encode("ascii"),
                PageHeader.PAGE: name_page_owner(caller, sent.visitor),
            }
        if flow is not None:
            added[PageHeader.FLOW] = flow.encode()
        inner = {**inner, "headers": _add_page_headers(headers, added, origin or "")}
        await sockets.serve_page(self.app, inner, receive, send, caller=caller)


def _drop_ours(scope: Scope) -> RawHeaders:
    return [(name, value) for name, value in scope["headers"] if not name.lower().startswith(OURS)]


def _add_page_headers(headers: RawHeaders, added: Mapping[PageHeader, bytes], origin: str) -> RawHeaders:
    """The headers with `added`, and with Origin's host as Host: Streamlit compares the two again, and a proxy may have
    renamed Host."""
    host = urlsplit(origin).netloc.encode()
    others = [(name, host if name == b"host" else value) for name, value in headers]
    return others + [(name.encode(), value) for name, value in added.items()]


def add_headers(send: Send, *, is_for_api: bool, is_secure: bool) -> Send:
    """A `send` that adds the security headers of the API or of pages, except those that the answer has itself."""
    extra = _API if is_for_api else _PAGES
    if is_secure:
        extra = [*extra, _SECURE]

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            named = {name.lower() for name, _ in message.get("headers", ())}
            message = {**message, "headers": [*message.get("headers", ()), *(h for h in extra if h[0] not in named)]}
        await send(message)

    return send_with_headers
