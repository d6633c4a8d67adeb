"""Who asks to open a flow: for its owners, to approve or deny."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

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
from flowground.ui.page.paging import draw_pages, find_in_pages

_REFUSED = "requests:refused"
_PAGE = 5
"""Beside other things on a page; the organization's own list is longer."""


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """The requests that are shown, and which page of how many requests they are."""

    shown: Sequence[AccessRequest] = ()
    count: int = 0
    number: int = 1
    size: int = _PAGE


def find_waiting(caller: Caller, *, place: str, flow_id: str | None = None, size: int = _PAGE) -> WaitingPage:
    """Requests that this caller may decide (`flow_id`: those for one flow); `place` tells two lists apart."""
    if not caller.sees_inside or caller.kind != "member":
        return WaitingPage()

    def read(offset: int) -> WaitingPage:
        found = bridge.ask(access_requests.find_waiting, caller, flow_id=flow_id, limit=size, offset=offset)
        return WaitingPage(*found, size=size)

    page, number = find_in_pages(f"requests:{place}", "", read, size=size)
    return replace(page, number=number)


def draw_requests(caller: Caller, page: WaitingPage, *, place: str) -> None:
    """One row each, oldest first; `place` as in `find_waiting`."""
    failure.draw_kept(_REFUSED)
    askers = {one.member for one in page.shown}
    names = read_names(askers)
    for request in page.shown:
        _draw_row(caller, request, place, find_name(names, request.member))
    draw_pages(f"requests:{place}", "", page.count, page.number, size=page.size)


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
