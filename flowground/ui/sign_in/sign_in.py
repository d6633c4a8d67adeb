"""How somebody gets in without a password: the owner code, the first account, and one-time links that set a password.

The owner code is asked for before anything that outlives the visit.
"""

from contextlib import suppress
from html import escape
from urllib.parse import quote

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.shims import page_scripts
from flowground.store.people.members import Member
from flowground.store.people.password_links import PasswordLink
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import find_visitor, is_owner_proven, read_address, remember_proof
from flowground.ui.page.name_fields import draw_names
from flowground.ui.page.names import find_display_name
from flowground.ui.sign_in import session
from flowground.wiring import WiredFlow

_CODE = "code"
_KINDS = ("invitation", "reset")
"""Of one-time links; also the names in the address: flowground/web/paths.py keeps them out of every log."""
_FOCUS = """<script>{
  const find = () => document.querySelector('.st-key-join input[type="password"]');
  const enter = () => { if (find()) { find().focus(); watcher.disconnect(); } };
  const watcher = new MutationObserver(enter);
  watcher.observe(document.body, { childList: true, subtree: true });
  enter();
}</script>"""
"""Puts the writer into the one field of the page."""
_WHERE = "The owner code is in the terminal where Flowground was started."


def ask_owner_code(*, key: str = "owner_code", says: str = _WHERE, then: str = "Continue") -> bool:
    """True when this browser gave the owner code (always for members); else draws the small form that asks for it.

    Works in a page, a dialog and a fragment. `key` tells two forms on one page apart; `says` stands above the form, and
    `then` is what its button does.
    """
    slot = st.empty()  # always: where what is below moves, a field is another one, without what is typed in it just now
    if is_owner_proven():
        return True
    with slot.form(key, border=False):
        st.markdown(says)
        code = st.text_input("Owner code", placeholder="xxxx-xxxx-xxxx", autocomplete="off")
        is_sent = st.form_submit_button(then, type="primary")
    if not is_sent:
        return False
    if not runtime.get().sign_in.check_owner_code(code):
        st.warning("This is not the code. It changes with every start of Flowground.")
        return False
    with slot.container():
        _keep_proof()
    return True


def take_code_from_link() -> bool:
    """For the router: proves the owner by the `?code=` link of the terminal, and takes the code out of the address.

    Whether there was one, and it was right.
    """
    code = st.query_params.get(_CODE)
    if code is None:
        return False
    del st.query_params[_CODE]
    if not runtime.get().sign_in.check_owner_code(code):
        st.toast("The code in this link is no longer valid. Flowground prints a new one at every start.")
        return False
    _keep_proof()
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


def draw_new_password(label: str = "Password") -> str:
    """The field for a password that somebody chooses, with the rule below it."""
    with st.container(gap="xsmall"):
        password = st.text_input(label, type="password", autocomplete="new-password")
        st.caption("At least 8 characters. Longer is stronger.")
    return password


def draw_first_account(*, key: str = "first_account", go_to: str | None = None, shares: str | None = None) -> None:
    """Draws the form that makes the first account, an admin. The browser is then signed in and stays where it was.

    Ends local mode for good. Asks for the owner code first. `go_to` is the page to go to instead of staying,
    `shares` the flow that the account shares from its first moment.
    """
    if not ask_owner_code(key=f"{key}_code"):
        return
    shown, name = draw_names("Your name", key=key)
    with st.form(key, border=False):
        password = draw_new_password()
        is_sent = st.form_submit_button("Create account", type="primary")
    if not is_sent:
        return
    try:
        member = bridge.call(runtime.get().sign_in.create_first_account(name, shown, password, shares=shares))
        # Every open page but this one looks again at whom it serves: who may not stay meets the sign-in page at once.
        runtime.get().loop.call_soon_threadsafe(page_scripts.redraw_others, page_scripts.find_this_page())
        session.sign_in_browser(member.id, go_to=go_to)
    except (InvalidRequest, NotAllowed) as error:
        failure.draw_refusal(error)


def draw_join() -> None:
    """Where a one-time link leads: somebody chooses their password with it, and is signed in."""
    secret = next((st.query_params[kind] for kind in _KINDS if kind in st.query_params), "")
    links, address = runtime.get().sign_in.links, read_address()
    here = find_visitor()
    if here is not None and here.kind == "member" and bridge.call(links.was_used_by(secret, here.id)):
        _draw_joined(here)
        return
    try:
        link, member = bridge.call(links.find(secret, address))
    except NotSignedIn as error:
        st.title("This link does not work", anchor=False)
        failure.draw_refusal(error)
        _draw_way_on(here)
        return
    _draw_welcome(link, member)
    with st.container(key="join"), st.form("join:password", border=False):
        password = draw_new_password()
        is_sent = st.form_submit_button("Set the password and sign in", type="primary", width="stretch")
    st.html(_FOCUS, unsafe_allow_javascript=True)
    said = st.empty()
    if not is_sent:
        return
    said.info("One moment: you are being signed in …", icon=":material/hourglass_top:")
    try:
        bridge.call(links.redeem(secret, password, address))
        session.sign_in_browser(member.id, go_to=_find_goal())
    except (InvalidRequest, NotSignedIn) as error:
        with said:
            failure.draw_refusal(error)


def _draw_way_on(here: Caller | None) -> None:
    """Below a link that is over: to what the address says that it was for, whatever link it was. So a stranger who has
    none reads the same, and learns nothing."""
    is_member = here is not None and here.kind == "member"
    st.write("You are signed in here." if is_member else "If you have chosen your password already, sign in with it.")
    label = "Go on" if is_member else "Sign in"
    st.html(f'<a class="fg-way-out" href="{escape(_find_goal())}">{label}</a>', width="content")


def _draw_welcome(link: PasswordLink, member: Member) -> None:
    """Who one is here, who invited one, and to what."""
    if link.kind == "invitation":
        organization = words.escape(runtime.get().settings.organization.name)
        wired = _find_flow(Caller("member", member.id, member.role))
        st.title(f"Welcome to {organization}", anchor=False)
        to = words.escape(wired.flow.chat.title or wired.name) if wired else organization
        st.markdown(f"{_name_inviter(link.created_by)} invites you to **{to}**.")
    else:
        st.title("Choose a new password", anchor=False)
    st.markdown(f"You are **{words.escape(member.display_name)}**; your user name is **{words.escape(member.name)}**.")


def _draw_joined(here: Caller) -> None:
    """For who comes by their own link again, and is signed in."""
    wired = _find_flow(here)
    st.title("You have joined already", anchor=False)
    st.write("This invitation was already used, and you are signed in.")
    name = f"Open {wired.flow.chat.title or wired.name}" if wired else "Your flows"
    goal = _find_goal() if wired else "/"
    st.html(f'<a class="fg-way-out" href="{escape(goal)}">{escape(name)}</a>', width="content")


def _find_flow(caller: Caller) -> WiredFlow | None:
    """The flow that an invitation was made for; None where it names none, or none that this person may open."""
    with suppress(FlowNotFound):
        return bridge.call(runtime.get().access.open_flow(caller, st.query_params.get("flow", "")))
    return None


def _name_inviter(owner: str) -> str:
    kind, _, member = owner.partition(":")
    return words.escape(find_display_name(member)) if kind == "member" else "An admin"


def _find_goal() -> str:
    """Where an invitation leads once it is accepted: the flow that it was made for, else home."""
    flow = st.query_params.get("flow", "")
    return f"/public_flow/{quote(flow, safe='')}" if flow else "/"


def _keep_proof() -> None:
    remember_proof()
    if runtime.get().settings.local_mode != "link":  # there the page is loaded anew, with the cookie
        with suppress(InvalidRequest):  # without cookies the proof lasts as long as this page
            session.remember_owner()
