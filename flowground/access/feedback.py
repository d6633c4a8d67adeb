"""How people rate the answers they got; and, for a flow's owners, its ratings, the conversations that people let them
read, and its usage.

Every function that is given a caller raises as `Access.recheck` and `Access.open_flow`: NotSignedIn and FlowNotFound.
What is for owners raises NotAllowed for who does not own the flow. An answer that is not there, cannot be rated, or is
somebody else's is refused alike.
"""

import time
from collections.abc import AsyncIterator, Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import get_args

from flowground.access import Access
from flowground.core.caller import Caller
from flowground.core.errors import InvalidRequest, NotAllowed
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import feedback, usage
from flowground.store.runs.feedback import (
    REASON_CHARS,
    FeedbackFilter,
    FeedbackItem,
    FeedbackPage,
    FeedbackPlace,
    Rating,
    RatingLabel,
    RatingValue,
    SharedConversation,
)
from flowground.store.runs.usage import FlowUsage

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


@dataclass(frozen=True, slots=True)
class RatedPlace:
    """An answer in a conversation of the caller's."""

    flow_id: str
    session_id: str
    message_id: str


async def rate(access: Access, caller: Caller, place: RatedPlace, value: RatingValue | None) -> None:
    """Rates the answer, or takes the rating back, with all that was told with it. Raises InvalidRequest."""
    owner = await _find_owner(access, caller, place)
    if not await access.store.write(feedback.rate, **asdict(place), owner=owner, value=value):
        raise InvalidRequest("This answer cannot be rated.")
    access.store.empty_log()  # another value deletes a reason


async def find_rating(access: Access, caller: Caller, place: RatedPlace) -> Rating | None:
    """How the caller rated this answer."""
    owner = await _find_owner(access, caller, place)
    return await access.store.read(feedback.find_rating, **asdict(place), owner=owner)


async def explain(
    access: Access,
    caller: Caller,
    place: RatedPlace,
    *,
    labels: Collection[RatingLabel],
    reason: str,
    shares_conversation: bool,
) -> None:
    """Says why it was rated so, and whether the authors may read the conversation up to there. Raises InvalidRequest,
    also where the rating was taken back meanwhile."""
    if len(reason) > REASON_CHARS:
        raise InvalidRequest(f"The reason has {len(reason):,} characters; {REASON_CHARS:,} is the limit.")
    if not set(labels) <= set(get_args(RatingLabel)):
        raise InvalidRequest("There is no such reason to choose.")
    owner = await _find_owner(access, caller, place)
    is_there = await access.store.write(
        feedback.explain,
        **asdict(place),
        owner=owner,
        labels=sorted(set(labels)),
        reason=reason.strip(),
        shares_conversation=shares_conversation,
    )
    if not is_there:
        raise InvalidRequest("This rating was taken back.", hint="Rate the answer again, then say why.")
    access.store.empty_log()


async def _find_owner(access: Access, caller: Caller, place: RatedPlace) -> str:
    """Whose rating it is, once they may open the flow."""
    caller = await access.recheck(caller)
    await access.open_flow(caller, place.flow_id)
    return str(caller.owner)


async def sum_usage(access: Access, caller: Caller, address: str, *, since: datetime, days: int) -> FlowUsage:
    """Of so many days from `since` on. Raises NotSignedIn, FlowNotFound, and NotAllowed for who does not own the
    flow."""
    wired = await open_own(access, caller, address)
    return await access.store.read(usage.sum_usage, flow_id=wired.id, since=since, days=days)
