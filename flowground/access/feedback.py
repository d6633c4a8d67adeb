"""What people said of a flow's answers, for its owners: ratings, and conversations where people let them read those.

Every function that is given a caller raises NotSignedIn, FlowNotFound, and NotAllowed for who does not own the flow.
"""

import time
from collections.abc import AsyncIterator

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import NotAllowed
from flowground.store.runs import feedback
from flowground.store.runs.feedback import FeedbackFilter, FeedbackItem, FeedbackPage, FeedbackPlace, SharedConversation
from flowground.wiring import WiredFlow

WEEK = 7 * 86_400.0
MOST_LISTED = 10_000
"""Ratings that are listed in one go: for a file."""
_PART = 100


def may_read(access: Access, caller: Caller, wired: WiredFlow) -> bool:
    """Whether this is somebody who owns the flow and sees its inside, at a page."""
    return caller.kind in ("local", "member") and caller.sees_inside and access.may_publish(caller, wired)


async def count_bad(access: Access, caller: Caller, wired: WiredFlow) -> int:
    """Bad ratings of the last seven days, `MOST_COUNTED` at most; 0 for who may not read them."""
    if not may_read(access, caller, wired):
        return 0
    only = FeedbackFilter("bad", since=time.time() - WEEK)
    return await access.store.read(feedback.count_values, flow_id=wired.id, only=only)


async def count_ratings(access: Access, caller: Caller, address: str, only: FeedbackFilter) -> int:
    """How many there are, `MOST_COUNTED` at most."""
    wired = await open_own(access, caller, address)
    return await access.store.read(feedback.count_values, flow_id=wired.id, only=only)


async def list_page(
    access: Access, caller: Caller, address: str, only: FeedbackFilter, *, after: FeedbackPlace | None = None
) -> FeedbackPage:
    """Ratings, newest first, from behind a place on."""
    wired = await open_own(access, caller, address)
    return await access.store.read(feedback.list_page, flow_id=wired.id, only=only, after=after)


async def list_all(access: Access, caller: Caller, address: str, only: FeedbackFilter) -> AsyncIterator[FeedbackItem]:
    """Ratings, newest first, `MOST_LISTED` at most. Who asks is asked anew for each part that is read."""
    left, after = MOST_LISTED, None
    while left > 0:
        wired = await open_own(access, caller, address)
        limit = min(left, _PART)
        page = await access.store.read(feedback.list_page, flow_id=wired.id, only=only, after=after, limit=limit)
        for item in page.items:
            yield item
        left, after = left - limit, page.end
        if after is None:
            return


async def read_conversation(access: Access, caller: Caller, address: str, message_id: str) -> SharedConversation | None:
    """Up to this answer; None where there is none, or its person does not (or no longer) let the authors read it."""
    wired = await open_own(access, caller, address)
    return await access.store.read(feedback.read_conversation, flow_id=wired.id, message_id=message_id)


async def open_own(access: Access, caller: Caller, address: str) -> WiredFlow:
    """The flow, for who may read its feedback and usage."""
    caller = await access.recheck(caller)
    wired = await access.open_flow(caller, address)
    if not may_read(access, caller, wired):
        raise NotAllowed(f"Only the owners of {wired.name} can read its feedback and usage.")
    return wired
