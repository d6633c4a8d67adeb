"""Chats that members share inside the organization: who may make links, and who may read them.

A link can be read by signed-in members who may open its flow, as long as its maker is a member who may open it too.
Links that are unknown, expired, revoked or closed to the reader look the same, and take the same queries.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Unpack

from flowground.access import Access, AskedPage
from flowground.core.caller import Caller, Owner
from flowground.core.errors import FlowNotFound, InvalidRequest
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import shared_chats
from flowground.store.runs.shared_chats import SharedChat, SharedMessage
from flowground.store.sql import make_storable

_NOWHERE = "nowhere"
_SAYS = "Sharing a chat needs an account."


@dataclass(frozen=True, slots=True)
class OpenedChat:
    """A shared chat that its reader may see. `by` is the maker's name, as colleagues see it."""

    chat: SharedChat
    wired: WiredFlow
    by: str


async def share_chat(
    access: Access, caller: Caller, *, flow_id: str, session_id: str, expires_at: datetime | None
) -> SharedChat:
    """A new link to the conversation as it is now. Raises NotSignedIn, NotAllowed, FlowNotFound, InvalidRequest."""
    caller = await access.require_member(caller, _SAYS)
    wired = await access.open_flow(caller, flow_id)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest("The expiry date has passed already.")
    place = {"flow_id": wired.id, "owner": str(caller.owner), "session_id": session_id}
    return await access.store.write(shared_chats.share, **place, expires_at=expires_at)


async def list_links(access: Access, caller: Caller, *, flow_id: str, session_id: str) -> list[SharedChat]:
    """The links to one conversation of the caller's."""
    caller = await access.require_member(caller, _SAYS)
    place = {"flow_id": flow_id, "owner": str(caller.owner), "session_id": session_id}
    return await access.store.read(shared_chats.list_of_session, **place)


async def list_own(access: Access, caller: Caller, **page: Unpack[AskedPage]) -> tuple[list[SharedChat], int]:
    """A page of the caller's links, and how many there are; words are searched in the title and the flow's id."""
    caller = await access.require_member(caller, _SAYS)
    return await access.store.read(shared_chats.list_of_owner, owner=str(caller.owner), **page)


async def renew_link(access: Access, caller: Caller, key: str) -> bool:
    """Makes the link share the conversation as it is now. False where the caller has no such link. Raises FlowNotFound
    where they may no longer open its flow."""
    caller = await access.require_member(caller, _SAYS)
    owner = str(caller.owner)
    found = await access.store.read(shared_chats.find, key=key)
    if found is None or found.owner != owner:
        return False
    if (await access.open_flow(caller, found.flow_id)).id != found.flow_id:
        raise FlowNotFound(found.flow_id)  # another flow has the name that this one had
    return await access.store.write(shared_chats.renew, owner=owner, key=key)


async def revoke_link(access: Access, caller: Caller, key: str) -> bool:
    """Revokes a link. False where the caller has no such link."""
    caller = await access.require_member(caller, _SAYS)
    is_gone = await access.store.write(shared_chats.revoke, owner=str(caller.owner), key=key)
    access.store.empty_log()
    return is_gone


async def open_shared(access: Access, caller: Caller, key: str) -> OpenedChat | None:
    """The chat behind a link; None for invalid links and those closed to the reader. Raises NotSignedIn, NotAllowed."""
    caller = await access.require_member(caller, "Sign in to read this.")
    found = await access.store.read(shared_chats.find, key=make_storable(key[:100]))
    maker = Owner.read(found.owner).id if found else _NOWHERE
    flow_id = found.flow_id if found else _NOWHERE
    member = await access.sign_in.roster.find(maker)
    owner = Caller("member", maker, member.role if member else "member")
    is_open_to_maker = await access.may_open(owner, flow_id)
    try:
        wired = await access.open_flow(caller, flow_id)
    except FlowNotFound:
        return None
    if found is None or found.is_expired or member is None or not member.is_active or not is_open_to_maker:
        return None
    if wired.id != found.flow_id:  # another flow has the name that this one had
        return None
    return OpenedChat(found, wired, member.display_name)


async def read_page(access: Access, opened: OpenedChat, *, offset: int) -> tuple[list[SharedMessage], int]:
    """A page of the messages of an opened chat, and their number; none where the link was revoked meanwhile."""
    return await access.store.read(shared_chats.read_page, key=opened.chat.id, offset=offset)
