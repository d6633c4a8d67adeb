"""A flow's file as its authors see it, and as those write it from a page who may write flow files.

Every function that is given a caller raises NotSignedIn, FlowNotFound for who does not see the inside of flows, and,
but for `read_flow_file`, NotAllowed for who may not write the file.
"""

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from itertools import chain, repeat, takewhile
from operator import eq
from pathlib import Path

from flowground.access import Access
from flowground.access.insides import open_inside, read_file
from flowground.core.caller import Caller
from flowground.core.errors import FlowError, InvalidRequest, Problem
from flowground.flows.folder import FlowDraft, list_addresses
from flowground.flows.templates import DraftedFlow, write_flow_file
from flowground.flows.wiring import WiredFlow
from flowground.store import audit, publications

_BOM = b"\xef\xbb\xbf"
_END = re.compile(rb"\r\n?|\n")
_replacing = threading.Lock()


class FileChanged(InvalidRequest):
    """The file is not as it was when its change began."""

    def __init__(self) -> None:
        super().__init__("The file was changed meanwhile.", hint="Open this anew.")


async def read_flow_file(access: Access, caller: Caller, flow_id: str) -> bytes:
    """As it is now. Raises InvalidRequest where it cannot be read."""
    _, wired = await open_inside(access, caller, flow_id)
    return await _read(access, wired.flow.file)


async def open_flow_file(access: Access, caller: Caller, file: str) -> bytes:
    """What is to be changed. Raises InvalidRequest where it cannot be read, or is no text."""
    await _admit(access, caller, file)
    data = await _read(access, file)
    try:
        data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file} is no UTF-8 text.", hint="Change it where the files are kept.") from None
    return data


async def check_flow_file(
    access: Access, caller: Caller, file: str, data: bytes
) -> tuple[WiredFlow | None, Sequence[Problem]]:
    """The flow that the file would be, and its warnings; or None and its mistakes."""
    await _admit(access, caller, file)
    return await access.catalogue.read_draft(file, data, names_secrets=caller.kind == "local")


async def replace_flow_file(access: Access, caller: Caller, file: str, *, before: str, after: bytes) -> None:
    """Writes the file anew; the flow runs as it says when this returns.

    Raises FlowError where what it would say is no flow; FileChanged where `before` is not the digest of what stands in
    it, and InvalidRequest where it cannot be written.
    """
    wired = await _require_flow(access, caller, file, after)
    if make_digest(await _read(access, file)) != before:
        raise FileChanged
    await access.store.write(audit.record, actor=str(caller.owner), action="flow.changed", subject=file)
    await asyncio.to_thread(_replace, access.catalogue.folder / file, before, after)
    await access.catalogue.read_now()
    access.drafts.drop(str(caller.owner), wired.id)
    access.store.on_rights_change()


async def try_flow_file(access: Access, caller: Caller, file: str, *, before: str, content: bytes) -> None:
    """From now on the caller's own playground of the flow runs as the file would say, for nobody else.

    Raises FlowError where that is no flow, and InvalidRequest where it is another one.
    """
    wired = await _require_flow(access, caller, file, content)
    served = access.catalogue.find(wired.id)
    if served is None or served.flow.file != file:
        raise InvalidRequest("A flow with another id than before cannot be tried.", hint="Save it first.")
    await access.store.write(audit.record, actor=str(caller.owner), action="flow.tried", subject=file)
    access.drafts.put(str(caller.owner), FlowDraft(wired, content, before))
    access.store.on_rights_change()


async def drop_draft(access: Access, caller: Caller, flow_id: str) -> None:
    """The flow as it is saved answers the caller again."""
    access.drafts.drop(str((await access.recheck(caller)).owner), flow_id)
    access.store.on_rights_change()


async def _admit(access: Access, caller: Caller, file: str) -> tuple[Caller, WiredFlow | None]:
    """To a file that is in the folder, for who may write it now; the flow that it is."""
    inside = await read_file(access, caller, file)
    caller = await access.recheck(caller)
    access.require_writer(caller, may=may_change(access, caller, inside.wired))
    return caller, inside.wired


def may_change(access: Access, caller: Caller, wired: WiredFlow | None) -> bool:
    """Whether this person may change the file of a flow; one that serves none has no owners but the admins."""
    return access.may_write(caller, wired) and (wired is not None or caller.role == "admin")


def make_digest(data: bytes) -> str:
    """By which a file is known again."""
    return hashlib.sha256(data).hexdigest()


def write_shown(data: bytes) -> str:
    """A file's text as a field of a browser has it: without a byte order mark, and all lines end alike."""
    return _end_alike(data.removeprefix(_BOM)).decode()


def _end_alike(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def write_changed(before: bytes, text: str) -> bytes:
    """What is in a file whose text was changed in a field of a browser.

    What stands before and after the change is as it was, byte by byte. Of the lines between, those that take the place
    of others end as these did, and further ones as most of the file do.
    """
    old = before.removeprefix(_BOM).splitlines(keepends=True)
    plain = [_end_alike(line) for line in old]
    new = _end_alike(text.encode()).splitlines(keepends=True)
    head = sum(takewhile(bool, map(eq, plain, new)))
    tail = sum(takewhile(bool, map(eq, reversed(plain[head:]), reversed(new[head:]))))
    rest = len(old) - tail
    ends = [found[0] if (found := _END.search(line)) else b"" for line in old]
    usual = Counter(filter(None, ends)).most_common(1)[0][0] if any(ends) else b"\n"
    own = chain(ends[head:rest], repeat(usual))
    changed = [line.replace(b"\n", end or usual) for line, end in zip(new[head : len(new) - tail], own, strict=False)]
    return before[: len(before) - sum(map(len, old))] + b"".join((*old[:head], *changed, *old[rest:]))


async def _require_flow(access: Access, caller: Caller, file: str, data: bytes) -> WiredFlow:
    wired, problems = await check_flow_file(access, caller, file, data)
    if wired is None:
        raise FlowError(problems)
    caller, served = await _admit(access, caller, file)
    is_there = served is not None and wired.id == served.id and {*list_addresses(wired)} <= {*list_addresses(served)}
    if caller.role != "admin" and not is_there:  # who is let in by an address, and what was said there, is another's
        raise InvalidRequest("Only admins change the `id` or the `endpoint_name` of a flow.", hint="Ask one of them.")
    return wired


async def _read(access: Access, file: str) -> bytes:
    try:
        return await access.catalogue.read_bytes(file)
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from None


def _replace(path: Path, before: str, after: bytes) -> None:
    """Whole or not at all; where the name is a link, what it leads to."""
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            beside.write_bytes(after)
            shutil.copymode(path, beside)
            with _replacing:
                if make_digest(path.read_bytes()) != before:
                    raise FileChanged
                os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidRequest(f"{path.name} cannot be written: {error.strerror}.") from None


async def write_flow(access: Access, caller: Caller, draft: DraftedFlow) -> None:
    """Writes the file into the folder of flows; the flow can be opened when this returns.

    Raises NotAllowed for who may not write flow files; InvalidRequest where there is such a flow already, or the folder
    cannot be written to.
    """
    caller = await access.recheck(caller)
    access.require_writer(caller, may=access.may_write(caller))
    await access.catalogue.refresh()
    require_free_address(access, draft)
    if caller.role != "admin" and await access.store.read(publications.was_used, flow_id=draft.id):
        says = f"There was a flow at {draft.id} before, and its chats and who may open it would be this one's."
        raise InvalidRequest(says, hint="Choose another address, or ask an admin.")
    folder = access.catalogue.folder
    await access.store.write(audit.record, actor=str(caller.owner), action="flow.added", subject=draft.file)
    await asyncio.to_thread(write_flow_file, folder, draft, shown=f"{folder.name}/{draft.file}")
    await access.catalogue.read_now()


def may_write_into(folder: Path) -> bool:
    """Whether this process may put files into a folder, or make the folder where it is not there."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def require_free_address(access: Access, draft: DraftedFlow) -> None:
    """Raises InvalidRequest where a flow, or a file with mistakes, has the address of this draft."""
    if access.catalogue.find(draft.id) or access.catalogue.find_broken_file(draft.id):
        raise InvalidRequest(f"There is already a flow at {draft.id}.", hint="Choose another name or address.")
