"""The routes by which a page adds files to a message or a knowledge, shows, saves and deletes them: by cookie alone.

A body is the file itself, taken in as it comes. Unknown and another's look alike.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from flowground import shelving
from flowground.api.body import read_pieces
from flowground.api.errors import find_status
from flowground.api.files import send_file
from flowground.caller import Caller, Owner
from flowground.errors import FlowgroundError, FlowNotFound, NotSignedIn
from flowground.files import FileGone, FileOffer, say_too_large
from flowground.files.seen import NO_IMAGES, may_see_images
from flowground.media_types import IMAGES
from flowground.runtime import Runtime
from flowground.store.runs import files
from flowground.store.runs.conversations import list_owners
from flowground.store.runs.files import StoredFile
from flowground.web.origin import find_own_origin, is_own_download
from flowground.web.refusal import explain_missing
from flowground.web.sent_files import refuse_file, require_caller

_NOT_OURS = "This does not come from a page of this server."
_SIGN_IN = "Sign in first."


def make_page_file_routes(runtime: Callable[[], Runtime]) -> list[BaseRoute]:
    """`POST /file/upload?flow=…&name=…`, `GET /file/download?id=…`, `GET /file/image?id=…`, `POST /file/delete?id=…`;
    from a shareable playground with `&flow=…&at=public`. `POST /file/knowledge?flow=…&knowledge=…&name=…`, without
    `flow` for what all flows share."""

    async def upload(request: Request) -> Response:
        return await _add_file(runtime(), request)

    async def add(request: Request) -> Response:
        return await _add_to_knowledge(runtime(), request)

    async def download(request: Request) -> Response:
        return await _send(runtime(), request, is_shown=False)

    async def show(request: Request) -> Response:
        return await _send(runtime(), request, is_shown=True)

    async def delete(request: Request) -> Response:
        return await _delete(runtime(), request)

    return [
        Route("/file/upload", upload, methods=["POST"]),
        Route("/file/knowledge", add, methods=["POST"]),
        Route("/file/download", download, methods=["GET"]),
        Route("/file/image", show, methods=["GET"]),
        Route("/file/delete", delete, methods=["POST"]),
    ]


async def _add_file(runtime: Runtime, request: Request) -> Response:
    """Keeps the file until a message has it, a day at most; what the page is told of it."""

    async def keep() -> StoredFile:
        asked = request.query_params
        caller = await _find_caller(runtime, request)
        wired = await runtime.access.open_flow(caller, asked.get("flow", ""))
        unseen = None if may_see_images(wired, runtime.models) else NO_IMAGES
        offer = FileOffer(
            *(caller.owner, asked.get("name", ""), wired.id, wired.flow.chat.accepts, wired.flow.chat.file_bytes),
            no_images=unseen,
        )
        with runtime.files.admit(caller.owner):
            return await runtime.files.receive(_read_body(runtime, request, caller.owner, offer.most), offer)

    return await _answer_upload(runtime, request, keep)


async def _add_to_knowledge(runtime: Runtime, request: Request) -> Response:
    """Keeps the file until it is removed; what the page is told of it."""

    async def keep() -> StoredFile:
        asked = request.query_params
        caller = await require_caller(runtime, request)
        pieces = _read_body(runtime, request, caller.owner)
        place = (asked.get("flow", ""), asked.get("knowledge", ""))
        return await shelving.add_file(runtime, caller, *place, file_name=asked.get("name", ""), pieces=pieces)

    return await _answer_upload(runtime, request, keep)


def _read_body(runtime: Runtime, request: Request, owner: Owner, of_flow: int | None = None) -> AsyncIterator[bytes]:
    most, patience = runtime.files.find_limit(owner, of_flow), runtime.settings.limits.request_seconds
    return read_pieces(request, limit=most, patience=patience, too_large=partial(say_too_large, most))


async def _answer_upload(
    runtime: Runtime, request: Request, keep: Callable[[], Coroutine[Any, Any, StoredFile]]
) -> Response:
    if find_own_origin(request.scope, runtime.settings.public_url) is None:
        return refuse_file(_NOT_OURS)
    try:
        kept = (await keep()).reference
    except NotSignedIn:
        return refuse_file(_SIGN_IN)
    except FlowNotFound:
        return explain_missing(request.scope)
    except ClientDisconnect:
        return Response(status_code=499)
    except FlowgroundError as error:
        return JSONResponse({"detail": error.message, "hint": error.hint}, find_status(error))
    return JSONResponse({"id": kept.id, "name": kept.name, "type": kept.media_type, "size": kept.size}, 201)


async def _send(runtime: Runtime, request: Request, *, is_shown: bool) -> Response:
    if not is_own_download(request):
        return refuse_file(_NOT_OURS)
    try:
        file = await _find_file(runtime, request)
        if file is None or (is_shown and file.reference.media_type not in IMAGES):
            return explain_missing(request.scope)
        return await send_file(runtime, file, is_shown=is_shown)
    except NotSignedIn:
        return refuse_file(_SIGN_IN)
    except FileGone:
        return explain_missing(request.scope)


async def _delete(runtime: Runtime, request: Request) -> Response:
    if find_own_origin(request.scope, runtime.settings.public_url) is None:
        return refuse_file(_NOT_OURS)
    try:
        file = await _find_file(runtime, request)
    except NotSignedIn:
        return refuse_file(_SIGN_IN)
    if file is None:
        return explain_missing(request.scope)
    await runtime.store.write(files.delete_file, key=file.reference.id, owners=[file.owner])
    runtime.forget_files()
    return JSONResponse({"deleted": True}, headers={"cache-control": "no-store"})


async def _find_caller(runtime: Runtime, request: Request) -> Caller:
    """Raises NotSignedIn."""
    asked = request.query_params
    shared = asked.get("flow", "") if asked.get("at") == "public" else None
    return await require_caller(runtime, request, shared_flow=shared)


async def _find_file(runtime: Runtime, request: Request) -> StoredFile | None:
    """One of whoever asks; a member's programs are theirs too. Raises NotSignedIn."""
    caller = await _find_caller(runtime, request)
    owners = [str(caller.owner)]
    if caller.kind == "member":
        owners = await runtime.store.read(list_owners, member=caller.id)
    return await runtime.store.read(files.find_file, key=request.query_params.get("id", ""), owners=owners)
