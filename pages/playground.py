"""The playground of a flow: `/playground?flow=ID`, and `&session=…` once something was said."""

import streamlit as st

from flowground import runtime
from flowground.ui import bridge, chat, conversation, form, header, opening, publish, sessions

caller, flow = opening.open_flow(st.query_params.get("flow", ""))
app = runtime.current()
talk = conversation.current(caller, flow, inside=caller.sees_inside)

publish.fulfil_wish(caller, flow)
header.draw_header(caller, flow, shared=bridge.call(app.access.is_shared(flow.id)))
if caller.sees_inside:
    header.draw_stale(app.catalogue.stale(flow.id))
if form.takes_chat(flow):
    following = chat.draw_composer(talk)
    sessions.draw_sessions(talk)
    chat.draw_conversation(talk, following)
else:
    talk, following = form.draw_form(talk)
    sessions.draw_sessions(talk, noun="run")
    form.draw_result(talk, following)
