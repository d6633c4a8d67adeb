"""Files that are written while they are sent, for the cookie alone: who asks, and how many are sent at once."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from flowground.caller import Caller, Owner
from flowground.errors import NotSignedIn, StoreUnavailable
from flowground.runtime import Runtime
from flowground.web.address import name_address
from flowground.web.callers import find_caller
from flowground.web.cookies import read_cookies

_MOST_OF_ONE, _MOST_OF_VISITORS = 3, 10
"""Files that are sent at once, of one owner and to visitors of one address, and to all visitors together: one that
nobody reads holds some 10 MB."""
_VISITORS = "visitors"
_HEADERS = {"cache-control": "no-store", "vary": "cookie"}


class SentFiles:
    """Those that this process sends just now."""

    def __init__(self) -> None:
        self._sending = Counter[str]()

    def send(
        self, pieces: AsyncIterator[str], request: Request, *, to: Owner, media_type: str, disposition: str
    ) -> Response:
        """The file, or 429 where too many are on their way."""
        most = {str(to): _MOST_OF_ONE}
        if to.kind == "visitor":
            most |= {f"{_VISITORS} of {name_address(request.scope)}": _MOST_OF_ONE, _VISITORS: _MOST_OF_VISITORS}
        if any(self._sending[name] >= limit for name, limit in most.items()):
            return refuse_file("Too many files are being sent. Try again in a moment.", 429)
        headers = {**_HEADERS, "content-disposition": disposition}
        counting: dict[str, Any] = {"sending": self._sending, "counted": tuple(most)}
        return _CountedFile(_encode(pieces), media_type=media_type, headers=headers, **counting)


class _CountedFile(StreamingResponse):
    """Counts while it is sent, for each of `counted`."""

    def __init__(self, pieces: AsyncIterator[bytes], *, sending: Counter[str], counted: tuple[str, ...], **how: Any):
        super().__init__(pieces, **how)
        self._sending, self._counted = sending, counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._sending.update(self._counted)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._sending.subtract(self._counted)
            for name in self._counted:
                if not self._sending[name]:
                    del self._sending[name]


async def require_caller(runtime: Runtime, request: Request, *, shared_flow: str | None = None) -> Caller:
    """Who asks, with their present role. Raises NotSignedIn."""
    sent = read_cookies(request.scope, runtime.settings)
    is_local = await runtime.sign_in.is_local_mode()
    caller = await find_caller(runtime, sent, is_local=is_local, shared_flow=shared_flow)
    if caller is None:
        raise NotSignedIn("Sign in first.")
    return await runtime.access.recheck(caller)


def refuse_file(sentence: str, status: int = 403) -> Response:
    return JSONResponse({"detail": sentence}, status, headers=_HEADERS)


async def _encode(pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece.encode()
    except StoreUnavailable as error:  # the file has begun: only a cut connection can say that it is not whole
        raise RuntimeError("the database went away while a file was sent") from error
