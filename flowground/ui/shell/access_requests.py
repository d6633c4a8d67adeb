"""Requests to open a flow: its owners approve or deny them."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import streamlit as st

from flowground.access import sharing
from flowground.access.roster import find_name
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import NotSignedIn, StoreUnavailable
from flowground.flows.wiring import WiredFlow
from flowground.store.people.access_requests import AccessRequest
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import bind_to_caller, require_caller
from flowground.ui.page.names import read_names
from flowground.ui.page.parts import render_action, render_list

_REFUSED = "requests:refused"
_DECIDED = "requests:decided"
_LOOK_SECONDS = 10
"""Seconds between two looks for new requests."""
_PAGE = 5
"""Requests on one page of a list that stands beside other content."""


def count_waiting(caller: Caller, *, flow_id: str | None = None) -> int:
    """How many requests this caller may decide (`flow_id`: for one flow)."""
    return bridge.ask(sharing.find_waiting, caller, flow_id=flow_id, limit=0)[1] if _may_decide(caller) else 0


def watch_requests(caller: Caller, wired: WiredFlow, known: int) -> None:
    """Shows a toast for each new request for this flow while the page is open, which shows `known` of them.

    The page is not rerun, since that would close an open dialog.
    """
    if _may_decide(caller):
        st.session_state[_make_key(wired.id)] = known
        _toast_new(wired.id, wired.name)


@st.fragment(run_every=_LOOK_SECONDS)
def _toast_new(flow_id: str, name: str) -> None:
    with suppress(StoreUnavailable):
        waiting = count_waiting(require_caller(), flow_id=flow_id)
        if waiting > st.session_state.get(_make_key(flow_id), 0):
            says = f"Somebody asks to open **{words.escape(name)}**. You decide under *Publish*."
            st.toast(says, icon=":material/person_add:", duration="long")
        st.session_state[_make_key(flow_id)] = waiting


def _make_key(flow_id: str) -> str:
    return f"requests:known:{flow_id}"


def render_section(caller: Caller, *, place: str, size: int = _PAGE) -> None:
    """The requests under a heading, if there are any; refreshed while the page is open."""
    if _may_decide(caller):
        toast_decided()
        _render_section(place, size)


@st.fragment(run_every=_LOOK_SECONDS)
def _render_section(place: str, size: int) -> None:
    if _DECIDED in st.session_state:
        st.rerun(scope="app")  # other parts of the page show how flows are shared
    bridge.render_kept(_REFUSED)
    caller = require_caller()
    with suppress(StoreUnavailable):
        if count_waiting(caller):
            st.header("Access requests", anchor=False)
            render_requests(caller, place=place, size=size)


def render_requests(caller: Caller, *, place: str, flow_id: str | None = None, size: int = _PAGE) -> None:
    """The requests that this caller may decide, oldest first; `place` tells two lists on a page apart."""
    bridge.render_kept(_REFUSED)
    if not _may_decide(caller):
        return

    def render(requests: Sequence[AccessRequest]) -> None:
        names = read_names({one.member for one in requests})
        for request in requests:
            _render_row(caller, request, place, find_name(names, request.member))

    find = partial(sharing.find_waiting, flow_id=flow_id)
    render_list(f"requests:{place}", "Search requests", find, caller, render, size=size)


def _may_decide(caller: Caller) -> bool:
    return caller.sees_inside and caller.kind == "member"


def _render_row(caller: Caller, request: AccessRequest, place: str, asker: str) -> None:
    key = f"requests:{place}:{request.id}"
    with st.container(border=True, key=key, gap="xsmall"):
        wired = runtime.get().catalogue.find(request.flow_id)
        name = wired.name if wired else request.flow_id
        asked = browser.write_day(request.created_at)
        st.markdown(f"**{words.escape(asker)}** asks for **{words.escape(name)}**  \n:small[:gray[{asked}]]")
        if request.note:
            st.text(request.note)
        if wired and not bridge.call(runtime.get().access.is_shared(wired.id)):
            st.caption(f"{words.escape(name)} is not shared now: approving shares it, with {words.escape(asker)} only.")
        with st.container(horizontal=True):
            yes, no = f"{asker} can now open {name}.", f"Declined. {asker} sees this on the flow's page."
            render_action("Approve", _decide, caller, request.id, True, yes, key=f"{key}:yes", kind="primary")
            render_action("Deny", _decide, caller, request.id, False, no, key=f"{key}:no", kind="secondary")


@bind_to_caller
def _decide(caller: Caller, request_id: str, is_approved: bool, says: str) -> None:
    with bridge.keep_refusals(_REFUSED), suppress(NotSignedIn):  # the page itself then asks to sign in
        bridge.ask(sharing.approve if is_approved else sharing.deny, caller, request_id)
        st.session_state[_DECIDED] = says


def toast_decided() -> None:
    """Shows a toast with the decision of the last run."""
    if says := st.session_state.pop(_DECIDED, None):
        st.toast(words.escape(says), icon=":material/check:")
