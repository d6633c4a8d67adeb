"""A link that sets a password: an invitation or a reset."""

from collections.abc import Callable
from urllib.parse import quote

import streamlit as st

from flowground.store.people.password_links import PasswordLink
from flowground.ui.page import browser, copying, words

_DONE = "one_time_link:done"


def close_done(go_back: Callable[[], None] | None = None) -> None:
    """At the head of a dialog that shows such a link: closes it where *Done* was pressed, once `go_back` was called."""
    if st.session_state.pop(_DONE, False):
        if go_back:
            go_back()
        st.rerun()


def draw_one_time_link(
    link: PasswordLink,
    secret: str,
    *,
    who: str,
    key: str,
    flow: str | None = None,
    again: Callable[[], None] | None = None,
) -> None:
    """Once: nothing keeps the secret. Whoever comes by it lands on this flow, or at home.

    Below it is a way out of the dialog, and one to its form, with fields that are empty, where `again` empties them.
    """
    st.success(f"Send this link to **{words.escape(who)}**, and to nobody else: it is shown this once.")
    address = f"{browser.find_base_url()}/join?{link.kind}={secret}" + (f"&flow={quote(flow, safe='')}" if flow else "")
    browser.draw_reach(is_admin=True)
    with copying.hide_other_button(key):
        st.code(address, language=None, wrap_lines=True)
        copying.draw_copy(address, label="Copy link", key=key, is_primary=True)
    st.caption(f"It works once, until {browser.write_moment(link.expires_at)}.")
    with st.container(horizontal=True):
        st.button("Done", key=f"{key}:done", on_click=_note_done)
        if again:
            st.button("Invite another", icon=":material/person_add:", key=f"{key}:again", on_click=again)


def _note_done() -> None:
    st.session_state[_DONE] = True
