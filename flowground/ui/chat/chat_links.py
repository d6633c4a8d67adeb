"""The dialog in which a chat is shared: what, with whom and until when; and the links there are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import streamlit as st

from flowground.access import shared_chats
from flowground.caller import Caller
from flowground.store.runs.shared_chats import SharedChat
from flowground.ui.page import bridge, browser, copying, failure, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.caller import bind_to_caller, require_visitor
from flowground.ui.page.paging import PAGE, ListPage, draw_list

_DAYS = 30
"""From today to the last day that is offered at first."""
_REFUSED = "shared:refused"
_REVOKED = "shared:revoked"
"""Set for the run in which it is said."""
_NAME = "shared"
PATH = "/shared_chat"


def open_sharing(flow_id: str, session_id: str) -> None:
    """Closed, the page is drawn anew, as after `chat_files.open_export`."""
    draw = st.dialog("Share this chat", icon=":material/share:", on_dismiss="rerun")(_draw_dialog)
    draw(flow_id, session_id)


def write_link(key: str) -> str:
    """The full address of what is shared."""
    return f"{browser.find_base_url()}{PATH}?id={key}"


def _draw_dialog(flow_id: str, session_id: str) -> None:
    caller = require_visitor()
    if caller.kind != "member":
        st.write(
            "Colleagues sign in to open the link, so sharing a chat needs accounts. Make the first one for yourself."
        )
        st.html('<a class="fg-way-out" href="/first_account">Create the first account</a>', width="content")
        return
    st.markdown(
        "Colleagues who can open this flow read **the questions and answers as they are now**, and can go on in a copy "
        "of their own. What you write later is shared once you press *Update* at the link."
    )
    _tell_changes()
    expires_at = _draw_end(session_id)
    links = bridge.ask(shared_chats.list_links, caller, flow_id=flow_id, session_id=session_id)
    draw_action(
        "Create another link" if links else "Create link",
        _create,
        caller,
        flow_id,
        session_id,
        expires_at,
        key=f"shared:create:{session_id}",
        icon="link",
        kind="secondary" if links else "primary",
    )
    for number, link in enumerate(links):
        _draw_link(caller, link, is_newest=number == 0)


@bind_to_caller
def _create(caller: Caller, flow_id: str, session_id: str, expires_at: datetime | None) -> None:
    with failure.keep_refusals(_REFUSED):
        place = {"flow_id": flow_id, "session_id": session_id}
        bridge.ask(shared_chats.share_chat, caller, **place, expires_at=expires_at)


def _draw_end(session_id: str) -> datetime | None:
    if not st.checkbox("Stop sharing on a date", value=True, key=f"shared:ends:{session_id}"):
        return None
    today = browser.find_today()
    last = today + timedelta(_DAYS)
    key = f"shared:until:{session_id}"
    chosen = st.date_input("Last day", value=last, min_value=today, key=key, format="YYYY-MM-DD", width=180) or last
    day, zone = browser.spell_day(chosen), browser.name_zone()
    st.caption(f"A link that you create now works until midnight at the end of {day}, your time ({zone}).")
    return browser.end_day(chosen)


def _draw_link(caller: Caller, link: SharedChat, *, is_newest: bool) -> None:
    address = write_link(link.id)
    with st.container(border=True, key=f"shared:link:{link.id}"):
        with copying.hide_other_button(f"shared:{link.id}"):
            st.code(address, language=None, wrap_lines=True)
        st.caption(_describe(link))
        browser.draw_reach(is_admin=caller.role == "admin")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            copying.draw_copy(address, label="Copy link", key=f"shared:{link.id}", is_primary=is_newest)
            draw_action("Update", _renew, caller, link.id, key=f"shared:update:{link.id}", kind="secondary")
            _draw_revoke(caller, link)


def _draw_revoke(caller: Caller, link: SharedChat) -> None:
    draw_action("Revoke", _revoke, caller, link.id, key=f"shared:revoke:{link.id}", kind="secondary")


@bind_to_caller
def _revoke(caller: Caller, key: str) -> None:
    with failure.keep_refusals(_REFUSED):
        bridge.ask(shared_chats.revoke_link, caller, key)
        st.session_state[_REVOKED] = True


def _tell_changes() -> None:
    """What came of the button that was pressed last."""
    failure.draw_kept(_REFUSED)
    if st.session_state.pop(_REVOKED, False):
        st.success("The link no longer works.", icon=":material/link_off:")


@bind_to_caller
def _renew(caller: Caller, key: str) -> None:
    with failure.keep_refusals(_REFUSED):
        bridge.ask(shared_chats.renew_link, caller, key)


def _describe(link: SharedChat) -> str:
    end = link.expires_at
    until = "no expiry" if end is None else f"until {browser.spell_day(browser.find_last_day(end))}"
    if link.is_expired:
        until = "expired"
    size = words.count(link.messages, "message")
    newest = f"the newest {size}" if link.is_cut else size
    return words.join((newest, f"as of {browser.write_moment(link.created_at)}", until))


def draw_own_links(caller: Caller) -> None:
    """All that this person shares, a page at a time."""
    _tell_changes()

    def find(searched: str, offset: int) -> ListPage[SharedChat]:
        found = bridge.ask(shared_chats.list_own, caller, searched, limit=PAGE, offset=offset)
        return ListPage(found.shown, found.count)

    empty = "None. *Share* in a chat's menu makes a link that colleagues can open."
    draw_list(_NAME, "Search shared chats", find, partial(_draw_own, caller), empty=empty)


def _draw_own(caller: Caller, links: Sequence[SharedChat]) -> None:
    for link in links:
        with st.container(border=True, key=f"shared:own:{link.id}"):
            title = words.escape(link.title or "Untitled")
            st.markdown(f"**{title}**  \n:small[:gray[{words.escape(link.flow_id)} · {_describe(link)}]]")
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                copying.draw_copy(write_link(link.id), label="Copy link", what=link.title, key=f"shared:own:{link.id}")
                _draw_revoke(caller, link)
