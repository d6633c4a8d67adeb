"""Who asks to open a flow: for its owners, to approve or deny."""

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st

from flowground import runtime
from flowground.access import access_requests
from flowground.caller import Caller
from flowground.errors import NotSignedIn
from flowground.sign_in.roster import find_name
from flowground.store.people.access_requests import AccessRequest
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.caller import bind_to_caller
from flowground.ui.page.names import read_names
from flowground.ui.page.paging import ListPage, draw_list

_REFUSED = "requests:refused"
_PAGE = 5
"""Beside other things on a page; the organization's own list is longer."""


def count_waiting(caller: Caller, *, flow_id: str | None = None) -> int:
    """How many requests this caller may decide (`flow_id`: for one flow)."""
    return bridge.ask(access_requests.count_waiting, caller, flow_id=flow_id) if _may_decide(caller) else 0


def draw_section(caller: Caller, *, place: str, size: int = _PAGE) -> None:
    """`draw_requests` under a heading, where somebody waits."""
    failure.draw_kept(_REFUSED)
    if count_waiting(caller):
        st.header("Access requests", anchor=False)
        draw_requests(caller, place=place, size=size)


def draw_requests(caller: Caller, *, place: str, flow_id: str | None = None, size: int = _PAGE) -> None:
    """Those that this caller may decide, one row each, oldest first; `place` tells two lists apart."""
    failure.draw_kept(_REFUSED)
    if not _may_decide(caller):
        return

    def find(searched: str, offset: int) -> ListPage[AccessRequest]:
        found = bridge.ask(access_requests.find_waiting, caller, searched, flow_id=flow_id, limit=size, offset=offset)
        return ListPage(*found)

    def draw(requests: Sequence[AccessRequest]) -> None:
        names = read_names({one.member for one in requests})
        for request in requests:
            _draw_row(caller, request, place, find_name(names, request.member))

    draw_list(f"requests:{place}", "Search requests", find, draw, size=size)


def _may_decide(caller: Caller) -> bool:
    return caller.sees_inside and caller.kind == "member"


def _draw_row(caller: Caller, request: AccessRequest, place: str, asker: str) -> None:
    key = f"requests:{place}:{request.id}"
    with st.container(border=True, key=key, gap="xsmall"):
        wired = runtime.get().catalogue.find(request.flow_id)
        name = words.escape(wired.name if wired else request.flow_id)
        asked = browser.write_day(request.created_at)
        st.markdown(f"**{words.escape(asker)}** asks for **{name}**  \n:small[:gray[{asked}]]")
        if request.note:
            st.text(request.note)
        with st.container(horizontal=True):
            draw_action("Approve", _decide, caller, request.id, True, key=f"{key}:yes", kind="primary")
            draw_action("Deny", _decide, caller, request.id, False, key=f"{key}:no", kind="secondary")


@bind_to_caller
def _decide(caller: Caller, request_id: str, is_approved: bool) -> None:
    with failure.keep_refusals(_REFUSED), suppress(NotSignedIn):  # that the page itself will say
        bridge.ask(access_requests.approve if is_approved else access_requests.deny, caller, request_id)
        st.toast("They may open it now." if is_approved else "Denied. Their page says so if they are still waiting.")
