"""The outermost middleware, http and websocket: who asks is settled here, once, and told to the pages in headers.

- While no account was ever created only this computer is served (local mode).
- A websocket needs an Origin of ours; its cookie is verified and taken away; the pages read what was found in headers
  that a client cannot set (its own copies are dropped).
- Cookies that are costly to read are dropped before anything reads one, and all of them for the API.
- A conversation's socket (open_pages/chats.py) goes past Streamlit, as the API does.
- Of what Streamlit would serve only what pages need is served (paths.py), and a page's socket is bounded
  (open_pages/sockets.py). What a page's first load consists of is served here (first_load/files.py).
- Secrets leave the address before anything logs it; `/public_flow/…` is unwrapped; security headers are added.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from flowground.caller import Caller, PageHeader
from flowground.errors import StoreUnavailable
from flowground.runtime import Runtime
from flowground.shims.page_messages import LONGEST_QUERY
from flowground.web import refusal
from flowground.web.address import Proxies, name_address
from flowground.web.callers import find_caller
from flowground.web.cookies import RawHeaders, drop_all_cookies, drop_costly_cookies, take_cookies
from flowground.web.first_load.files import FirstLoad
from flowground.web.open_pages.chats import PATH as CHAT_PATH
from flowground.web.open_pages.chats import ChatSockets, read_address
from flowground.web.open_pages.sockets import PageSockets, name_page_owner
from flowground.web.origin import find_own_origin, is_from_this_computer, is_https
from flowground.web.paths import hide_secrets, is_api, is_served, strip_flow_prefix
from flowground.web.response_headers import add_headers
from flowground.web.visitors import Visitors

OURS = b"x-flowground-"
"""How every PageHeader begins."""


class Edge:
    """ASGI middleware. What it is given beside the app is asked for at each request: the app is built before it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        runtime: Callable[[], Runtime],
        api: Callable[[], ASGIApp],
        pages: Callable[[], PageSockets],
        files: Callable[[], FirstLoad],
        chats: Callable[[], ChatSockets],
    ) -> None:
        self.app = app
        self.runtime = runtime
        self.api = api
        self._proxies: Proxies | None = None
        self._visitors = Visitors(runtime)
        self.pages = pages
        self._files = files
        self.chats = chats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            if self._proxies is None:
                self._proxies = Proxies(self.runtime().settings.trusted_proxies)
            self._proxies.settle(scope)
            self._bound_cookies(scope)
        if scope["type"] == "http":
            try:
                await self._serve_http(scope, receive, send)
            except StoreUnavailable as error:
                await refusal.explain_outage(scope, error)(scope, receive, send)
        elif scope["type"] == "websocket":
            try:
                await self._serve_websocket(scope, receive, send)
            except StoreUnavailable as error:  # only before the page is reached: who asks could not be found out
                await self._show_outage(error, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _bound_cookies(self, scope: Scope) -> None:
        """Before anything reads them: reading some keeps the process for seconds."""
        headers = scope["headers"]
        if is_api(scope["path"]):
            scope["headers"] = drop_all_cookies(headers)
        else:
            scope["headers"] = drop_costly_cookies(headers, self.runtime().settings.cookie.name)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        hide_secrets(scope)
        runtime = self.runtime()
        is_secure = is_https(scope, runtime.settings.public_url)
        send = add_headers(send, is_for_api=is_api(scope["path"]), is_secure=is_secure)
        sign_in = runtime.sign_in
        if not sign_in.knows_an_account and not is_from_this_computer(scope) and await sign_in.is_local_mode():
            await refusal.explain_local_mode(scope)(scope, receive, send)
            return
        if is_api(scope["path"]):
            # Past Streamlit's own middleware: its sessions and compression would cost a run a tenth of its time.
            await self.api()(scope, receive, send)
            return
        inner, _ = strip_flow_prefix(scope)
        if not is_served(inner["path"]):
            await refusal.NOT_SERVED(scope, receive, send)
            return
        if len(inner.get("query_string", b"")) > LONGEST_QUERY:
            await refusal.explain_long_address(scope)(scope, receive, send)
            return
        if any(name.startswith(OURS) for name, _ in scope["headers"]):
            inner = {**inner, "headers": _drop_ours(scope)}
        send = await self._visitors.name_browser(inner, send)
        files = self._files()
        answer = await files.find_answer(inner)
        if answer is None and files.is_nowhere(inner["path"]):
            answer = refusal.explain_missing(scope)
        await (answer or self.app)(inner, receive, send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        hide_secrets(scope)
        runtime = self.runtime()
        origin = find_own_origin(scope, runtime.settings.public_url)
        is_local = origin is not None and await runtime.sign_in.is_local_mode()
        if origin is None or (is_local and not is_from_this_computer(scope)):
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "origin or host is not this server's"})
            return
        inner, flow = strip_flow_prefix(scope)
        is_chat = scope["path"] == CHAT_PATH
        if is_chat:
            named, is_public = read_address(scope)
            flow = named if is_public else None
        is_secure = is_https(scope, runtime.settings.public_url)
        sent, headers = take_cookies(_drop_ours(scope), runtime.settings.cookie.name, is_secure=is_secure)
        caller = await find_caller(runtime, sent, is_local=is_local, shared_flow=flow)
        if is_chat:
            await self.chats().serve(scope, receive, send, caller=caller)
            return
        told = {PageHeader.BROWSER: sent.visitor.encode(), PageHeader.ADDRESS: name_address(scope).encode()}
        if caller is not None:
            told |= {PageHeader.CALLER: _write_header(caller), PageHeader.PAGE: name_page_owner(caller, sent.visitor)}
        if flow is not None:
            told[PageHeader.FLOW] = flow.encode()
        inner = {**inner, "headers": _tell_page(headers, told, origin)}
        await self.pages().serve(self.app, inner, receive, send, caller=caller)

    async def _show_outage(self, error: StoreUnavailable, scope: Scope, receive: Receive, send: Send) -> None:
        """Opens the page for nobody, so that it can say why: a refused socket only shows that it connects again."""
        if scope["path"] == CHAT_PATH:
            await self.chats().show_outage(error, scope, receive, send)
            return
        settings = self.runtime().settings
        origin = find_own_origin(scope, settings.public_url)
        inner, _ = strip_flow_prefix(scope)
        _, headers = take_cookies(_drop_ours(scope), settings.cookie.name, is_secure=False)
        told = {PageHeader.OUTAGE: error.message.encode("ascii", "replace")}
        inner = {**inner, "headers": _tell_page(headers, told, origin or "")}
        await self.pages().serve(self.app, inner, receive, send, caller=None)


def _drop_ours(scope: Scope) -> RawHeaders:
    return [(name, value) for name, value in scope["headers"] if not name.lower().startswith(OURS)]


def _tell_page(headers: RawHeaders, told: Mapping[PageHeader, bytes], origin: str) -> RawHeaders:
    """The headers with ours. Streamlit compares Origin with Host again; behind a proxy that renames Host only
    `public_url` could tell."""
    host = urlsplit(origin).netloc.encode()
    others = [(name, host if name == b"host" else value) for name, value in headers]
    return others + [(name.encode(), value) for name, value in told.items()]


def _write_header(caller: Caller) -> bytes:
    known: dict[str, Any] = asdict(caller)
    known.pop("flows")  # a token's scope; tokens do not open pages
    return json.dumps(known).encode("ascii")
