"""Opening a flow for the person who asks: checked anew at every run of a page."""

import streamlit as st

from flowground import runtime
from flowground.access import access_requests
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.shims.page_scripts import StopException
from flowground.store.people.access_requests import NOTE_CHARS
from flowground.ui.page import bridge, failure
from flowground.ui.page.caller import read_shared_flow, require_visitor
from flowground.ui.shell import gallery
from flowground.wiring import WiredFlow


def open_flow(address: str) -> tuple[Caller, WiredFlow]:
    """Who asks, with their present role, and the flow. Else draws one calm page and ends the script.

    The page is the same for unknown and forbidden flows. Authors and admins, who open every flow, read a broken file's
    mistakes instead, but not at the shareable playground, which tells nobody what is inside.
    """
    caller = require_visitor()
    try:
        return caller, bridge.call(runtime.get().access.open_flow(caller, address))
    except FlowNotFound:
        broken = runtime.get().catalogue.find_broken_file(address)
        if broken and caller.sees_inside and read_shared_flow() is None:
            text = "The flow opens as soon as the file is saved without the mistake."
            draw_notice("This flow's file needs a correction", text)
            gallery.draw_file(*broken)
            raise StopException from None
        draw_nothing_here()
    _draw_asking(caller, address)
    raise StopException


def _draw_asking(caller: Caller, address: str) -> None:
    """For a member before a closed door: the same words for unknown and forbidden flows."""
    if caller.kind != "member" or caller.role != "member":
        return
    key = f"requests:asked:{address}"
    if st.session_state.get(key):
        st.info("Your request is on its way. If there is such a flow, its owners decide.", icon=":material/mail:")
        return
    with st.form("requests:ask", border=False):
        note = st.text_input("Why do you need it?", placeholder="Optional", max_chars=NOTE_CHARS, key="requests:note")
        is_sent = st.form_submit_button("Request access", type="primary")
    if is_sent:
        with failure.draw_refusals():
            bridge.ask(access_requests.ask, caller, address, note)
            st.session_state[key] = True
            st.rerun()


def draw_notice(title: str, text: str) -> None:
    """What stands in a page's place."""
    st.space("large")
    st.header(title, anchor=False)
    st.write(text)


def require_allowed(is_allowed: bool) -> None:
    """Ends the page in the calm words where it is not this person's."""
    if not is_allowed:
        draw_nothing_here()
        raise StopException


def draw_nothing_here() -> None:
    """The page of a flow that is not there for this person."""
    draw_notice("Nothing here for you", "There is no flow at this address, or it is not shared with you.")
