"""What people say of a flow's answers, for its owners: `/feedback?flow=ID`."""

import streamlit as st

from flowground.ui.page import browser, words
from flowground.ui.publish import feedback
from flowground.ui.shell import opening

caller, wired = opening.open_flow(st.query_params.get("flow", ""))
opening.require_allowed(feedback.may_read(caller, wired))
st.set_page_config(page_title=f"Feedback on {wired.name}")
st.page_link(
    browser.PLAYGROUND, label=words.escape(wired.name), icon=":material/arrow_back:", query_params={"flow": wired.id}
)
st.title("Feedback", anchor=False)
feedback.draw_feedback(caller, wired)
