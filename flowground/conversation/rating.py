"""Good or bad, at an answer of the conversation that a page shows."""

from flowground.access import ratings
from flowground.access.ratings import RatedPlace
from flowground.caller import Caller
from flowground.conversation.frames import RateFrame
from flowground.conversation.history import ConversationPlace
from flowground.conversation.written import Written, write_refusal
from flowground.errors import FlowgroundError, FlowNotFound, NotSignedIn
from flowground.runtime import Runtime


async def rate(runtime: Runtime, caller: Caller, place: ConversationPlace, frame: RateFrame) -> Written:
    """Does it; what the page is told, with the reason where it was refused. Raises NotSignedIn, FlowNotFound."""
    told: Written = {"session": frame.session, "message": frame.message, "value": frame.value}
    try:
        where = RatedPlace(place.flow_id, place.session_id, frame.message)
        await ratings.rate(runtime.access, caller, where, frame.value)
    except (NotSignedIn, FlowNotFound):
        raise
    except FlowgroundError as error:
        return told | {"error": write_refusal(error)}
    return told
