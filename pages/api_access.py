"""API access of a flow as a page of its own: `/api_access?flow=ID`; without a flow, the list of them."""

import streamlit as st

from flowground.access import Access
from flowground.ui.api_access import pane
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import require_caller
from flowground.ui.shell import opening

# A link from this page to itself changes what is rendered, but not the browser's address, which is set here.
if address := st.query_params.get("flow"):
    st.query_params["flow"] = address
    caller, wired = opening.open_flow(address)
    opening.require_allowed(bridge.ask(Access.may_run_api, caller, wired))
    name, query = words.escape(wired.name), {"flow": wired.id}
    with st.container(horizontal=True, horizontal_alignment="distribute", key="api:ways"):
        st.page_link(browser.PLAYGROUND, label=name, icon=":material/arrow_back:", query_params=query)
        st.page_link(browser.API_ACCESS, label="All flows' APIs", icon=":material/list:")
    st.title("API access", anchor=False)
    pane.render_pane(caller, wired)
else:
    st.query_params.clear()
    pane.render_choice(require_caller())
