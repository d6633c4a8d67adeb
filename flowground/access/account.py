"""What members do with their own account: password, sign-ins, and what is kept of them.

Every function raises NotSignedIn once the caller is signed out, and NotAllowed for a caller who is no member.
"""

import asyncio
import json
from datetime import datetime
from typing import Any

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import InvalidRequest
from flowground.sign_in.signed_cookies import Device
from flowground.store.people import access_requests, groups, sign_ins, tokens
from flowground.store.people.sign_ins import BrowserSignIn
from flowground.store.runs import transcripts


async def change_password(
    access: Access, caller: Caller, old: str, new: str, *, address: str, device: Device | None = None
) -> None:
    """Ends every sign-in, this one too: the page goes on by signing its browser in anew, with a new cookie.

    Raises InvalidRequest when the old password is wrong or the new one may not be one, NotSignedIn (`locked_out`)
    after too many wrong ones from this address.
    """
    caller = await access.require_member(caller)
    if await access.sign_in.check_password(caller.name, old, address, device) is None:
        raise InvalidRequest("The present password is another one.")
    if old.strip() == new.strip():
        raise InvalidRequest("The new password is the old one.")
    await access.sign_in.roster.set_password(caller.name, new, by=caller.key)


async def list_sign_ins(access: Access, caller: Caller) -> list[BrowserSignIn]:
    """Where I am signed in, newest first; `caller.sign_in_id` is this browser's."""
    caller = await access.require_member(caller)
    return await access.store.read(sign_ins.list_sign_ins, member=caller.name)


async def sign_out(access: Access, caller: Caller, sign_in_id: str) -> bool:
    """Signs one of my browsers out. False when it was not signed in, or is not mine."""
    caller = await access.require_member(caller)
    return await access.sign_in.revoke(sign_in_id, member=caller.name)


async def collect_data(access: Access, caller: Caller) -> bytes:
    """A JSON file: who I am, my groups, sign-ins, tokens, requests, and all conversations, my tokens' too.

    What was said, not how: traces of flows are their authors'.
    """
    caller = await access.require_member(caller)
    read = access.store.read
    member = await access.sign_in.roster.find(caller.name)
    found: dict[str, Any] = {
        "name": caller.name,
        "display_name": member.display_name if member else None,
        "email": member.email if member else None,
        "role": caller.role,
        "groups": [group.name for group in await read(groups.list_groups) if caller.name in group.members],
        "sign_ins": [
            {"since": item.created_at, "until": item.expires_at, "browser": item.agent}
            for item in await read(sign_ins.list_sign_ins, member=caller.name)
        ],
        "tokens": [
            {"name": token.name, "begins": token.prefix, "created": token.created_at, "used": token.last_used_at}
            for token in await read(tokens.list_tokens, owner=caller.name)
        ],
        "access_requests": [
            {"flow": request.flow_id, "note": request.note, "at": request.created_at, "state": state}
            for request, state in await read(access_requests.list_requests, member=caller.name)
        ],
    }
    owners = await read(tokens.list_owner_keys, member=caller.name)
    found["conversations"] = await read(transcripts.export_conversations, owners=owners)
    return await asyncio.to_thread(_encode, found)


async def delete_conversations(access: Access, caller: Caller) -> int:
    """All of them, my tokens' too; how many there were."""
    caller = await access.require_member(caller)
    owners = await access.store.read(tokens.list_owner_keys, member=caller.name)
    return await access.store.write(transcripts.delete_all, owners=owners, by=caller.key)


def _encode(found: dict[str, Any]) -> bytes:
    """JSON made piece by piece: conversations may be large, and a thread helps only between calls into C."""
    written = bytearray()
    for piece in json.JSONEncoder(ensure_ascii=False, indent=1, default=datetime.isoformat).iterencode(found):
        written += piece.encode()
    return bytes(written)
