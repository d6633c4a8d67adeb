"""How a person rates the answers that they got, and what they tell the flow's authors with it.

Every function raises as `Access.recheck` and `Access.open_flow`. An answer that is not there, cannot be rated, or is
somebody else's is refused alike.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import get_args

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import InvalidRequest
from flowground.store.runs import feedback
from flowground.store.runs.feedback import REASON_CHARS, Rating, RatingLabel, RatingValue


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
