"""A flow's file as its authors see it, and as the owner of a server that serves only their own computer changes it."""

import asyncio
import os
import secrets
import shutil
from pathlib import Path

from flowground.access import Access
from flowground.access.insides import open_inside
from flowground.caller import Caller
from flowground.errors import InvalidRequest, NotAllowed
from flowground.flow.parse import parse_flow
from flowground.wiring import wire

_CHANGED = "The file was changed meanwhile."


async def read_flow_file(access: Access, caller: Caller, flow_id: str) -> bytes:
    """As it is now. Raises FlowNotFound for who does not see the inside of the flow, InvalidRequest where it cannot be
    read."""
    return await asyncio.to_thread(_read, await _find(access, caller, flow_id))


async def replace_flow_file(
    access: Access, caller: Caller, flow_id: str, *, before: bytes, after: bytes, max_bytes: int
) -> None:
    """Writes the file anew; the flow runs as it says when this returns.

    Raises NotAllowed for everybody but the local owner, once they gave the owner code; FlowError where what it would
    say is no flow; InvalidRequest where the file is not as it was `before`, or cannot be written.
    """
    caller = await access.recheck(caller)
    access.require_lasting(caller)
    if caller.kind != "local":
        raise NotAllowed("Pages can write files in local mode only.", hint="Write it into the file yourself.")
    path = await _find(access, caller, flow_id)
    wire(parse_flow(after, path.name, max_bytes=max_bytes), servers=access.catalogue.servers)
    await asyncio.to_thread(_replace, path, before, after)
    await access.catalogue.read_now()


async def _find(access: Access, caller: Caller, flow_id: str) -> Path:
    _, wired = await open_inside(access, caller, flow_id)
    return access.catalogue.folder / wired.flow.file


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path.name} cannot be read: {error.strerror}.") from None


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Whole or not at all; where the name is a link, what it leads to."""
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            beside.write_bytes(after)
            shutil.copymode(path, beside)
            if path.read_bytes() != before:
                raise InvalidRequest(_CHANGED, hint="Open this anew.")
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidRequest(f"{path.name} cannot be written: {error.strerror}.") from None
