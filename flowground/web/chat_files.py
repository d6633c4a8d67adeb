"""The route by which one takes a conversation of one's own as a file: for the cookie alone, as one's data is."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from flowground.caller import SESSION_ID_CHARS, Caller, Owner
from flowground.conversation.files import MEDIA_TYPES, ChatFile, FileFormat
from flowground.errors import FlowNotFound, NotSignedIn, StoreUnavailable
from flowground.runtime import Runtime
from flowground.store.runs import whole_chats
from flowground.web.callers import find_caller
from flowground.web.cookies import read_cookies
from flowground.web.origin import is_own_download
from flowground.web.refusal import explain_missing

PATH = "/export/chat"
_MOST_OF_ONE, _MOST_OF_VISITORS = 3, 10
"""Files that are sent at once, of one owner and to all visitors together: one that nobody reads holds some 10 MB."""
_VISITORS = "visitors"
_HEADERS = {"cache-control": "no-store", "vary": "cookie"}


def make_chat_file_routes(runtime: Callable[[], Runtime]) -> list[BaseRoute]:
    """`GET /export/chat?flow=…&session=…&as=markdown` (or `json`); `&at=public` from a shareable playground."""

    sending = Counter[str]()

    async def send_chat(request: Request) -> Response:
        return await _send_chat(runtime(), request, sending)

    return [Route(PATH, send_chat, methods=["GET"])]


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


async def _send_chat(runtime: Runtime, request: Request, sending: Counter[str]) -> Response:
    """The same answer for a conversation that is not there, for somebody else's, and for a flow that is not theirs."""
    if not is_own_download(request):
        return _refuse("This does not come from a page of this server.")
    asked = request.query_params
    flow, session, is_public = asked.get("flow", ""), asked.get("session", ""), asked.get("at") == "public"
    sent = read_cookies(request.scope, runtime.settings)
    is_local = await runtime.sign_in.is_local_mode()
    caller = await find_caller(runtime, sent, is_local=is_local, shared_flow=flow if is_public else None)
    how = next((name for name in get_args(FileFormat) if name == asked.get("as")), None)
    try:
        file = await _find_file(runtime, caller, flow, session, is_public=is_public)
    except NotSignedIn:
        return _refuse("Sign in first.")
    if file is None or how is None:
        return explain_missing(request.scope)
    headers = {**_HEADERS, "content-disposition": file.write_disposition(how)}
    counted = (file.owner, _VISITORS) if Owner.read(file.owner).kind == "visitor" else (file.owner,)
    most = {file.owner: _MOST_OF_ONE, _VISITORS: _MOST_OF_VISITORS}
    if any(sending[name] >= most[name] for name in counted):
        return _refuse("Too many files are being sent. Try again in a moment.", 429)
    pieces = _encode(file.write(runtime, how))
    return _CountedFile(pieces, sending=sending, counted=counted, media_type=MEDIA_TYPES[how], headers=headers)


async def _find_file(
    runtime: Runtime, caller: Caller | None, flow: str, session: str, *, is_public: bool
) -> ChatFile | None:
    """Raises NotSignedIn."""
    if caller is None:
        raise NotSignedIn("Sign in first.")
    caller = await runtime.access.recheck(caller)
    try:
        wired = await runtime.access.open_flow(caller, flow)
    except FlowNotFound:
        return None
    owner = str(caller.owner)
    found = await runtime.store.read(
        whole_chats.find_head, flow_id=wired.id, owner=owner, session_id=session[:SESSION_ID_CHARS]
    )
    name = (wired.flow.chat.title if is_public else None) or wired.name
    sees_inside = caller.sees_inside and not is_public
    return None if found is None else ChatFile(found, wired.id, owner, name, sees_inside)


async def _encode(pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece.encode()
    except StoreUnavailable as error:  # the file has begun: only a cut connection can say that it is not whole
        raise RuntimeError("the database went away while a conversation was sent") from error


def _refuse(sentence: str, status: int = 403) -> Response:
    return JSONResponse({"detail": sentence}, status, headers=_HEADERS)
