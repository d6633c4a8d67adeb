"""Reads and writes flow files for people at a page.

Every function with a caller raises NotSignedIn, FlowNotFound for callers who do not see the inside of flows, and
NotAllowed for callers who may not write the file.
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
from flowground.access.insides import read_file
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
    """The file was changed by somebody else meanwhile."""

    says = "The file was changed meanwhile."
    hint = "Open this anew."


async def open_flow_file(access: Access, caller: Caller, file: str) -> bytes:
    """The bytes of a file that is to be edited. Raises InvalidRequest where it cannot be read, or is no UTF-8 text."""
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
    """The flow that `data` describes, and its warnings; or None and its mistakes."""
    await _admit(access, caller, file)
    return await access.catalogue.read_draft(file, data, names_secrets=caller.kind == "local")


async def replace_flow_file(access: Access, caller: Caller, file: str, *, before: str, after: bytes) -> None:
    """Replaces the file; the flow runs with the new content when this returns.

    Raises FlowError where `after` is no valid flow; FileChanged where `before` is not the digest of the file's present
    content; InvalidRequest where the file cannot be written.
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
    """Makes `content` the caller's draft: it answers in their own playground of the flow, for nobody else.

    Raises FlowError where `content` is no valid flow, and InvalidRequest where it is a flow with another id.
    """
    wired = await _require_flow(access, caller, file, content)
    served = access.catalogue.find(wired.id)
    if served is None or served.flow.file != file:
        raise InvalidRequest("A flow with another id than before cannot be tried.", hint="Save it first.")
    await access.store.write(audit.record, actor=str(caller.owner), action="flow.tried", subject=file)
    access.drafts.put(str(caller.owner), FlowDraft(wired, content, before))
    access.store.on_rights_change()


async def drop_draft(access: Access, caller: Caller, flow_id: str) -> None:
    """Drops the caller's draft: the saved flow answers them again."""
    access.drafts.drop(str((await access.recheck(caller)).owner), flow_id)
    access.store.on_rights_change()


async def _admit(access: Access, caller: Caller, file: str) -> tuple[Caller, WiredFlow | None]:
    """Checks that the caller may write this file of the folder now; the caller, and the flow that the file serves."""
    inside = await read_file(access, caller, file)
    caller = await access.recheck(caller)
    access.require_writer(caller, may=may_change(access, caller, inside.wired))
    return caller, inside.wired


def may_change(access: Access, caller: Caller, wired: WiredFlow | None) -> bool:
    """Whether this person may change the file of a flow; only admins change a file that serves no flow (None)."""
    return access.may_write(caller, wired) and (wired is not None or caller.role == "admin")


def make_digest(data: bytes) -> str:
    """SHA-256 of a file's content, by which a change is noticed."""
    return hashlib.sha256(data).hexdigest()


def write_shown(data: bytes) -> str:
    """A file's text for a browser's field: without a byte order mark, with LF as every line end."""
    return _end_alike(data.removeprefix(_BOM)).decode()


def _end_alike(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def write_changed(before: bytes, text: str) -> bytes:
    """The new content of a file whose text was edited in a field of a browser.

    Bytes before and after the edited lines stay as they were. An edited line that replaces another keeps its line end;
    added lines get the line end that most of the file has.
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
    if caller.role != "admin" and not is_there:  # sharing and conversations belong to an address
        raise InvalidRequest("Only admins change the `id` or the `endpoint_name` of a flow.", hint="Ask one of them.")
    return wired


async def _read(access: Access, file: str) -> bytes:
    try:
        return await access.catalogue.read_bytes(file)
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from None


def _replace(path: Path, before: str, after: bytes) -> None:
    """Replaces the file's content atomically; a symbolic link is followed. Raises FileChanged and InvalidRequest."""
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
    """Writes a new file into the folder of flows; the flow can be opened when this returns.

    Raises NotAllowed for callers who may not write flow files; InvalidRequest where the address is taken, or the folder
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


def require_free_address(access: Access, draft: DraftedFlow) -> None:
    """Raises InvalidRequest where a flow, or a file with mistakes, has the address of this draft."""
    if access.catalogue.find(draft.id) or access.catalogue.find_broken_file(draft.id):
        raise InvalidRequest(f"There is already a flow at {draft.id}.", hint="Choose another name or address.")
