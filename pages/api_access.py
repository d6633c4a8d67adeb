"""API access of a flow as a page of its own: `/api_access?flow=ID`."""

import streamlit as st

from flowground import runtime
from flowground.access import Access
from flowground.caller import Caller
from flowground.ui.api_access import pane
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.shell import opening
from flowground.wiring import WiredFlow


async def list_runnable(caller: Caller) -> list[WiredFlow]:
    """The flows that this person may run over the API."""
    access = runtime.get().access
    return [wired for wired in await access.list_flows(caller) if await access.may_run_api(caller, wired)]


if address := st.query_params.get("flow"):
    caller, wired = opening.open_flow(address)
    if not bridge.ask(Access.may_run_api, caller, wired):
        opening.draw_nothing_here()
        st.stop()
    name, query = words.escape(wired.name), {"flow": wired.id}
    st.page_link(browser.PLAYGROUND, label=name, icon=":material/arrow_back:", query_params=query)
    st.header("API access", anchor=False)
    pane.draw_pane(caller, wired)
elif flows := bridge.call(list_runnable(require_visitor())):
    st.header("API access", anchor=False)
    pane.draw_choice(flows)
else:
    opening.draw_nothing_here()
