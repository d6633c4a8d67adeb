"""Who asks to open a flow: for its owners, to approve or deny."""

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st

from flowground import runtime
from flowground.access import access_requests
from flowground.caller import Caller
from flowground.errors import NotSignedIn
from flowground.store.people.access_requests import AccessRequest
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.caller import bind_to_caller, find_display_name

_REFUSED = "requests:refused"


def list_waiting(caller: Caller, *, flow_id: str | None = None) -> list[AccessRequest]:
    """Requests that this caller may decide; `flow_id` keeps those for one flow."""
    if not caller.sees_inside or caller.kind != "member":
        return []
    found = bridge.ask(access_requests.list_waiting, caller)
    return [request for request in found if flow_id in (None, request.flow_id)]


def draw_requests(caller: Caller, found: Sequence[AccessRequest], *, place: str) -> None:
    """One row each; `place` tells two lists on one page apart."""
    failure.draw_kept(_REFUSED)
    for request in found:
        _draw_row(caller, request, place)


def _draw_row(caller: Caller, request: AccessRequest, place: str) -> None:
    key = f"requests:{place}:{request.id}"
    with st.container(border=True, key=key, gap="xsmall"):
        wired = runtime.get().catalogue.find(request.flow_id)
        name = words.escape(wired.name if wired else request.flow_id)
        user, shown = words.escape(request.member), words.escape(find_display_name(request.member))
        facts = words.join(("" if user == shown else user, browser.write_day(request.created_at)))
        st.markdown(f"**{shown}** asks for **{name}**  \n:small[:gray[{facts}]]")
        if request.note:
            st.text(request.note)
        with st.container(horizontal=True):
            draw_action("Approve", _decide, caller, request.id, True, key=f"{key}:yes", kind="primary")
            draw_action("Deny", _decide, caller, request.id, False, key=f"{key}:no", kind="secondary")


@bind_to_caller
def _decide(caller: Caller, request_id: str, is_approved: bool) -> None:
    with failure.keep_refusals(_REFUSED), suppress(NotSignedIn):  # that the page itself will say
        bridge.ask(access_requests.approve if is_approved else access_requests.deny, caller, request_id)
        st.toast("They may open it now." if is_approved else "Denied. They are told nothing.")
