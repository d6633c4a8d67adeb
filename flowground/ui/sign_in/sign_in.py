"""How somebody gets in without a password: the owner code, the first account, and one-time links that set a password.

The owner code is asked for before anything that outlives the visit.
"""

from contextlib import suppress
from urllib.parse import quote

import streamlit as st

from flowground import runtime
from flowground.errors import InvalidRequest, NotAllowed, NotSignedIn
from flowground.shims import page_scripts
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import is_owner_proven, read_address, remember_proof
from flowground.ui.sign_in import session

_CODE = "code"
_KINDS = ("invitation", "reset")
"""Of one-time links; also the names in the address: flowground/web/paths.py keeps them out of every log."""
_WHERE = "The owner code is in the terminal where Flowground was started."


def ask_owner_code(*, key: str = "owner_code", says: str = _WHERE) -> bool:
    """True when this browser gave the owner code (always for members); else draws the small form that asks for it.

    Works in a page, a dialog and a fragment. `key` tells two forms on one page apart; `says` stands above the form.
    """
    if is_owner_proven():
        return True
    slot = st.empty()
    with slot.form(key, border=False):
        st.markdown(says)
        code = st.text_input("Owner code", placeholder="xxxx-xxxx-xxxx", autocomplete="off")
        is_sent = st.form_submit_button("Continue", type="primary")
    if not is_sent:
        return False
    if not _prove(code):
        st.error("This is not the code. It changes with every start of Flowground.")
        return False
    slot.empty()
    return True


def take_code_from_link() -> bool:
    """For the router: proves the owner by the `?code=` link of the terminal, and takes the code out of the address.

    Whether there was one, and it was right.
    """
    code = st.query_params.get(_CODE)
    if code is None:
        return False
    del st.query_params[_CODE]
    if not _prove(code):
        st.toast("The code in this link is no longer valid. Flowground prints a new one at every start.")
        return False
    return True


def draw_owner_code(*, says: str) -> None:
    """Draws the form that asks for the owner code, below what it `says`; once it is right, this browser is the owner's
    and the page is loaded anew. Ends the run then."""
    if ask_owner_code(says=says):
        enter_as_owner()


def enter_as_owner() -> None:
    """Loads the page anew with the owner's cookie; a browser without cookies has only this page. Ends the run."""
    with suppress(InvalidRequest):
        session.sign_in_browser(None)
    st.rerun()


def draw_first_account(*, key: str = "first_account", go_to: str | None = None, shares: str | None = None) -> None:
    """Draws the form that makes the first account, an admin. The browser is then signed in and stays where it was.

    Ends local mode for good. Asks for the owner code first. `go_to` is the page to go to instead of staying,
    `shares` the flow that the account shares from its first moment.
    """
    if not ask_owner_code(key=f"{key}_code"):
        return
    with st.form(key, border=False):
        name = st.text_input("User name", help="Small letters, digits and . _ @ + -", autocomplete="username")
        shown = st.text_input("Your name", placeholder="As colleagues see it", autocomplete="name")
        password = st.text_input(
            "Password", type="password", autocomplete="new-password", help="At least 8 characters."
        )
        is_sent = st.form_submit_button("Create account", type="primary")
    if not is_sent:
        return
    try:
        member = bridge.call(runtime.get().sign_in.create_first_account(name, shown, password, shares=shares))
        # Every open page but this one looks again at whom it serves: who may not stay meets the sign-in page at once.
        runtime.get().loop.call_soon_threadsafe(page_scripts.redraw_others, page_scripts.find_this_page())
        session.sign_in_browser(member.id, go_to=go_to)
    except (InvalidRequest, NotAllowed) as error:
        st.error(error.full_message)


def draw_join() -> None:
    """Where a one-time link leads: somebody chooses their password with it, and is signed in."""
    secret = next((st.query_params[kind] for kind in _KINDS if kind in st.query_params), "")
    links, address = runtime.get().sign_in.links, read_address()
    organization = words.escape(runtime.get().settings.organization.name)
    try:
        link, member = bridge.call(links.find(secret, address))
    except NotSignedIn as error:
        st.title("This link does not work", anchor=False)
        failure.draw_refusal(error)
        st.write("If you have a password already: [Sign in](/)")
        return
    new = link.kind == "invitation"
    st.title(f"Welcome to {organization}" if new else "Choose a new password", anchor=False)
    st.markdown(f"You are **{words.escape(member.display_name)}**; your user name is **{words.escape(member.name)}**.")
    with st.form("join", border=False):
        password = st.text_input(
            "Password",
            type="password",
            autocomplete="new-password",
            help="At least 8 characters. Longer is stronger.",
        )
        is_sent = st.form_submit_button("Set the password and sign in", type="primary", width="stretch")
    if is_sent:
        with failure.draw_refusals():
            bridge.call(links.redeem(secret, password, address))
            session.sign_in_browser(member.id, go_to=_find_goal())


def _find_goal() -> str:
    """Where an invitation leads once it is accepted: the flow that it was made for, else home."""
    flow = st.query_params.get("flow", "")
    return f"/public_flow/{quote(flow, safe='')}" if flow else "/"


def _prove(code: str) -> bool:
    if not runtime.get().sign_in.check_owner_code(code):
        return False
    remember_proof()
    if runtime.get().settings.local_mode != "link":  # there the page is loaded anew, with the cookie
        with suppress(InvalidRequest):  # without cookies the proof lasts as long as this page
            session.remember_owner()
    return True
