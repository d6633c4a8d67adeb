"""A link that sets a password: an invitation or a reset."""

from urllib.parse import quote

import streamlit as st

from flowground.store.people.password_links import PasswordLink
from flowground.ui.page import browser, copying, words


def draw_one_time_link(link: PasswordLink, secret: str, *, who: str, key: str, flow: str | None = None) -> None:
    """Once: nothing keeps the secret. Whoever comes by it lands on this flow, or at home."""
    st.success(f"Send this link to **{words.escape(who)}**, and to nobody else: it is shown this once.")
    address = f"{browser.find_base_url()}/join?{link.kind}={secret}" + (f"&flow={quote(flow, safe='')}" if flow else "")
    with copying.hide_other_button(key):
        st.code(address, language=None, wrap_lines=True)
        copying.draw_copy(address, label="Copy link", key=key)
    st.caption(f"It works once, until {browser.write_moment(link.expires_at)}.")
