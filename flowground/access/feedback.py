"""Ratings of answers: how people rate, and what a flow's owners read (ratings, shared conversations, usage).

Every function with a caller raises as `Access.recheck` and `Access.open_flow`: NotSignedIn and FlowNotFound. Functions
for owners raise NotAllowed for everybody else. An answer that does not exist, cannot be rated, or is somebody else's
is refused with the same error.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, get_args

from flowground.access import Access
from flowground.core.caller import Caller
from flowground.core.errors import InvalidRequest, NotAllowed
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import feedback
from flowground.store.runs.feedback import REASON_CHARS, FeedbackFilter, Rating, RatingLabel, RatingValue

T = TypeVar("T")

WEEK = 7 * 86_400.0


def may_read(access: Access, caller: Caller, wired: WiredFlow) -> bool:
    """Whether the caller is a person at a page who owns the flow and sees its inside."""
    return caller.kind in ("local", "member") and caller.sees_inside and access.may_publish(caller, wired)


async def count_bad(access: Access, caller: Caller, wired: WiredFlow) -> int:
    """How many bad ratings the last seven days have, `MOST_COUNTED` at most; 0 for who may not read them."""
    if not may_read(access, caller, wired):
        return 0
    only = FeedbackFilter("bad", since=time.time() - WEEK)
    return await access.store.read(feedback.count_values, flow_id=wired.id, only=only)


async def read_own(access: Access, caller: Caller, address: str, read: Callable[..., T], **options: Any) -> T:
    """What this function of the store reads of the flow: its ratings, a shared conversation, or its usage. Raises
    NotAllowed for callers who may not."""
    caller, wired = await access.reopen(caller, address)
    if not may_read(access, caller, wired):
        raise NotAllowed(f"Only the owners of {wired.name} can read its feedback and usage.")
    return await access.store.read(read, flow_id=wired.id, **options)


@dataclass(frozen=True, slots=True)
class RatedPlace:
    """An answer in a conversation of the caller's."""

    flow_id: str
    session_id: str
    message_id: str


async def rate(access: Access, caller: Caller, place: RatedPlace, value: RatingValue | None) -> None:
    """Rates the answer; `value` None removes the rating with its reasons. Raises InvalidRequest."""
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
    """Stores why the answer was rated so, and whether the authors may read the conversation up to it.

    Raises InvalidRequest, also where the rating was removed meanwhile.
    """
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
    """The owner of the rating: the caller, who may open the flow. Raises NotSignedIn, FlowNotFound."""
    caller, _ = await access.reopen(caller, place.flow_id)
    return str(caller.owner)
