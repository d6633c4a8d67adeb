"""Opening a flow for the person who asks: checked anew at every run of a page."""

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from flowground import runtime
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.ui import bridge, requests
from flowground.ui.caller import visitor
from flowground.wiring import WiredFlow


def open_flow(address: str) -> tuple[Caller, WiredFlow]:
    """Who asks, with their present role, and the flow. Else draws one calm page and ends the script: the same for
    unknown and forbidden flows."""
    caller = visitor()
    try:
        return caller, bridge.call(runtime.current().access.open_flow(caller, address))
    except FlowNotFound:
        draw_nothing_here()
    requests.draw_asking(caller, address)
    raise StopException


def draw_nothing_here() -> None:
    """The page of a flow that is not there for this person."""
    st.space("large")
    st.header("Nothing here for you", anchor=False)
    st.write("There is no flow at this address, or it is not shared with you.")
