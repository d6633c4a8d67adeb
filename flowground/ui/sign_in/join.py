"""Where a one-time link leads: somebody chooses their password with it, and is signed in."""

import streamlit as st

from flowground import runtime
from flowground.errors import NotSignedIn
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import address
from flowground.ui.sign_in import session

_KINDS = ("invitation", "reset")
"""Also the names in the address; flowground/web/paths.py keeps them out of every log."""


def draw_join() -> None:
    secret = next((st.query_params[kind] for kind in _KINDS if kind in st.query_params), "")
    links, here = runtime.current().sign_in.links, address()
    organization = words.plain(runtime.current().settings.organization.name)
    try:
        link, member = bridge.call(links.find(secret, here))
    except NotSignedIn as error:
        st.header("This link does not work", anchor=False)
        failure.draw_refusal(error)
        st.write("If you have a password already: [Sign in](/)")
        return
    new = link.kind == "invitation"
    st.header(f"Welcome to {organization}" if new else "Choose a new password", anchor=False)
    st.markdown(f"You are **{words.plain(member.display_name)}**; your user name is **{words.plain(member.name)}**.")
    with st.form("join", border=False):
        password = st.text_input(
            "Password", type="password", autocomplete="new-password", help="At least 8 characters; long beats odd."
        )
        sent = st.form_submit_button("Set the password and sign in", type="primary", width="stretch")
    if sent:
        with failure.draw_refusals():
            bridge.call(links.redeem(secret, password, here))
            session.sign_in_browser(member.name, go_to="/")
