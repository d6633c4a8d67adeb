"""Which browser is this? The token in Streamlit's own XSRF cookie, which every browser has before it sees a page."""

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

_COOKIE = "_streamlit_xsrf"


def browser_id(headers: Headers) -> str:
    """Hex digits that stay while the browser keeps the cookie; empty when there is none.

    Streamlit writes the cookie anew, masked differently, on every page load (`2|mask|masked token|time`, Tornado's
    format), so its text cannot be compared between two requests; the token inside can.
    """
    for header in headers.getlist("cookie"):
        parts = cookie_parser(header).get(_COOKIE, "").split("|")
        if len(parts) == 4 and parts[0] == "2":
            try:
                mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
            except ValueError:
                return ""
            if len(mask) == 4 and len(masked) >= 16:
                return bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked)).hex()
    return ""
