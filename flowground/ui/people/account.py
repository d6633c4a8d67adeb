"""A member's own account: password, sign-ins, tokens, and what is kept of them."""

from collections.abc import Callable, Coroutine
from typing import Any

import streamlit as st

from flowground.access import Access, account, application_tokens
from flowground.caller import Caller
from flowground.ui.api_access.tokens import write_token_facts
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.caller import bind_to_caller, read_address, read_device, require_visitor
from flowground.ui.people import open_row
from flowground.ui.sign_in import session

MY_DATA = "/session/my-data"
"""The route in flowground/web/session_routes.py."""
_REFUSED = "account:refused"


def draw_password(caller: Caller) -> None:
    with st.form("account:password", border=False):
        old = st.text_input("Present password", type="password", autocomplete="current-password")
        new = st.text_input(
            "New password", type="password", autocomplete="new-password", help="At least 8 characters; long beats odd."
        )
        is_sent = st.form_submit_button("Change the password", type="primary")
    st.caption("Every other browser is signed out.")
    if is_sent:
        with failure.draw_refusals():
            bridge.ask(account.change_password, caller, old, new, address=read_address(), device=read_device())
            session.sign_in_browser(caller.name)


def draw_sign_ins(caller: Caller) -> None:
    """All of this person's; the browser that asks is marked, and signs out in the sidebar."""
    failure.draw_kept(_REFUSED)
    for item in bridge.ask(account.list_sign_ins, caller):
        is_this_browser = item.id == caller.sign_in_id
        title = f"**{words.escape(browser.write_name(item.agent))}**"
        facts = f"since {browser.write_moment(item.created_at)}{' · this browser' if is_this_browser else ''}"
        with open_row(f"account:sign_in:{item.id}", title, facts):
            if not is_this_browser:
                draw_action("Sign out", _end, caller, account.sign_out, item.id, key=f"account:out:{item.id}")


def draw_tokens(caller: Caller) -> None:
    """Those of this person, whatever flow they are for."""
    found = [token for token in bridge.ask(application_tokens.list_tokens, caller) if token.owner == caller.name]
    if not found:
        st.caption("None. They are made in a flow's *API access*, where its API is shared with you.")
    for token in found:
        flows = "all flows" if token.flows is None else ", ".join(token.flows)
        facts = write_token_facts(token, words.escape(f"{token.prefix}…"), words.escape(flows))
        with open_row(f"account:token:{token.id}", f"**{words.escape(token.name)}**", facts):
            draw_action("Revoke", _end, caller, application_tokens.revoke, token.id, key=f"account:revoke:{token.id}")


@bind_to_caller
def _end(caller: Caller, end: Callable[[Access, Caller, str], Coroutine[Any, Any, object]], key: str) -> None:
    """Ends a sign-in or a token, by its id."""
    with failure.keep_refusals(_REFUSED):
        bridge.ask(end, caller, key)


def draw_data() -> None:
    st.markdown("All that is kept of you, conversations included, as one JSON file.")
    with st.container(horizontal=True):
        st.link_button("Download my data", MY_DATA, icon=":material/download:", key="account:data")
        if st.button("Delete my conversations", icon=":material/delete:", key="account:delete"):
            _delete()


@st.dialog("Delete all your conversations?")
def _delete() -> None:
    st.write("With every flow, and those of your tokens. Nothing comes back.")
    if st.button("Delete all", type="primary", key="account:delete:yes"):
        with failure.draw_refusals():
            count = bridge.ask(account.delete_conversations, require_visitor())
            st.toast(f"{words.count(count, 'conversation')} deleted.")
            st.rerun()
