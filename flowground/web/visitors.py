"""Every browser gets a name of its own when it loads its first page: a random cookie that scripts cannot read.

It tells visitors without sign-in apart, and one-time tickets are bound to it. Before there was this cookie, a visitor
was known by Streamlit's XSRF cookie, which scripts can read; before there was https, by one that other hosts can set.
What was kept under those moves to a new name that nobody knows, once.
"""

import secrets
import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Message, Scope, Send

from flowground.runtime import Runtime
from flowground.web.cookies import name_visitor_cookie, read_cookies, read_xsrf_id, set_cookie
from flowground.web.origin import is_https

_DAYS = 400
"""The longest that browsers keep a cookie."""
_GIVEN_WITH = (200, 304)
"""Answers that give a name: a browser may have kept the page, and lost its cookies."""
_MOST_MOVING = 1_000
_MOVING_SECONDS = 10.0


class Visitors:
    """Gives browsers their names. One for the process."""

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime
        self._moving: dict[str, float] = {}
        """Former name -> until when no other answer gives one for it: several tabs may load at once."""

    async def name_browser(self, scope: Scope, send: Send) -> Send:
        """`send` that gives the browser its name with the answer, where it loads a page and has none."""
        if not _loads_a_page(scope):
            return send
        settings = self._runtime().settings
        sent = read_cookies(scope, settings)
        if sent.visitor:
            return send
        given = await self._make_name(sent.bare_visitor, read_xsrf_id(scope["headers"]))
        if given is None:
            return send
        answer = Response()
        is_secure = is_https(scope, settings.public_url)
        set_cookie(answer, name_visitor_cookie(settings.cookie.name), given, days=_DAYS, is_secure=is_secure)
        cookies = [header for header in answer.raw_headers if header[0] == b"set-cookie"]

        async def send_with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _GIVEN_WITH:
                message = {**message, "headers": [*message.get("headers", ()), *cookies]}
            await send(message)

        return send_with_cookies

    async def _make_name(self, *former: str) -> str | None:
        """One that nobody knows, under which now stands what was said under a former name.

        None while that goes out with another answer: the browser has it then. It is told once, since whoever made the
        browser send a former name knows that one too.
        """
        new = secrets.token_hex(16)
        for old in former if self._runtime().access.allow_public else ():
            now = time.monotonic()
            if self._moving.get(old, 0.0) > now:
                return None
            if not old:
                continue
            self._moving[old] = now + _MOVING_SECONDS
            if await self._runtime().access.carry_over(old, new):
                while len(self._moving) > _MOST_MOVING:
                    self._moving.pop(next(iter(self._moving)))
                return new
            self._moving.pop(old, None)
        return new


def _loads_a_page(scope: Scope) -> bool:
    """A document, or what Streamlit's frontend asks for before it opens (and opens again) its socket."""
    if scope["method"] != "GET":
        return False
    accepted = b"".join(value for name, value in scope["headers"] if name == b"accept")
    return scope["path"].endswith("/_stcore/health") or b"text/html" in accepted
