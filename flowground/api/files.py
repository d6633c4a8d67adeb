"""`/api/v1/files/…` and `/api/v2/files`: the files of one token, in Langflow's shapes.

Files of v1 belong to one flow, which the token must reach; files of v2 to every flow. A file of somebody else is
answered like one that does not exist.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import UploadFile

from flowground.api.incoming import (
    OpenFlow,
    TheCaller,
    TheRuntime,
    find_boundary,
    open_flow,
    open_form,
    read_pieces,
    refuse_compressed,
    refuse_field,
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
_MISSING = "File not found"
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

router = APIRouter(tags=["files"])


async def find_of_flow(runtime: TheRuntime, caller: TheCaller, flow_id: str, file_name: str) -> StoredFile:
    """One of the token's files for this flow."""
    wired = await open_flow(runtime, caller, flow_id)
    file = await find_stamped(runtime.store, wired.id, file_name, owners=[str(caller.owner)])
    if file is None or file.flow_id != wired.id:
        raise HTTPException(404, _MISSING)
    return file


async def find_for_all(runtime: TheRuntime, caller: TheCaller, file_id: str) -> StoredFile:
    """One of the token's files for every flow."""
    file = await runtime.store.read(files.find_file, key=file_id, owners=[str(caller.owner)])
    if file is None or file.flow_id is not None or file.message is not None:
        raise HTTPException(404, _MISSING)
    return file


FileOfFlow = Annotated[StoredFile, Depends(find_of_flow)]
FileForAll = Annotated[StoredFile, Depends(find_for_all)]


@router.post("/api/v1/files/upload/{flow_id}", status_code=201, responses=_LISTED | _TOO_LARGE, openapi_extra=_FORM)
async def upload(request: Request, runtime: TheRuntime, caller: TheCaller, wired: OpenFlow) -> Response:
    """A file for messages to this flow; the answer's `file_path` is what `files` of a run, or a tweak, names."""
    kept = await _receive(runtime, caller, request, wired=wired)
    return JSONResponse({"flowId": wired.id, "file_path": write_path(kept)}, 201)


@router.get("/api/v1/files/list/{flow_id}", responses=_LISTED)
async def list_of_flow(runtime: TheRuntime, caller: TheCaller, wired: OpenFlow) -> dict[str, list[str]]:
    """Names of the token's files for this flow, newest first."""
    found = await runtime.store.read(files.list_unsent, owners=[str(caller.owner)], flow_id=wired.id)
    return {"files": [write_stamped_name(file) for file in found]}


@router.get("/api/v1/files/download/{flow_id}/{file_name}", responses=_LISTED)
async def download(runtime: TheRuntime, file: FileOfFlow) -> Response:
    """The bytes of one of the token's files for this flow."""
    return await send_file(runtime, file)


@router.get("/api/v1/files/images/{flow_id}/{file_name}", responses=_LISTED)
async def image(runtime: TheRuntime, file: FileOfFlow) -> Response:
    """As `download`, of an image and with its type."""
    if file.reference.media_type not in IMAGES:
        raise HTTPException(404, _MISSING)
    return await send_file(runtime, file, is_shown=True)


@router.delete("/api/v1/files/delete/{flow_id}/{file_name}", responses=_LISTED)
async def delete_of_flow(request: Request, runtime: TheRuntime, file: FileOfFlow) -> dict[str, str]:
    """Deletes one of the token's files for this flow; what messages were sent with stays with them."""
    await drop_file(runtime, file)
    return {"message": f"File {request.path_params['file_name']} deleted successfully"}


@router.post("/api/v2/files", include_in_schema=False, status_code=201)
@router.post("/api/v2/files/", status_code=201, responses=_TOO_LARGE, openapi_extra=_FORM)
async def upload_for_all(request: Request, runtime: TheRuntime, caller: TheCaller) -> Response:
    """A file for every flow. A name that is taken gets a number."""
    return JSONResponse(_describe_new(await _receive(runtime, caller, request)), 201)


@router.get("/api/v2/files", include_in_schema=False)
@router.get("/api/v2/files/")
async def list_for_all(runtime: TheRuntime, caller: TheCaller) -> list[dict[str, Any]]:
    """The token's files for every flow, newest first."""
    found = await runtime.store.read(files.list_unsent, owners=[str(caller.owner)], flow_id=None)
    return [_describe(file) for file in found]


@router.delete("/api/v2/files", include_in_schema=False)
@router.delete("/api/v2/files/")
async def delete_all(runtime: TheRuntime, caller: TheCaller) -> dict[str, str]:
    """Deletes all of the token's files for every flow."""
    mine = [str(caller.owner)]
    while found := await runtime.store.read(files.list_unsent, owners=mine, flow_id=None):
        for file in found:
            await drop_file(runtime, file)
    return {"message": "All files deleted successfully"}


@router.get("/api/v2/files/{file_id}", responses=_LISTED)
async def get_file(runtime: TheRuntime, file: FileForAll) -> Response:
    """The bytes of one of the token's files."""
    return await send_file(runtime, file)


@router.put("/api/v2/files/{file_id}", responses=_LISTED)
async def rename_file(
    runtime: TheRuntime, file: FileForAll, name: Annotated[str, Query(min_length=1, max_length=300)]
) -> dict[str, Any]:
    """Gives one of the token's files another name; its ending stays."""
    ending = PurePosixPath(file.reference.name).suffix
    cleaned = clean_name(name if name.endswith(ending) else f"{name}{ending}")
    await runtime.store.write(files.rename_file, key=file.reference.id, owners=[file.owner], name=cleaned)
    return _describe_new(replace(file, reference=replace(file.reference, name=cleaned)))


@router.delete("/api/v2/files/{file_id}", responses=_LISTED)
async def delete_file(runtime: TheRuntime, file: FileForAll) -> dict[str, str]:
    """Deletes one of the token's files; what messages were sent with stays with them."""
    await drop_file(runtime, file)
    return {"detail": f"File {PurePosixPath(file.reference.name).stem} deleted successfully"}


async def send_file(runtime: Runtime, file: StoredFile, *, is_shown: bool = False) -> Response:
    """A response with the file's bytes, to be saved; with `is_shown`, as the image that it is. No browser executes the
    content, or guesses its type."""
    pieces = await runtime.files.open_pieces(file.reference)
    name = file.reference.name
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    named = f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {
        "content-disposition": f"{'inline' if is_shown else 'attachment'}; {named}",
        "content-length": str(file.reference.size),
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "cache-control": "private, no-store",
    }
    kind = file.reference.media_type if is_shown else UNKNOWN
    return StreamingResponse(pieces, media_type=kind, headers=headers)


async def _receive(runtime: Runtime, caller: Caller, request: Request, *, wired: WiredFlow | None = None) -> StoredFile:
    """Stores the first file in the form's field `file`, after it arrived.

    Raises InvalidRequest for a body that is no form with a file, BodyTooLarge, BodyCompressed, BodyTooSlow,
    ClientDisconnect.
    """
    owner = caller.owner
    accepts, of_flow = (wired.flow.chat.accepts, wired.flow.chat.file_bytes) if wired else (None, None)
    most = runtime.files.find_limit(owner, of_flow)
    seconds, too_large = runtime.settings.limits.request_seconds, partial(too_large_error, most)
    refused = refuse_field("Send multipart/form-data with a file in the field `file`.", "form_invalid", "body", _FIELD)
    with runtime.files.admit(owner):
        refuse_compressed(request)
        if not find_boundary(request.headers.get("content-type", "")):
            raise refused
        pieces = read_pieces(request, limit=most + _AROUND, max_wait=seconds, too_large=too_large)
        async with open_form(request, pieces, max_files=_MOST_PARTS, max_fields=_MOST_PARTS) as form:
            sent = next((value for value in form.getlist(_FIELD) if isinstance(value, UploadFile)), None)
            if sent is None:
                raise refused
            flow = wired.id if wired else None
            offer = FileOffer(owner, sent.filename or "", flow, accepts, of_flow, is_apart=wired is None)
            return await runtime.files.receive(_read_blocks(sent), offer)


async def _read_blocks(sent: UploadFile) -> AsyncIterator[bytes]:
    while block := await sent.read(_BLOCK):
        yield block


async def drop_file(runtime: Runtime, file: StoredFile) -> None:
    """Deletes the file; what messages were sent with stays with them."""
    await runtime.store.write(files.delete_file, key=file.reference.id, owners=[file.owner])
    runtime.forget_files()


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
