"""API access of a flow as a page of its own: `/api_access?flow=ID`."""

import streamlit as st

from flowground.ui import addresses, api_access, opening, words

caller, flow = opening.open_flow(st.query_params.get("flow", ""))
if not api_access.may_see(caller):
    opening.draw_nothing_here()
    st.stop()

st.page_link(
    addresses.PLAYGROUND, label=words.plain(flow.name), icon=":material/arrow_back:", query_params={"flow": flow.id}
)
st.header("API access", anchor=False)
api_access.draw_api_access(flow)
