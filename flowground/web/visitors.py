"""Every browser gets a name of its own when it loads its first page: a random cookie that scripts cannot read.

It tells visitors without sign-in apart, and one-time tickets are bound to it. Before there was this cookie, a visitor
was known by Streamlit's XSRF cookie, which scripts can read; what was kept under it moves to the new name, once.
"""

import secrets
import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Message, Scope, Send

from flowground.runtime import Runtime
from flowground.web.cookies import read_cookies, set_cookie, visitor_cookie, xsrf_id
from flowground.web.origin import is_https

_DAYS = 400
"""The longest that browsers keep a cookie."""
_REMEMBERED = 1_000
_REMEMBERED_SECONDS = 60.0


class Visitors:
    """Gives browsers their names. One for the process."""

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime
        self._moved: dict[str, tuple[str, float]] = {}
        """Old name -> new name, and until when both are remembered: several tabs may load at once."""

    async def name_browser(self, scope: Scope, send: Send) -> Send:
        """`send` that gives the browser its name with the answer, where it loads a page and has none."""
        if not _loads_a_page(scope):
            return send
        settings = self._runtime().settings
        if read_cookies(scope["headers"], settings.cookie.name).visitor:
            return send
        given = await self._carry_over(xsrf_id(scope["headers"])) or secrets.token_hex(16)
        answer = Response()
        https = is_https(scope, settings.public_url)
        set_cookie(answer, visitor_cookie(settings.cookie.name), given, days=_DAYS, https=https)
        cookies = [header for header in answer.raw_headers if header[0] == b"set-cookie"]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                message = {**message, "headers": [*message.get("headers", ()), *cookies]}
            await send(message)

        return sending

    async def _carry_over(self, old: str) -> str | None:
        """The new name under which now stands what this browser said before; None where that was nothing."""
        if not old or not self._runtime().access.allow_public:
            return None
        now = time.monotonic()
        if old in self._moved and self._moved[old][1] > now:
            return self._moved[old][0]
        new = secrets.token_hex(16)
        self._moved[old] = (new, now + _REMEMBERED_SECONDS)
        if not await self._runtime().access.carry_over(old, new):
            self._moved.pop(old, None)
            return None
        while len(self._moved) > _REMEMBERED:
            self._moved.pop(next(iter(self._moved)))
        return new


def _loads_a_page(scope: Scope) -> bool:
    """A document, or what Streamlit's frontend asks for before it opens (and opens again) its socket."""
    if scope["method"] != "GET":
        return False
    accepted = b"".join(value for name, value in scope["headers"] if name == b"accept")
    return scope["path"].endswith("/_stcore/health") or b"text/html" in accepted
