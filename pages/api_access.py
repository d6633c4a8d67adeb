"""API access of a flow as a page of its own: `/api_access?flow=ID`."""

import streamlit as st

from flowground.access import Access
from flowground.ui.api_access import pane
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.shell import opening

if address := st.query_params.get("flow"):
    caller, wired = opening.open_flow(address)
    opening.require_allowed(bridge.ask(Access.may_run_api, caller, wired))
    name, query = words.escape(wired.name), {"flow": wired.id}
    st.page_link(browser.PLAYGROUND, label=name, icon=":material/arrow_back:", query_params=query)
    st.title("API access", anchor=False)
    pane.draw_pane(caller, wired)
else:
    pane.draw_choice(require_visitor())
