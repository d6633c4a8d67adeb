"""The gallery: every flow this person may open."""

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.ui.page import bridge
from flowground.ui.page.caller import require_visitor
from flowground.ui.shell import access_requests, gallery
from flowground.wiring import WiredFlow


async def list_flows(caller: Caller) -> tuple[list[WiredFlow], frozenset[str]]:
    """What they may open, and which of it is shared."""
    running = runtime.get()
    flows = await running.access.list_flows(caller)
    return flows, await running.access.list_shared()


caller = require_visitor()
flows, shared = bridge.call(list_flows(caller))
running = runtime.get()
problems = running.catalogue.list_problems() if caller.sees_inside else {}
st.header(running.settings.organization.name, anchor=False)
access_requests.draw_requests(caller, access_requests.list_waiting(caller), place="home")
if flows:
    st.markdown(":gray[Choose a flow to chat with.]")
    gallery.draw_flows(flows, shared=shared, sees_inside=caller.sees_inside)
elif caller.sees_inside and not problems:
    gallery.draw_empty(running.settings.flows.name)
elif not caller.sees_inside:
    gallery.draw_nothing_shared()
gallery.draw_problems(problems)
