"""`/api/v1/files/…` and `/api/v2/files`: the files of one token, in Langflow's shapes.

Files of v1 belong to one flow, which the token must reach; files of v2 to every flow. A file of somebody else is
answered like one that does not exist.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import UploadFile

from flowground.api.incoming import (
    find_boundary,
    open_flow,
    open_form,
    read_pieces,
    refuse_compressed,
    refuse_field,
    verify_caller,
)
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Owner
from flowground.core.media_types import IMAGES, UNKNOWN, clean_name
from flowground.flows.wiring import WiredFlow
from flowground.runs.files import FileOffer, find_stamped, too_large_error, write_path, write_stamped_name
from flowground.store.runs import files
from flowground.store.runs.files import StoredFile

_FIELD = "file"
"""The form's field for the file, as Langflow's clients name it."""
_AROUND, _MOST_PARTS = 65_536, 50
"""The most bytes of a form beside its file, and the most parts of a form."""
_BLOCK = 262_144
_REFUSED: dict[int | str, dict[str, Any]] = {403: {"description": "No valid application token."}}
_LISTED: dict[int | str, dict[str, Any]] = {404: {"description": "No such flow or file for this token."}}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            }
        },
    }
}
_TOO_LARGE: dict[int | str, dict[str, Any]] = {
    413: {"description": "The file is over the limit."},
    422: {"description": "No form with a file, one that the flow does not take, or more than one may keep."},
}

router = APIRouter(tags=["files"], responses=_REFUSED)


@router.post("/api/v1/files/upload/{flow_id}", status_code=201, responses=_LISTED | _TOO_LARGE, openapi_extra=_FORM)
async def upload(request: Request, flow_id: str) -> Response:
    """A file for messages to this flow; the answer's `file_path` is what `files` of a run, or a tweak, names."""
    runtime, caller = await verify_caller(request)
    wired = await open_flow(runtime, caller, flow_id)
    kept = await _receive(runtime, caller, request, wired=wired)
    return JSONResponse({"flowId": wired.id, "file_path": write_path(kept)}, 201)


@router.get("/api/v1/files/list/{flow_id}", responses=_LISTED)
async def list_of_flow(request: Request, flow_id: str) -> dict[str, list[str]]:
    """Names of the token's files for this flow, newest first."""
    runtime, caller = await verify_caller(request)
    wired = await open_flow(runtime, caller, flow_id)
    found = await runtime.store.read(files.list_unsent, owners=[str(caller.owner)], flow_id=wired.id)
    return {"files": [write_stamped_name(file) for file in found]}


@router.get("/api/v1/files/download/{flow_id}/{file_name}", responses=_LISTED)
async def download(request: Request, flow_id: str, file_name: str) -> Response:
    """The bytes of one of the token's files for this flow."""
    runtime, caller = await verify_caller(request)
    return await send_file(runtime, await _find_of_flow(runtime, caller, flow_id, file_name))


@router.get("/api/v1/files/images/{flow_id}/{file_name}", responses=_LISTED)
async def image(request: Request, flow_id: str, file_name: str) -> Response:
    """As `download`, of an image and with its type."""
    runtime, caller = await verify_caller(request)
    file = await _find_of_flow(runtime, caller, flow_id, file_name)
    if file.reference.media_type not in IMAGES:
        raise _explain_missing()
    return await send_file(runtime, file, is_shown=True)


@router.delete("/api/v1/files/delete/{flow_id}/{file_name}", responses=_LISTED)
async def delete_of_flow(request: Request, flow_id: str, file_name: str) -> dict[str, str]:
    """Deletes one of the token's files for this flow; what messages were sent with stays with them."""
    runtime, caller = await verify_caller(request)
    await _delete(runtime, await _find_of_flow(runtime, caller, flow_id, file_name))
    return {"message": f"File {file_name} deleted successfully"}


@router.post("/api/v2/files", include_in_schema=False, status_code=201)
@router.post("/api/v2/files/", status_code=201, responses=_TOO_LARGE, openapi_extra=_FORM)
async def upload_for_all(request: Request) -> Response:
    """A file for every flow. A name that is taken gets a number."""
    runtime, caller = await verify_caller(request)
    return JSONResponse(_describe_new(await _receive(runtime, caller, request)), 201)


@router.get("/api/v2/files", include_in_schema=False)
@router.get("/api/v2/files/")
async def list_for_all(request: Request) -> list[dict[str, Any]]:
    """The token's files for every flow, newest first."""
    runtime, caller = await verify_caller(request)
    found = await runtime.store.read(files.list_unsent, owners=[str(caller.owner)], flow_id=None)
    return [_describe(file) for file in found]


@router.delete("/api/v2/files", include_in_schema=False)
@router.delete("/api/v2/files/")
async def delete_all(request: Request) -> dict[str, str]:
    """Deletes all of the token's files for every flow."""
    runtime, caller = await verify_caller(request)
    mine = [str(caller.owner)]
    while found := await runtime.store.read(files.list_unsent, owners=mine, flow_id=None):
        for file in found:
            await _delete(runtime, file)
    return {"message": "All files deleted successfully"}


@router.get("/api/v2/files/{file_id}", responses=_LISTED)
async def get_file(request: Request, file_id: str) -> Response:
    """The bytes of one of the token's files."""
    runtime, caller = await verify_caller(request)
    return await send_file(runtime, await _find_for_all(runtime, caller, file_id))


@router.put("/api/v2/files/{file_id}", responses=_LISTED)
async def rename_file(
    request: Request, file_id: str, name: Annotated[str, Query(min_length=1, max_length=300)]
) -> dict[str, Any]:
    """Gives one of the token's files another name; its ending stays."""
    runtime, caller = await verify_caller(request)
    file = await _find_for_all(runtime, caller, file_id)
    ending = PurePosixPath(file.reference.name).suffix
    cleaned = clean_name(name if name.endswith(ending) else f"{name}{ending}")
    await runtime.store.write(files.rename_file, key=file.reference.id, owners=[file.owner], name=cleaned)
    return _describe_new(await _find_for_all(runtime, caller, file_id))


@router.delete("/api/v2/files/{file_id}", responses=_LISTED)
async def delete_file(request: Request, file_id: str) -> dict[str, str]:
    """Deletes one of the token's files; what messages were sent with stays with them."""
    runtime, caller = await verify_caller(request)
    file = await _find_for_all(runtime, caller, file_id)
    await _delete(runtime, file)
    return {"detail": f"File {PurePosixPath(file.reference.name).stem} deleted successfully"}


async def send_file(runtime: Runtime, file: StoredFile, *, is_shown: bool = False) -> Response:
    """A response with the file's bytes, to be saved; with `is_shown`, as an image. No browser executes the content."""
    pieces: AsyncIterator[bytes] = await runtime.files.open_pieces(file.reference)
    kind = file.reference.media_type if is_shown and file.reference.media_type in IMAGES else UNKNOWN
    return StreamingResponse(pieces, media_type=kind, headers=write_headers(file, is_shown=kind != UNKNOWN))


def write_headers(file: StoredFile, *, is_shown: bool = False) -> Mapping[str, str]:
    """Headers that keep browsers from executing a file or guessing its type."""
    name = file.reference.name
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    named = f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return {
        "content-disposition": f"{'inline' if is_shown else 'attachment'}; {named}",
        "content-length": str(file.reference.size),
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "cache-control": "private, no-store",
    }


async def _receive(runtime: Runtime, caller: Caller, request: Request, *, wired: WiredFlow | None = None) -> StoredFile:
    owner = caller.owner
    accepts, of_flow = (wired.flow.chat.accepts, wired.flow.chat.file_bytes) if wired else (None, None)
    most = runtime.files.find_limit(owner, of_flow)
    with runtime.files.admit(owner):
        async with _open_upload(request, most=most, seconds=runtime.settings.limits.request_seconds) as sent:
            flow = wired.id if wired else None
            offer = FileOffer(owner, sent.filename or "", flow, accepts, of_flow, is_apart=wired is None)
            return await runtime.files.receive(_read_blocks(sent), offer)


@asynccontextmanager
async def _open_upload(request: Request, *, most: int, seconds: float) -> AsyncIterator[UploadFile]:
    """The first file in the form's field `file`, after it arrived; each piece has `seconds`, the whole ten times that.

    Raises InvalidRequest for a body that is no form with a file, BodyTooLarge, BodyCompressed, BodyTooSlow,
    ClientDisconnect.
    """
    refuse_compressed(request)
    refused = refuse_field("Send multipart/form-data with a file in the field `file`.", "form_invalid", "body", _FIELD)
    if not find_boundary(request.headers.get("content-type", "")):
        raise refused
    pieces = read_pieces(request, limit=most + _AROUND, max_wait=seconds, too_large=partial(too_large_error, most))
    async with open_form(request, pieces, max_files=_MOST_PARTS, max_fields=_MOST_PARTS) as form:
        sent = next((value for value in form.getlist(_FIELD) if isinstance(value, UploadFile)), None)
        if sent is None:
            raise refused
        yield sent


async def _read_blocks(sent: UploadFile) -> AsyncIterator[bytes]:
    while block := await sent.read(_BLOCK):
        yield block


async def _find_of_flow(runtime: Runtime, caller: Caller, flow_id: str, name: str) -> StoredFile:
    wired = await open_flow(runtime, caller, flow_id)
    mine = [str(caller.owner)]
    file = await find_stamped(runtime.store, wired.id, name, owners=mine)
    if file is None or file.flow_id != wired.id:
        raise _explain_missing()
    return file


async def _find_for_all(runtime: Runtime, caller: Caller, file_id: str) -> StoredFile:
    mine = [str(caller.owner)]
    file = await runtime.store.read(files.find_file, key=file_id, owners=mine)
    if file is None or file.flow_id is not None or file.message is not None:
        raise _explain_missing()
    return file


async def _delete(runtime: Runtime, file: StoredFile) -> None:
    await runtime.store.write(files.delete_file, key=file.reference.id, owners=[file.owner])
    runtime.forget_files()


def _explain_missing() -> HTTPException:
    return HTTPException(404, "File not found")


def _describe_new(file: StoredFile) -> dict[str, Any]:
    name = PurePosixPath(file.reference.name).stem
    return {
        "id": file.reference.id,
        "name": name,
        "path": write_path(file),
        "size": file.reference.size,
        "provider": None,
    }


def _describe(file: StoredFile) -> dict[str, Any]:
    """A file as a row of Langflow; `user_id` is the id of its owner."""
    at = file.created_at.isoformat().replace("+00:00", "Z")
    owner = Owner.read(file.owner).id
    return _describe_new(file) | {"user_id": owner, "created_at": at, "updated_at": at}
