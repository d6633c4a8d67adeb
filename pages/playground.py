"""The playground of a flow: `/playground?flow=ID`, and `&session=…` once a message was sent."""

import streamlit as st

from flowground.app import runtime
from flowground.ui.chat.chat import render_playground
from flowground.ui.chat.chat_menu import Conversation, find_session
from flowground.ui.inside import editing
from flowground.ui.overrides.tab import find_overrides_state, render_arrived
from flowground.ui.publish import header
from flowground.ui.shell import opening

caller, wired = opening.open_flow(st.query_params.get("flow", ""))
may_run_api = header.render_header(caller, wired)
render_arrived(caller, wired)
header.render_stale(caller, wired)
answering = runtime.get().access.find_draft(caller, wired)
if answering is not wired:
    editing.render_trial(caller, wired, find_session(wired.id))
conversation = Conversation(
    caller,
    answering,
    find_session(wired.id),
    sees_inside=caller.sees_inside,
    overrides=find_overrides_state(caller, answering).good,
    offers_code=may_run_api,
    is_draft=answering is not wired,
)
render_playground(conversation)
