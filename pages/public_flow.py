"""The shareable playground, `/public_flow/{flow_id}`: chat only. Nothing of the flow's inside is drawn."""

import streamlit as st

from flowground import runtime
from flowground.ui.chat import chat, form
from flowground.ui.chat.conversation import Conversation, draw_sessions, find_session
from flowground.ui.page import bridge
from flowground.ui.page.caller import read_shared_flow, require_visitor
from flowground.ui.publish import header, preview
from flowground.ui.shell import opening
from flowground.ui.shell.navigation import draw_person_below

preview.draw_preview(require_visitor(), read_shared_flow() or "")
caller, wired = opening.open_flow(read_shared_flow() or "")
conversation = Conversation(caller, wired, find_session(wired.id))

header.draw_branding(wired)
if not bridge.call(runtime.get().access.is_shared(wired.id)):
    st.caption(":material/lock: Not shared: only authors and admins can open this page.")
if conversation.wired.chat_input:
    following = chat.draw_composer(conversation)
    draw_sessions(conversation)
    draw_person_below(caller)
    chat.draw_conversation(conversation, following)
else:
    conversation, following = form.draw_form(conversation)
    draw_sessions(conversation, noun="run")
    draw_person_below(caller)
    form.draw_result(conversation, following)
