"""The playground of a flow: `/playground?flow=ID`, and `&session=…` once something was said."""

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.ui.chat import chat, form
from flowground.ui.chat.conversation import Conversation, draw_sessions, find_session
from flowground.ui.overrides.presets_and_links import draw_arrived
from flowground.ui.overrides.state import find_overrides_state
from flowground.ui.page import bridge
from flowground.ui.publish import header, publish
from flowground.ui.shell import opening
from flowground.wiring import WiredFlow


async def read_standing(caller: Caller, wired: WiredFlow) -> tuple[bool, bool]:
    """Whether the flow is shared, and whether this person may run it over the API."""
    access = runtime.get().access
    return await access.is_shared(wired.id), await access.may_run_api(caller, wired)


caller, wired = opening.open_flow(st.query_params.get("flow", ""))

publish.fulfil_wish(caller, wired)
is_shared, may_run_api = bridge.call(read_standing(caller, wired))
header.draw_header(caller, wired, is_shared=is_shared, may_run_api=may_run_api)
draw_arrived(caller, wired)
conversation = Conversation(
    caller,
    wired,
    find_session(wired.id),
    sees_inside=caller.sees_inside,
    overrides=find_overrides_state(caller, wired).good,
    offers_code=may_run_api,
)
if caller.sees_inside:
    header.draw_stale(runtime.get().catalogue.find_stale(wired.id))
if conversation.wired.chat_input:
    following = chat.draw_composer(conversation)
    draw_sessions(conversation)
    chat.draw_conversation(conversation, following)
else:
    conversation, following = form.draw_form(conversation)
    draw_sessions(conversation, noun="run")
    form.draw_result(conversation, following)
