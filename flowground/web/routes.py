"""Routes of pages beside Streamlit, by cookie alone: files of messages and of knowledge, sign-in, one's own data.

The body of an upload is the file itself, stored as it arrives. An unknown file and another person's look alike. Only
here is the sign-in cookie set and removed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from flowground.access import account
from flowground.api.files import drop_file, send_file
from flowground.api.incoming import read_pieces
from flowground.app import knowledge_admin
from flowground.app.runtime import Runtime
from flowground.core.caller import Owner
from flowground.core.errors import NotSignedIn, RequestError
from flowground.core.media_types import IMAGES
from flowground.runs.files import FileGone, FileOffer, too_large_error
from flowground.runs.request_files import NO_IMAGES, may_see_images
from flowground.store.runs import files
from flowground.store.runs.conversations import list_owners
from flowground.store.runs.files import StoredFile
from flowground.web.cookies import SentCookies, drop_cookie, read_cookies, set_cookie
from flowground.web.origin import name_address
from flowground.web.refusal import explain_missing
from flowground.web.sent_files import NOT_OURS, Handle, SentFiles, answer_page, refuse, require_caller, send_chat

_TICKET_BYTES = 4_096
_NO_STORE = {"cache-control": "no-store"}
_DISPOSITION = 'attachment; filename="flowground-my-data.json"'


class _Ticket(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ticket: str = Field(min_length=16, max_length=256)


def make_routes(runtime: Callable[[], Runtime]) -> list[Route]:
    """All routes of pages; `/public_flow` without a flow leads home. From a shareable playground those for files and
    the export have `&flow=…&at=public`.

    `POST /file/upload?flow=…&name=…`, `GET /file/download?id=…`, `GET /file/image?id=…`, `POST /file/delete?id=…`, and
    `POST /file/knowledge?flow=…&knowledge=…&name=…`, without `flow` for knowledge that all flows share;
    `GET /export/chat?flow=…&session=…&as=markdown` (or `json`); POST /session/start and /session/end, GET
    /session/my-data.
    """
    exports = SentFiles(of_one=3, of_visitors=10)  # a client that does not read makes one hold some 10 MB
    shown = SentFiles(of_one=50, of_visitors=200)
    handles: dict[tuple[str, str], Handle] = {
        ("POST", "/file/upload"): _add_file,
        ("POST", "/file/knowledge"): _add_to_knowledge,
        ("GET", "/file/download"): partial(_send, sent=shown, is_shown=False),
        ("GET", "/file/image"): partial(_send, sent=shown, is_shown=True),
        ("POST", "/file/delete"): _delete,
        ("GET", "/export/chat"): partial(send_chat, sent=exports),
        ("POST", "/session/start"): _start,
        ("POST", "/session/end"): _end,
        ("GET", "/session/my-data"): partial(_send_my_data, sent=exports),
    }
    home = RedirectResponse("/")
    return [
        *(Route(at, partial(answer_page, runtime, handle), methods=[way]) for (way, at), handle in handles.items()),
        *(Route(at, home, methods=["GET"]) for at in ("/public_flow", "/public_flow/")),
    ]


async def _add_file(runtime: Runtime, request: Request) -> Response:
    """Stores a file for a message, for at most a day until a message has it; answers with its facts."""
    asked = request.query_params
    caller = await require_caller(runtime, request)
    wired = await runtime.access.open_flow(caller, asked.get("flow", ""))
    unseen = None if may_see_images(wired, runtime.models) else NO_IMAGES
    offer = FileOffer(
        *(caller.owner, asked.get("name", ""), wired.id, wired.flow.chat.accepts, wired.flow.chat.file_bytes),
        no_images=unseen,
    )
    with runtime.files.admit(caller.owner, name_address(request.scope)):
        pieces = _read_body(runtime, request, caller.owner, offer.most)
        return _describe(await runtime.files.receive(pieces, offer))


async def _add_to_knowledge(runtime: Runtime, request: Request) -> Response:
    """Stores a file in a knowledge until it is removed; answers with its facts."""
    asked = request.query_params
    caller = await require_caller(runtime, request)
    pieces = _read_body(runtime, request, caller.owner)
    place = (asked.get("flow", ""), asked.get("knowledge", ""))
    return _describe(
        await knowledge_admin.add_file(runtime, caller, *place, file_name=asked.get("name", ""), pieces=pieces)
    )


def _describe(file: StoredFile) -> Response:
    kept = file.reference
    return JSONResponse({"id": kept.id, "name": kept.name, "type": kept.media_type, "size": kept.size}, 201)


def _read_body(runtime: Runtime, request: Request, owner: Owner, of_flow: int | None = None) -> AsyncIterator[bytes]:
    most, max_wait = runtime.files.find_limit(owner, of_flow), runtime.settings.limits.request_seconds
    return read_pieces(request, limit=most, max_wait=max_wait, too_large=partial(too_large_error, most))


async def _send(runtime: Runtime, request: Request, *, sent: SentFiles, is_shown: bool) -> Response:
    file = await _find_file(runtime, request)
    if is_shown and file.reference.media_type not in IMAGES:
        raise FileGone(file.reference.name)

    async def begin() -> Response:
        try:
            return await send_file(runtime, file, is_shown=is_shown)
        except FileGone:
            return explain_missing(request.scope)

    return sent.count(begin, request, to=Owner.read(file.owner))


async def _delete(runtime: Runtime, request: Request) -> Response:
    await drop_file(runtime, await _find_file(runtime, request))
    return JSONResponse({"deleted": True}, headers=_NO_STORE)


async def _find_file(runtime: Runtime, request: Request) -> StoredFile:
    """A file of the caller, or of a member's programs. Raises NotSignedIn, FileGone."""
    caller = await require_caller(runtime, request)
    owners = [str(caller.owner)]
    if caller.kind == "member":
        owners = list_owners(caller.id)
    key = request.query_params.get("id", "")
    if file := await runtime.store.read(files.find_file, key=key, owners=owners):
        return file
    raise FileGone(key)


async def _start(runtime: Runtime, request: Request) -> Response:
    """Exchanges a one-time ticket, which a page gave to this browser, for the sign-in cookie."""
    settings, sent = runtime.settings, read_cookies(request.scope, runtime.settings)
    if not sent.visitor:
        return refuse(NOT_OURS)
    ticket = await _read_ticket(request, seconds=settings.limits.request_seconds)
    agent = request.headers.get("user-agent")
    value = await runtime.sign_in.redeem(ticket, sent.visitor, agent) if ticket else None
    if value is None:
        return refuse("The sign-in took too long. Please sign in again.", 400)
    # One browser, one sign-in: its earlier cookies end, wherever they were copied to.
    await _end_sign_ins(runtime, sent)
    answer = JSONResponse({"signed_in": True}, headers=_NO_STORE)
    days, is_secure = settings.cookie.expiry_days, _is_https_there(request)
    set_cookie(answer, settings.cookie.name, value, days=days, is_secure=is_secure)
    return answer


async def _end(runtime: Runtime, request: Request) -> Response:
    """Ends the sign-in, wherever its cookie was copied to."""
    await _end_sign_ins(runtime, read_cookies(request.scope, runtime.settings))
    answer = JSONResponse({"signed_in": False}, headers=_NO_STORE)
    drop_cookie(answer, runtime.settings.cookie.name, is_secure=_is_https_there(request))
    return answer


def _is_https_there(request: Request) -> bool:
    """Whether the browser speaks https: its Origin is its own view of the address, right behind any proxy, without
    trusting headers of proxies."""
    return request.headers["origin"].startswith("https:")


async def _send_my_data(runtime: Runtime, request: Request, *, sent: SentFiles) -> Response:
    """Sends a person's own data as a file, if the sign-in cookie is there: Streamlit's /media would check none."""
    for value in read_cookies(request.scope, runtime.settings).sign_ins:
        caller = await runtime.sign_in.verify_cookie(value)
        if caller is not None and caller.kind == "member":
            pieces = await account.read_data(runtime.access, caller)
            how = {"media_type": "application/json", "disposition": _DISPOSITION}
            return sent.send(pieces, request, to=caller.owner, **how)
    raise NotSignedIn("Sign in first.")


async def _end_sign_ins(runtime: Runtime, sent: SentCookies) -> None:
    for value in (*sent.sign_ins, sent.bare_sign_in):
        caller = await runtime.sign_in.verify_cookie(value)
        if caller is not None and caller.sign_in_id is not None:
            await runtime.sign_in.revoke(caller.sign_in_id)


async def _read_ticket(request: Request, *, seconds: float) -> str | None:
    """The ticket in the body; None for another body, or if it does not come in time."""
    too_large = partial(too_large_error, _TICKET_BYTES)
    try:
        async with asyncio.timeout(seconds):
            pieces = read_pieces(request, limit=_TICKET_BYTES, max_wait=seconds, too_large=too_large)
            return _Ticket.model_validate_json(b"".join([piece async for piece in pieces])).ticket
    except (RequestError, TimeoutError, ValidationError):
        return None
