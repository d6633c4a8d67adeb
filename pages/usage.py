"""How a flow is used, for its owners: `/usage?flow=ID`."""

import streamlit as st

from flowground.ui.page import browser, words
from flowground.ui.publish import feedback, usage
from flowground.ui.shell import opening

caller, wired = opening.open_flow(st.query_params.get("flow", ""))
opening.require_allowed(feedback.may_read(caller, wired))
st.set_page_config(page_title=f"Usage of {wired.name}")
st.page_link(
    browser.PLAYGROUND, label=words.escape(wired.name), icon=":material/arrow_back:", query_params={"flow": wired.id}
)
st.title("Usage", anchor=False)
usage.draw_usage(caller, wired)
