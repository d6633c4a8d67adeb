"""API access of a flow as a page of its own: `/api_access?flow=ID`."""

import streamlit as st

from flowground import runtime
from flowground.ui import addresses, api_access, bridge, opening, words
from flowground.ui.caller import visitor

if address := st.query_params.get("flow"):
    caller, flow = opening.open_flow(address)
    if not api_access.may_see(caller):
        opening.draw_nothing_here()
        st.stop()
    name, query = words.plain(flow.name), {"flow": flow.id}
    st.page_link(addresses.PLAYGROUND, label=name, icon=":material/arrow_back:", query_params=query)
    st.header("API access", anchor=False)
    api_access.draw_api_access(flow)
else:
    caller = visitor()
    if not api_access.may_see(caller):
        opening.draw_nothing_here()
        st.stop()
    st.header("API access", anchor=False)
    api_access.draw_choice(bridge.call(runtime.current().access.visible_flows(caller)))
