"""What every answer tells the browser to refuse: foreign content, guesses of types, frames, sensors, plain http."""

from starlette.types import Message, Send

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
"""What no page of ours uses. Fullscreen and the clipboard it does."""
# Nothing is loaded from another host: a model's answer cannot send what it saw to one by naming an image there, nor by
# a link whose host's name is looked up ahead. Streamlit needs inline styles, its charts and st.html need inline scripts
# and eval.
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
# This host only, and a year: subdomains are somebody else's to promise.
_SECURE: ResponseHeader = (b"strict-transport-security", b"max-age=31536000")


def add_headers(send: Send, *, is_for_api: bool, is_secure: bool) -> Send:
    """`send` that adds what belongs to an answer of the API, or of a page. What the answer says itself stays."""
    extra = _API if is_for_api else _PAGES
    if is_secure:
        extra = [*extra, _SECURE]

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            named = {name.lower() for name, _ in message.get("headers", ())}
            message = {**message, "headers": [*message.get("headers", ()), *(h for h in extra if h[0] not in named)]}
        await send(message)

    return send_with_headers
