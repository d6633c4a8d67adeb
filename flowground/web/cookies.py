"""Our two cookies, which no script can read: who signed in, and which browser this is.

Over https their names begin with `__Host-`, and only those are believed: any host of the same domain can set the
others. Where it is unknown whether the connection is https both spellings count, the one with the prefix first. A
browser gets an id of its own with its first page: it tells visitors who are not signed in apart, and one-time tickets
are bound to it.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from starlette.responses import Response
from starlette.types import Message, Scope, Send

from flowground.app.runtime import Runtime
from flowground.core.caller import Caller
from flowground.settings import Settings
from flowground.web.origin import is_https

RawHeaders = list[tuple[bytes, bytes]]

PREFIX = "__Host-"
MOST_BYTES = 8_192
"""Most bytes of a request's cookies that are passed on. Of more bytes, only our cookies and Streamlit's are kept."""
_VISITOR = re.compile(r"[0-9a-f]{32}\Z")
_XSRF = "_streamlit_xsrf"
_SIGNED = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+\Z", re.ASCII)

_COOKIE_DAYS = 400
"""The longest that browsers keep a cookie."""
_NAMING_STATUSES = (200, 304)
"""Answers that set the visitor cookie; 304 too, for a browser that kept the page and lost its cookies."""


@dataclass(frozen=True, slots=True)
class SentCookies:
    """Our cookies in a request. `visitor` is 32 hex digits or empty; the other values have the shape of what we sign.

    `bare_sign_in`, of the name without the prefix, is filled over https only: such a cookie may be from before the
    server had https, or set by another host.
    """

    sign_ins: tuple[str, ...] = ()
    visitor: str = ""
    bare_sign_in: str = ""


def name_visitor_cookie(name: str) -> str:
    """The name of the cookie that tells browsers apart, signed in or not; `name` is `cookie.name` of config.yaml."""
    return f"{name}_visitor"


def drop_costly_cookies(headers: RawHeaders, name: str | None) -> RawHeaders:
    """The headers with at most `MOST_BYTES` of cookies, and none with a backslash; without a `name` of ours, with none.

    Python's `http.cookies`, which Starlette calls at any route, unquotes backslashes in quadratic time: 60 kB of them
    keep the process for seconds. No cookie of ours or of Streamlit's has one.
    """
    sent = b";".join(value for key, value in headers if key == b"cookie")
    if not sent:
        return headers
    others = [header for header in headers if header[0] != b"cookie"]
    if name is None:
        return others
    kept, size = [], 0
    for part in sent.split(b";") if len(sent) <= MOST_BYTES else _match_needed(name).findall(sent):
        size += len(part)
        if size <= MOST_BYTES and b"\\" not in part:
            kept.append(part.strip(b" \t"))
    return [*others, (b"cookie", b"; ".join(kept))]


def take_cookies(headers: RawHeaders, name: str, *, is_secure: bool) -> tuple[SentCookies, RawHeaders]:
    """Our cookies, and the headers without them, so that no page script ever holds one.

    Of several cookies with one name the first one of the right shape counts.
    """
    visitor_name = name_visitor_cookie(name)
    shapes = {name: _SIGNED, visitor_name: _VISITOR}
    found: dict[str, str] = {}
    others = []
    for written, value in _read_pairs(headers):
        shape = shapes.get(written.removeprefix(PREFIX))
        if shape is None:
            others.append(f"{written}={value}" if value else written)
        elif shape.match(value):
            found.setdefault(written, value)
    kept = [header for header in headers if header[0] != b"cookie"]
    if others:
        kept.append((b"cookie", "; ".join(others).encode("latin-1")))

    def find_sent(bare: str) -> tuple[str, ...]:
        spellings = (PREFIX + bare,) if is_secure else (PREFIX + bare, bare)
        return tuple(found[spelling] for spelling in spellings if spelling in found)

    visitor = next(iter(find_sent(visitor_name)), "")
    return SentCookies(find_sent(name), visitor, found.get(name, "") if is_secure else ""), kept


def read_cookies(scope: Scope, settings: Settings) -> SentCookies:
    """Our cookies that count on this connection."""
    is_secure = is_https(scope, settings.public_url)
    return take_cookies(scope["headers"], settings.cookie.name, is_secure=is_secure)[0]


def set_cookie(answer: Response, bare: str, value: str, *, days: float, is_secure: bool) -> None:
    """Sets a cookie; `bare` is its name without the prefix. Over https a cookie of the bare name is deleted."""
    answer.set_cookie(
        f"{PREFIX}{bare}" if is_secure else bare,
        value,
        max_age=int(days * 86_400),
        httponly=True,
        samesite="lax",
        secure=is_secure,
    )
    if is_secure:
        answer.delete_cookie(bare, httponly=True, samesite="lax", secure=True)


def drop_cookie(answer: Response, bare: str, *, is_secure: bool) -> None:
    """Deletes the cookie, over https in both spellings."""
    for name in (PREFIX + bare, bare) if is_secure else (bare,):
        answer.delete_cookie(name, httponly=True, samesite="lax", secure=is_secure)


def _read_pairs(headers: RawHeaders) -> Iterator[tuple[str, str]]:
    """Names and values of all cookies, in their order, as they were sent: nothing is unquoted."""
    for key, line in headers:
        for part in line.decode("latin-1").split(";") if key == b"cookie" else ():
            name, _, value = part.partition("=")
            yield name.strip(" \t"), value.strip(" \t")


@lru_cache(maxsize=4)
def _match_needed(name: str) -> re.Pattern[bytes]:
    """Finds our cookies and Streamlit's XSRF cookie among many."""
    ours = rf"(?:{PREFIX})?{re.escape(name)}(?:_visitor)?"
    return re.compile(rf"(?:\A|(?<=;))[ \t]*(?:{ours}|{_XSRF})=[^;]*".encode())


def name_browser(settings: Settings, scope: Scope, send: Send) -> Send:
    """A `send` that sets the visitor cookie with the answer, if a page is loaded by a browser without one."""
    if not _loads_a_page(scope) or read_cookies(scope, settings).visitor:
        return send
    answer, visitor = Response(), secrets.token_hex(16)
    is_secure = is_https(scope, settings.public_url)
    set_cookie(answer, name_visitor_cookie(settings.cookie.name), visitor, days=_COOKIE_DAYS, is_secure=is_secure)
    cookies = [header for header in answer.raw_headers if header[0] == b"set-cookie"]

    async def send_with_cookies(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in _NAMING_STATUSES:
            message = {**message, "headers": [*message.get("headers", ()), *cookies]}
        await send(message)

    return send_with_cookies


def _loads_a_page(scope: Scope) -> bool:
    """True for a document, and for the request of Streamlit's frontend before it opens its socket (again)."""
    if scope["method"] != "GET":
        return False
    accepted = b"".join(value for name, value in scope["headers"] if name == b"accept")
    return scope["path"].endswith("/_stcore/health") or b"text/html" in accepted


async def find_caller(
    runtime: Runtime, sent: SentCookies, *, is_local: bool, shared_flow: str | None = None
) -> Caller | None:
    """The member, in local mode the local owner, or a visitor of the shareable playground of `shared_flow`.

    None for nobody. Raises StoreUnavailable.
    """
    found = [caller for cookie in sent.sign_ins if (caller := await runtime.sign_in.verify_cookie(cookie)) is not None]
    if is_local:
        owner = next((caller for caller in found if caller.kind == "local" and caller.is_proven), None)
        return owner or Caller(kind="local", id="owner", role="admin", is_proven=False)
    member = next((caller for caller in found if caller.kind == "member"), None)
    if member is None and shared_flow is not None:
        return await runtime.access.admit_visitor(sent.visitor, shared_flow)
    return member
