"""Opening a flow for the person who asks: checked anew at every run of a page."""

from contextlib import suppress

import streamlit as st

from flowground import runtime
from flowground.access import access_requests
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.shims.page_scripts import StopException
from flowground.store.people.access_requests import NOTE_CHARS
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import read_shared_flow, require_visitor
from flowground.ui.shell import mistakes
from flowground.ui.sign_in import session
from flowground.wiring import WiredFlow

_LAST = "flow:last"
_NO_FLOW = "There is no flow at this address, or it is not shared with you."
_LOOK_AGAIN = 4
"""Seconds between two looks whether somebody who asked may come in."""


def open_flow(address: str) -> tuple[Caller, WiredFlow]:
    """Who asks, with their present role, and the flow. Else draws one calm page and ends the script.

    The page is the same for unknown and forbidden flows. Authors and admins, who open every flow, read a broken file's
    mistakes instead, but not at the shareable playground, which tells nobody what is inside.
    """
    caller = require_visitor()
    try:
        wired = bridge.call(runtime.get().access.open_flow(caller, address))
        st.session_state[_LAST] = wired.id
        return caller, wired
    except FlowNotFound:
        broken = runtime.get().catalogue.find_broken_file(address)
        if broken and caller.sees_inside and read_shared_flow() is None:
            text = "The flow opens as soon as the file is saved without the mistake."
            draw_notice("This flow's file needs a correction", text)
            mistakes.draw_file(*broken)
            raise StopException from None
        draw_nothing_here(caller)
    is_offered = _draw_asking(caller, address)
    _draw_ways_out(caller, is_quiet=is_offered)
    raise StopException


def find_last_flow() -> str | None:
    """The flow that this visit looked at last: the one of the page's address, where there is such a flow."""
    asked = runtime.get().catalogue.find(st.query_params.get("flow", ""))
    return asked.id if asked else st.session_state.get(_LAST)


def _draw_asking(caller: Caller, address: str) -> bool:
    """For a member before a closed door: the same words for unknown and forbidden flows. Whether they may ask now."""
    if caller.kind != "member" or caller.role != "member":
        return False
    key = f"requests:asked:{address}"
    if st.session_state.get(key):
        _wait_for_answer(address)
        return False
    with st.form("requests:ask", border=False):
        note = st.text_input("Why do you need it?", placeholder="Optional", max_chars=NOTE_CHARS, key="requests:note")
        is_sent = st.form_submit_button("Request access", type="primary")
    if is_sent:
        with failure.draw_refusals():
            bridge.ask(access_requests.ask, caller, address, note)
            st.session_state[key] = True
            st.rerun()
    return True


@st.fragment(run_every=_LOOK_AGAIN)
def _wait_for_answer(address: str) -> None:
    """Looks every few seconds what the owners decided: opens the flow, or says that they declined."""
    caller = require_visitor()
    with suppress(FlowNotFound):
        bridge.call(runtime.get().access.open_flow(caller, address))
        st.rerun(scope="app")
    if bridge.ask(access_requests.is_denied, caller, address):
        st.info(
            "Your request was declined. You can ask again in a day.",
            icon=":material/block:",
        )
    else:
        st.info(
            "Your request is on its way. If there is such a flow, its owners decide; it opens here as soon as they "
            "agree.",
            icon=":material/mail:",
        )


def _draw_ways_out(caller: Caller, *, is_quiet: bool = False) -> None:
    """`is_quiet`: another button of the page is the one that most want."""
    looks = "fg-way-out fg-quiet" if is_quiet else "fg-way-out"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<a class="{looks}" href="/">Your flows</a>', width="content")
        if caller.kind == "member" and st.button("Sign in as somebody else", type="tertiary", key="nothing:sign_out"):
            session.sign_out_browser()


def draw_notice(title: str, text: str) -> None:
    """What stands in a page's place."""
    st.space("large")
    st.title(title, anchor=False)
    st.write(text)


def require_allowed(is_allowed: bool) -> None:
    """Ends the page in the calm words where it is not this person's."""
    if not is_allowed:
        caller = require_visitor()
        draw_nothing_here(caller, "This page does not exist, or it is not open to you.")
        _draw_ways_out(caller)
        raise StopException


def draw_nothing_here(caller: Caller | None = None, why: str = _NO_FLOW) -> None:
    """What somebody reads where nothing is there for them."""
    is_owner = caller is not None and caller.kind == "local"
    who = "" if is_owner else f" Ask whoever sent you here, or an admin of {_name_organization()}."
    draw_notice("Nothing here for you", why + who)


def _name_organization() -> str:
    return words.escape(runtime.get().settings.organization.name)
