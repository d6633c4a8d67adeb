"""Conversations that their people delete: what is being said in them is stopped, then nothing of them is left."""

from collections.abc import Collection

from flowground.access import Access
from flowground.caller import Caller
from flowground.store.runs import erasing


async def delete_conversation(access: Access, caller: Caller, *, flow_id: str, session_id: str) -> None:
    """One of the caller's own with this flow, if it is there. Raises as `Access.recheck`."""
    owner = str((await access.recheck(caller)).owner)
    await access.end_turns([owner], [flow_id], session_id)
    await access.store.erase(erasing.erase_conversation, flow_id=flow_id, owner=owner, session_id=session_id)


async def delete_session(
    access: Access, *, owners: Collection[str], session_id: str, flows: Collection[str] | None
) -> None:
    """These owners' conversations with this id, in these flows; None: in every flow."""
    await access.end_turns(owners, flows, session_id)
    await access.store.erase(erasing.erase_conversations, owners=owners, session_id=session_id, flows=flows)
