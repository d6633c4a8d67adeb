"""Our three cookies, all kept from scripts: who signed in, which visitor this is, and who signed in here before.

Over https their names begin with `__Host-`: then no other host of the same domain can have set them. Both spellings are
read, so that nobody is signed out where a server learns https; the one with the prefix comes first.
"""

import re
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.requests import cookie_parser
from starlette.responses import Response

RawHeaders = list[tuple[bytes, bytes]]

PREFIX = "__Host-"
_VISITOR = re.compile(r"[0-9a-f]{32}\Z")
_XSRF = "_streamlit_xsrf"


@dataclass(frozen=True, slots=True)
class SentCookies:
    """What a request brought. `visitor` is 32 hex digits or empty; the other values are as they came, unchecked."""

    sign_ins: tuple[str, ...] = ()
    visitor: str = ""
    device: str = ""


def visitor_cookie(name: str) -> str:
    """Which browser this is, signed in or not; `name` is `cookie.name` of config.yaml."""
    return f"{name}_visitor"


def device_cookie(name: str) -> str:
    """Who signed in with this browser before (`flowground.sign_in.devices`)."""
    return f"{name}_device"


def take_cookies(headers: RawHeaders, name: str) -> tuple[SentCookies, RawHeaders]:
    """Ours, and the headers without them: no page script ever holds one."""
    ours = {
        f"{prefix}{bare}": "" for bare in (name, visitor_cookie(name), device_cookie(name)) for prefix in (PREFIX, "")
    }
    kept: RawHeaders = []
    for key, value in headers:
        if key != b"cookie":
            kept.append((key, value))
            continue
        others = []
        for part in value.decode("latin-1").split(";"):
            written = part.partition("=")[0].strip()
            if written in ours:
                ours[written] = _unquote(part)
            else:
                others.append(part.strip())
        if others:
            kept.append((key, "; ".join(others).encode("latin-1")))

    def sent(bare: str) -> list[str]:
        return [value for value in (ours[PREFIX + bare], ours[bare]) if value]

    visitor = next(filter(_VISITOR.match, sent(visitor_cookie(name))), "")
    device = next(iter(sent(device_cookie(name))), "")
    return SentCookies(tuple(sent(name)), visitor, device), kept


def read_cookies(headers: RawHeaders, name: str) -> SentCookies:
    return take_cookies(headers, name)[0]


def set_cookie(answer: Response, bare: str, value: str, *, days: float, https: bool) -> None:
    """`bare` is the name without its prefix. The other spelling is dropped: one browser, one value."""
    answer.set_cookie(
        f"{PREFIX}{bare}" if https else bare,
        value,
        max_age=int(days * 86_400),
        httponly=True,
        samesite="lax",
        secure=https,
    )
    if https:
        answer.delete_cookie(bare, httponly=True, samesite="lax", secure=True)


def drop_cookie(answer: Response, bare: str, *, https: bool) -> None:
    """In both spellings, where the browser could have both."""
    for name in (PREFIX + bare, bare) if https else (bare,):
        answer.delete_cookie(name, httponly=True, samesite="lax", secure=https)


def xsrf_id(headers: RawHeaders) -> str:
    """Hex digits from Streamlit's own XSRF cookie, by which a visitor was known before there was a cookie of ours;
    empty when there is none.

    Streamlit 1.67 writes it masked anew on every page load (`2|mask|masked token|time`, Tornado's format); what stays
    is the token inside.
    """
    for key, value in headers:
        parts = cookie_parser(value.decode("latin-1")).get(_XSRF, "").split("|") if key == b"cookie" else []
        if len(parts) == 4 and parts[0] == "2":
            try:
                mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
            except ValueError:
                return ""
            if len(mask) == 4 and len(masked) >= 16:
                return bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked)).hex()
    return ""


def _unquote(part: str) -> str:
    try:
        return next(iter(SimpleCookie(part).values())).value
    except (CookieError, StopIteration):
        return ""
