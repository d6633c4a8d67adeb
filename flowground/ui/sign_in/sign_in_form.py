"""The sign-in form. It is our own: streamlit-authenticator's brings a cookie that scripts can read. The authenticator
says whether a password fits its hash.

Only imported by the sign-in page: the authenticator takes a third of a second to load.
"""

import streamlit as st
from streamlit_authenticator import Hasher  # type: ignore[import-untyped]  # it has no types

from flowground import runtime
from flowground.errors import InvalidRequest, NotSignedIn
from flowground.sign_in.passwords import describe_lockout
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import read_address
from flowground.ui.sign_in import session


def draw_sign_in() -> None:
    """Draws the form; when name and password are right, the page is loaded anew at the same address, signed in."""
    organization = words.escape(runtime.get().settings.organization.name)
    with st.form("sign_in"):
        st.title(f"Sign in to {organization}", anchor=False)
        name = st.text_input("User name", autocomplete="username")
        password = st.text_input("Password", type="password", autocomplete="current-password")
        is_sent = st.form_submit_button("Sign in", type="primary", width="stretch")
    said = st.container()
    # To everybody at every address: nothing here may tell whether a flow is there.
    st.caption("No account yet? Ask the person who sent you this link to invite you.")
    if not is_sent:
        return
    with said:
        try:
            _sign_in(name, password)
        except (NotSignedIn, InvalidRequest) as error:
            failure.draw_refusal(error)


def _sign_in(name: str, password: str) -> None:
    """Ends the run when the password is right. Else says so, in the same words for an unknown name; raises NotSignedIn
    after too many tries or while too many people sign in, InvalidRequest where the browser sends no cookies."""
    sign_in, address = runtime.get().sign_in, read_address()
    if name.strip():
        member = bridge.call(sign_in.check_password(name, password, address, compare=Hasher.check_pw))
        if member is not None:
            session.sign_in_browser(member.id)
        if wait := bridge.call(sign_in.tries.find_wait(name, address)):
            raise describe_lockout(wait)
    st.warning("User name or password is wrong.")
