"""Chats that members share inside the organization: who may make links, and who may read by them.

A link is read by whoever is signed in and may open its flow, as long as its maker is a member who may. Links that are
unknown, expired, revoked or not for the reader look the same, and cost the same questions.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from flowground.access import Access
from flowground.core.caller import Caller, Owner
from flowground.core.errors import FlowNotFound, InvalidRequest
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import shared_chats
from flowground.store.runs.shared_chats import SharedChat, SharedChatPage, SharedMessages
from flowground.store.sql import make_storable

_NOWHERE = "nowhere"
_SAYS = "Sharing a chat needs an account."


@dataclass(frozen=True, slots=True)
class OpenedChat:
    """What a reader is shown above the messages. `by` is the maker's name, as colleagues see it."""

    chat: SharedChat
    wired: WiredFlow
    by: str


async def share_chat(
    access: Access, caller: Caller, *, flow_id: str, session_id: str, expires_at: datetime | None
) -> SharedChat:
    """A new link to what was said until now. Raises NotSignedIn, NotAllowed, FlowNotFound, InvalidRequest."""
    caller = await access.require_member(caller, _SAYS)
    wired = await access.open_flow(caller, flow_id)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest("The expiry date has passed already.")
    place = {"flow_id": wired.id, "owner": str(caller.owner), "session_id": session_id}
    return await access.store.write(shared_chats.share, **place, expires_at=expires_at)


async def list_links(access: Access, caller: Caller, *, flow_id: str, session_id: str) -> list[SharedChat]:
    """Those of one conversation of the caller's."""
    caller = await access.require_member(caller, _SAYS)
    place = {"flow_id": flow_id, "owner": str(caller.owner), "session_id": session_id}
    return await access.store.read(shared_chats.list_of_session, **place)


async def list_own(
    access: Access, caller: Caller, words: str = "", *, offset: int = 0, limit: int = 25
) -> SharedChatPage:
    """A page of the caller's links; with words, those that have all of them in the title or the flow's id."""
    caller = await access.require_member(caller, _SAYS)
    return await access.store.read(
        shared_chats.list_of_owner, owner=str(caller.owner), words=words, offset=offset, limit=limit
    )


async def renew_link(access: Access, caller: Caller, key: str) -> bool:
    """It shares what was said until now. False where the caller has no such link. Raises FlowNotFound where its flow
    is not theirs to open any more."""
    caller = await access.require_member(caller, _SAYS)
    owner = str(caller.owner)
    found = await access.store.read(shared_chats.find, key=key)
    if found is None or found.owner != owner:
        return False
    if (await access.open_flow(caller, found.flow_id)).id != found.flow_id:
        raise FlowNotFound(found.flow_id)  # another flow has the name that this one had
    return await access.store.write(shared_chats.renew, owner=owner, key=key)


async def revoke_link(access: Access, caller: Caller, key: str) -> bool:
    """False where the caller has no such link."""
    caller = await access.require_member(caller, _SAYS)
    is_gone = await access.store.write(shared_chats.revoke, owner=str(caller.owner), key=key)
    access.store.empty_log()
    return is_gone


async def open_shared(access: Access, caller: Caller, key: str) -> OpenedChat | None:
    """None for links that are not good, and not for this reader. Raises NotSignedIn, and NotAllowed for no member."""
    caller = await access.require_member(caller, "Sign in to read this.")
    found = await access.store.read(shared_chats.find, key=make_storable(key[:100]))
    maker = Owner.read(found.owner).id if found else _NOWHERE
    flow_id = found.flow_id if found else _NOWHERE
    member = await access.sign_in.roster.find(maker)
    stand_in = Caller("member", maker, member.role if member else "member")
    is_open_to_maker = await access.may_open(stand_in, flow_id)
    try:
        wired = await access.open_flow(caller, flow_id)
    except FlowNotFound:
        return None
    if found is None or found.is_expired or member is None or not member.is_active or not is_open_to_maker:
        return None
    if wired.id != found.flow_id:  # another flow has the name that this one had
        return None
    return OpenedChat(found, wired, member.display_name)


async def read_page(access: Access, opened: OpenedChat, *, offset: int, limit: int = 25) -> SharedMessages:
    """Some of what the link shares that was opened just now; nothing where it is gone meanwhile."""
    return await access.store.read(shared_chats.read_page, key=opened.chat.id, offset=offset, limit=limit)
