"""What members do with their own account: password, sign-ins, files, their data; and how anybody deletes their chats.

Every function raises NotSignedIn once the caller is signed out. All but those that delete one chat raise NotAllowed for
a caller who is no member.
"""

import json
import time
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any, Unpack

from flowground.access import Access, AskedPage
from flowground.core.caller import Caller
from flowground.core.errors import InvalidRequest
from flowground.store import Store
from flowground.store.people import access_requests, groups, sign_ins, tokens
from flowground.store.people.sign_ins import BrowserSignIn
from flowground.store.runs import erasing, files, shared_chats, transcripts
from flowground.store.runs.conversations import list_owners
from flowground.store.runs.files import StoredFile
from flowground.store.sql import encode_json

_MOST_SIGN_INS = _MOST_FILES = 10_000
"""The newest sign-ins and files that `read_data` lists."""


async def change_password(access: Access, caller: Caller, old: str, new: str, *, address: str) -> None:
    """Sets a new password and ends every sign-in, also this one; the page signs its browser in again.

    Raises InvalidRequest when the old password is wrong or the new one may not be one, NotSignedIn (`locked_out`)
    after too many wrong ones from this address.
    """
    caller = await access.require_member(caller)
    member = await access.sign_in.roster.find(caller.id)
    if member is None or await access.sign_in.check_password(member.name, old, address) is None:
        raise InvalidRequest("This is not your current password.")
    if old.strip() == new.strip():
        raise InvalidRequest("The new password is the same as the old one.")
    await access.sign_in.roster.set_password(caller.id, new, by=str(caller.owner))


async def show_as(access: Access, caller: Caller, display_name: str) -> None:
    """Changes the name that colleagues see. Raises InvalidRequest for an invalid name, NotAllowed for members of
    config.yaml, which has their name."""
    caller = await access.require_member(caller)
    await access.sign_in.roster.show_as(caller.id, display_name, by=str(caller.owner))


async def find_sign_ins(access: Access, caller: Caller, **page: Unpack[AskedPage]) -> tuple[list[BrowserSignIn], int]:
    """A page of the caller's sign-ins, newest first, and how many there are on all pages; `caller.sign_in_id` is this
    browser's. Words are searched in names of browsers."""
    caller = await access.require_member(caller)
    return await access.store.read(sign_ins.find_page, member=caller.id, **page)


async def sign_out(access: Access, caller: Caller, sign_in_id: str) -> bool:
    """Signs one of the caller's browsers out. False when it was not signed in, or is not theirs."""
    caller = await access.require_member(caller)
    return await access.sign_in.revoke(sign_in_id, member=caller.id)


async def find_files(access: Access, caller: Caller, **page: Unpack[AskedPage]) -> tuple[list[StoredFile], int]:
    """A page of the files of the caller and their tokens, newest first, and the count; words are searched in names."""
    caller = await access.require_member(caller)
    return await access.store.read(files.list_page, owners=list_owners(caller.id), **page)


async def delete_file(access: Access, caller: Caller, key: str) -> bool:
    """Deletes a file of the caller's; its message stays and names the file. False when the file is not theirs."""
    caller = await access.require_member(caller)
    owners = list_owners(caller.id)
    is_deleted = await access.store.write(files.delete_file, key=key, owners=owners)
    access.store.on_erasure()
    return is_deleted


async def read_data(access: Access, caller: Caller) -> AsyncIterator[str]:
    """Pieces of a JSON file with all data of the caller: profile, groups, sign-ins, tokens, requests, conversations.

    Traces of flows are left out: they belong to the flows' authors. The data is read in parts, however much it is.
    """
    caller = await access.require_member(caller)
    began = time.time()
    owners = list_owners(caller.id)
    head = json.dumps(await _describe_person(access, caller), ensure_ascii=False, indent=1, default=datetime.isoformat)
    return _write_data(access.store, head.removesuffix("\n}"), owners, began)


async def _write_data(store: Store, head: str, owners: Sequence[str], until: float) -> AsyncIterator[str]:
    yield f'{head},\n "conversations": ['
    before, end = "\n", ""
    keys = await store.read(transcripts.list_keys, owners=owners, until=until)
    while keys:
        for _, key in keys:
            part = await store.read(transcripts.read_exported, key=key)
            if part:
                facts = {"flow": part.flow, "session": part.session, "title": part.title}
                yield f'{end}{before}{encode_json(facts)[:-1]},"messages":[\n'
                before, end = ",\n", "\n]}"
            between = ""
            while part:
                yield between + ",\n".join(map(encode_json, part.messages))
                between = ",\n"
                part = await store.read(transcripts.read_exported, key=key, after=part.end) if part.end else None
        keys = await store.read(transcripts.list_keys, owners=owners, until=until, after=keys[-1])
    yield f"{end}\n ]\n}}\n"


async def _describe_person(access: Access, caller: Caller) -> dict[str, Any]:
    """The data of the caller without their conversations."""
    read = access.store.read
    member = await access.sign_in.roster.find(caller.id)
    signed_in, _ = await read(sign_ins.find_page, member=caller.id, limit=_MOST_SIGN_INS)
    owners = list_owners(caller.id)
    shared, _ = await read(shared_chats.list_of_owner, owner=str(caller.owner), limit=shared_chats.MOST_OWN)
    return {
        "name": member.name if member else None,
        "id": caller.id,
        "display_name": member.display_name if member else None,
        "email": member.email if member else None,
        "role": caller.role,
        "groups": (await read(groups.list_names_of, members=[caller.id])).get(caller.id, []),
        "sign_ins": [{"since": one.created_at, "until": one.expires_at, "browser": one.agent} for one in signed_in],
        "tokens": [
            {
                "name": token.name,
                "begins": token.prefix,
                "sees": token.sees,
                "sets": token.sets,
                "created": token.created_at,
                "used": token.last_used_at,
            }
            for token in await read(tokens.list_tokens, owner=caller.id)
        ],
        "access_requests": [
            {"flow": request.flow_id, "note": request.note, "at": request.created_at, "state": state}
            for request, state in await read(access_requests.list_requests, member=caller.id)
        ],
        "files": [
            {
                "id": file.reference.id,
                "name": file.reference.name,
                "type": file.reference.media_type,
                "bytes": file.reference.size,
                "sha256": file.reference.sha256,
                "flow": file.flow_id,
                "added": file.created_at,
            }
            for file in (await read(files.list_page, owners=owners, limit=_MOST_FILES))[0]
        ],
        "shared_chats": [
            {"flow": link.flow_id, "title": link.title, "as_of": link.created_at, "until": link.expires_at}
            for link in shared
        ],
    }


async def delete_conversations(access: Access, caller: Caller) -> int:
    """Deletes all conversations of the caller and their tokens; returns how many there were."""
    caller = await access.require_member(caller)
    owners = list_owners(caller.id)
    await access.end_turns(owners, None, None)
    until = time.time()
    found = await access.store.write(transcripts.begin_deletion, owners=owners, by=str(caller.owner))
    await access.store.erase(erasing.erase_conversations, owners=owners, until=until)
    return found


async def delete_conversation(access: Access, caller: Caller, *, flow_id: str, session_id: str) -> None:
    """Deletes one conversation of the caller with this flow, if it exists. Raises as `Access.recheck`."""
    owner = str((await access.recheck(caller)).owner)
    await delete_session(access, owners=[owner], session_id=session_id, flows=[flow_id])


async def delete_session(
    access: Access, *, owners: Collection[str], session_id: str, flows: Collection[str] | None
) -> None:
    """Deletes these owners' conversations with this id, in these flows; None: in every flow."""
    await access.end_turns(owners, flows, session_id)
    await access.store.erase(erasing.erase_conversations, owners=owners, session_id=session_id, flows=flows)
