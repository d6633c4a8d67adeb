"""A member's own account: password, sign-ins, tokens, files, stored data; and, for admins, all application tokens."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from flowground.access import account, application_tokens
from flowground.access.roster import NAME_CHARS
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.words import write_size
from flowground.store.people.sign_ins import BrowserSignIn
from flowground.store.runs.files import StoredFile
from flowground.ui.api_access.tokens import render_token_list
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import change_later, read_address, require_caller
from flowground.ui.page.parts import render_action, render_confirm, render_list
from flowground.ui.people import open_row
from flowground.ui.sign_in import sign_in
from flowground.ui.sign_in.sign_in import render_new_password

MY_DATA = "/session/my-data"
"""The route in flowground/web/routes.py."""
FILE = "/file/download"
"""The route in flowground/web/routes.py."""
_REFUSED = "account:refused"
_DELETED = "account:deleted"
"""Set once the conversations were deleted, so that this browser's drafts are deleted too."""


def render_password(caller: Caller) -> None:
    with st.form("account:password", border=False):
        old = st.text_input("Current password", type="password", autocomplete="current-password")
        new = render_new_password("New password")
        is_sent = st.form_submit_button("Change the password", type="primary")
    st.caption("Changing your password signs you out on all other devices.")
    if is_sent:
        with bridge.render_refusals():
            bridge.ask(account.change_password, caller, old, new, address=read_address())
            sign_in.sign_in_browser(caller.id)


def render_names(caller: Caller) -> None:
    """The user name, and the name that colleagues see, which the person may change."""
    member = bridge.call(runtime.get().sign_in.roster.find(caller.id))
    if member is None:
        return
    st.title(words.escape(member.display_name), anchor=False)
    st.markdown(f":gray[{words.escape(member.name)} · {caller.role.capitalize()}]")
    if member.source == "config":
        return
    with st.form("account:names", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.text_input(
            "Your name", member.display_name, max_chars=NAME_CHARS, autocomplete="name", help="As colleagues see it."
        )
        is_sent = st.form_submit_button("Change the name")
    if is_sent:
        bridge.change(account.show_as, caller, shown)


def render_sign_ins(caller: Caller) -> None:
    """The person's sign-ins. This browser's own is marked; it signs out in the sidebar."""
    bridge.render_kept(_REFUSED)

    def render(items: Sequence[BrowserSignIn]) -> None:
        for item in items:
            is_this_browser = item.id == caller.sign_in_id
            title = f"**{words.escape(browser.write_name(item.agent))}**"
            facts = f"since {browser.write_moment(item.created_at)}{' · this browser' if is_this_browser else ''}"
            with open_row(f"account:sign_in:{item.id}", title, facts):
                if not is_this_browser:
                    act, key = account.sign_out, f"account:out:{item.id}"
                    render_action("Sign out", change_later, caller, _REFUSED, act, item.id, key=key)

    render_list("sign_ins", "Search sign-ins", account.find_sign_ins, caller, render)


def render_tokens(caller: Caller) -> None:
    """The person's tokens, for whatever flow."""
    empty = "None yet. Make them under *API access* of a flow whose API is shared with you."
    find = partial(application_tokens.find_page, is_own=True)
    render_token_list(caller, "account:tokens", find, empty=empty)


def render_files(caller: Caller) -> None:
    """The files of this person and of their programs."""

    def render(items: Sequence[StoredFile]) -> None:
        for item in items:
            file = item.reference
            kept = "" if item.message else "not sent"
            facts = words.join((write_size(file.size), f"since {browser.write_moment(item.created_at)}", kept))
            with open_row(f"account:file:{file.id}", f"**{words.escape(file.name)}**", facts):
                st.link_button("Download", f"{FILE}?id={file.id}", key=f"account:file_download:{file.id}")
                act, key = account.delete_file, f"account:file_delete:{file.id}"
                render_action("Delete", change_later, caller, _REFUSED, act, file.id, key=key)

    render_list("own_files", "Search files", account.find_files, caller, render, empty="None yet.")


def render_data() -> None:
    if st.session_state.pop(_DELETED, False):
        st.html(f"<script>{browser.write_forgetting()}</script>", unsafe_allow_javascript=True)
    st.markdown("Everything stored about you, conversations included, as one JSON file.")
    with st.container(horizontal=True):
        st.link_button("Download my data", MY_DATA, icon=":material/download:", key="account:data")
        if st.button("Delete my conversations", icon=":material/delete:", key="account:delete"):
            _delete()


@st.dialog("Delete all your conversations?")
def _delete() -> None:
    st.write("Those with every flow, and those of your tokens. This cannot be undone.")
    if render_confirm("Delete all", key="account:delete:yes"):
        with bridge.render_refusals():
            count = bridge.ask(account.delete_conversations, require_caller())
            st.toast(f"{words.count(count, 'conversation')} deleted.")
            st.session_state[_DELETED] = True
            st.rerun()


def render_all_tokens(caller: Caller) -> None:
    st.caption("Organization tokens were created from the command line or before the first account.")
    empty = "None yet. They are made in a flow's *API access*."
    render_token_list(caller, "organization:tokens", application_tokens.find_page, empty=empty)
