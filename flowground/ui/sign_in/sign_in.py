"""How people sign in and out: the form, the owner code, the first account, and one-time links that set a password.

The form is our own: streamlit-authenticator's sets a cookie that scripts can read; the authenticator only compares a
password with its hash. A page asks for the cookie, and the browser itself fetches it. The owner code is asked for
before anything that outlives the visit.
"""

import json
from contextlib import suppress
from html import escape
from urllib.parse import quote

import streamlit as st

from flowground.access.passwords import locked_out_error
from flowground.app import runtime
from flowground.core.caller import LOCAL_OWNER, Caller, Owner
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.flows.wiring import WiredFlow
from flowground.store.people.members import Member
from flowground.store.people.sign_ins import PasswordLink
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import find_caller, is_owner_proven, read_address, read_browser_id, remember_owner_code
from flowground.ui.page.names import find_display_name
from flowground.ui.page.parts import render_names
from flowground.ui.shims import streamlit_process

_SAME_PAGE = "location.reload()"

_CODE_PARAMETER = "code"
_LINK_PARAMETERS = ("invitation", "reset")
"""Parameters of one-time links; flowground/web/paths.py keeps their values out of every log."""
_FOCUS = """<script>{
  const find = () => document.querySelector('.st-key-join input[type="password"]');
  const enter = () => { if (find()) { find().focus(); watcher.disconnect(); } };
  const watcher = new MutationObserver(enter);
  watcher.observe(document.body, { childList: true, subtree: true });
  enter();
}</script>"""
"""Focuses the only field of the page."""
_CODE_PLACE = "The owner code shows that this server is yours. It is in the terminal where Flowground was started."


def render_sign_in() -> None:
    """The sign-in form; with the right name and password the page is reloaded, signed in, at the same address."""
    organization = words.escape(runtime.get().settings.organization.name)
    with st.form("sign_in"):
        st.title(f"Sign in to {organization}", anchor=False)
        name = st.text_input("User name", autocomplete="username")
        password = st.text_input("Password", type="password", autocomplete="current-password")
        is_sent = st.form_submit_button("Sign in", type="primary", width="stretch")
    box = st.container()
    # The same text at every address: it must not reveal whether a flow exists.
    st.caption("No account yet? Ask the person who sent you this link to invite you.")
    if not is_sent:
        return
    with box:
        try:
            _sign_in(name, password)
        except (NotSignedIn, InvalidRequest) as error:
            bridge.render_refusal(error)


def _sign_in(name: str, password: str) -> None:
    """Ends the run if the password is right; else shows one sentence, the same for an unknown name. Raises NotSignedIn
    after too many tries or while too many people sign in, InvalidRequest if the browser sends no cookies."""
    # It has no types, and it brings 10 MB that a process needs which nobody signs in to.
    from streamlit_authenticator import Hasher  # type: ignore[import-untyped]  # noqa: PLC0415

    sign_in, address = runtime.get().sign_in, read_address()
    if name.strip():
        member = bridge.call(sign_in.check_password(name, password, address, compare=Hasher.check_pw))
        if member is not None:
            sign_in_browser(member.id)
        if wait := bridge.call(sign_in.attempts.find_wait(name, address)):
            raise locked_out_error(wait)
    st.warning("User name or password is wrong.")


def ask_owner_code(*, key: str = "owner_code", says: str = _CODE_PLACE, then: str = "Continue") -> bool:
    """True if this browser gave the owner code, or the caller is a member; else renders a form that asks for the code.

    Works in a page, a dialog and a fragment. `key` tells two forms on one page apart; `says` is the text above the
    form, `then` the label of its button.
    """
    slot = st.empty()  # in every run: if elements below moved, a field would lose the text typed in it
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
    """For the router: takes the code of the terminal's `?code=` link out of the address.

    True if there was a right one; this page then counts as the owner's.
    """
    code = st.query_params.get(_CODE_PARAMETER)
    if code is None:
        return False
    del st.query_params[_CODE_PARAMETER]
    if not runtime.get().sign_in.check_owner_code(code):
        st.toast("The code in this link is no longer valid. Flowground prints a new one at every start.")
        return False
    _keep_proof()
    return True


def enter_as_owner() -> None:
    """Reloads the page with the owner's cookie; without cookies only this page is the owner's. Ends the run."""
    with suppress(InvalidRequest):
        sign_in_browser(None)
    st.rerun()


def render_new_password(label: str = "Password") -> str:
    """A field for a new password, with the rule below it."""
    with st.container(gap="xsmall"):
        password = st.text_input(label, type="password", autocomplete="new-password")
        st.caption("At least 8 characters. Longer is stronger.")
    return password


def render_first_account(*, key: str = "first_account", go_to: str | None = None, shares: str | None = None) -> None:
    """The form that makes the first account, an admin, after the owner code. It ends local mode for good.

    The browser is then signed in, and stays on the page or goes to `go_to`. `shares`: a flow that is shared together
    with the account.
    """
    if not ask_owner_code(key=f"{key}_code"):
        return
    shown, name = render_names("Your name", key=key)
    with st.form(key, border=False):
        password = render_new_password()
        is_sent = st.form_submit_button("Create account", type="primary")
    if not is_sent:
        return
    try:
        member = bridge.call(runtime.get().sign_in.roster.add_first(name, shown, password, shares=shares))
        # All other open pages rerun: those of people without an account show the sign-in page.
        runtime.get().loop.call_soon_threadsafe(streamlit_process.redraw_others, streamlit_process.find_this_page())
        sign_in_browser(member.id, go_to=go_to)
    except (InvalidRequest, NotAllowed) as error:
        bridge.render_refusal(error)


def render_join() -> None:
    """The page of a one-time link: the person sets a password and is signed in."""
    secret = next((st.query_params[kind] for kind in _LINK_PARAMETERS if kind in st.query_params), "")
    links, address = runtime.get().sign_in.links, read_address()
    here = find_caller()
    if here is not None and here.kind == "member" and bridge.call(links.was_used_by(secret, here.id)):
        _render_joined(here)
        return
    try:
        link, member = bridge.call(links.find(secret, address))
    except NotSignedIn as error:
        st.title("This link does not work", anchor=False)
        bridge.render_refusal(error)
        _render_next_link(here)
        return
    _render_welcome(link, member)
    with st.container(key="join"), st.form("join:password", border=False):
        password = render_new_password()
        is_sent = st.form_submit_button("Set the password and sign in", type="primary", width="stretch")
    st.html(_FOCUS, unsafe_allow_javascript=True)
    box = st.empty()
    if not is_sent:
        return
    box.info("One moment: you are being signed in …", icon=":material/hourglass_top:")
    try:
        bridge.call(links.redeem(secret, password, address))
        sign_in_browser(member.id, go_to=_find_goal())
    except (InvalidRequest, NotSignedIn) as error:
        with box:
            bridge.render_refusal(error)


def _render_next_link(here: Caller | None) -> None:
    """A link to the flow in the address, below a one-time link that does not work. It is the same for every such link,
    so that strangers learn nothing."""
    is_member = here is not None and here.kind == "member"
    st.write("You are signed in here." if is_member else "If you have chosen your password already, sign in with it.")
    label = "Go on" if is_member else "Sign in"
    st.html(f'<a class="fg-way-out" href="{escape(_find_goal())}">{label}</a>', width="content")


def _render_welcome(link: PasswordLink, member: Member) -> None:
    """Who the person is here, who invited them, and to what."""
    if link.kind == "invitation":
        organization = words.escape(runtime.get().settings.organization.name)
        wired = _find_flow(Caller("member", member.id, member.role))
        st.title(f"Welcome to {organization}", anchor=False)
        to = words.escape(wired.flow.chat.title or wired.name) if wired else organization
        kind, _, maker = link.created_by.partition(":")
        inviter = words.escape(find_display_name(maker)) if kind == "member" else "An admin"
        st.markdown(f"{inviter} invites you to **{to}**.")
    else:
        st.title("Choose a new password", anchor=False)
    st.markdown(f"You are **{words.escape(member.display_name)}**; your user name is **{words.escape(member.name)}**.")


def _render_joined(here: Caller) -> None:
    """For a signed-in person who opens their own used link again."""
    wired = _find_flow(here)
    st.title("You have joined already", anchor=False)
    st.write("This invitation was already used, and you are signed in.")
    name = f"Open {wired.flow.chat.title or wired.name}" if wired else "Your flows"
    goal = _find_goal() if wired else "/"
    st.html(f'<a class="fg-way-out" href="{escape(goal)}">{escape(name)}</a>', width="content")


def _find_flow(caller: Caller) -> WiredFlow | None:
    """The flow of an invitation; None if it names none, or one that this person may not open."""
    with suppress(FlowNotFound):
        return bridge.call(runtime.get().access.open_flow(caller, st.query_params.get("flow", "")))
    return None


def _find_goal() -> str:
    """The address to which an invitation leads: its flow, else home."""
    flow = st.query_params.get("flow", "")
    return f"/public_flow/{quote(flow, safe='')}" if flow else "/"


def _keep_proof() -> None:
    """This page counts as the owner's; so does this browser, once it has the cookie, without a reload."""
    remember_owner_code()
    if runtime.get().settings.local_mode != "link":  # with "link" the page is reloaded with the cookie
        with suppress(InvalidRequest):  # without cookies the proof lasts as long as this page
            ticket = bridge.call(runtime.get().sign_in.issue_ticket(None, read_browser_id()))
            _post("/session/start", {"ticket": ticket})


def sign_in_browser(member: str | None, *, go_to: str | None = None) -> None:
    """Makes the browser exchange a one-time ticket for the cookie, then reload the page; ends this run.

    `member` is an id; None: the local owner. The address stays, unless `go_to` names another of ours. Raises
    InvalidRequest if the browser sends no cookies.
    """
    ticket = bridge.call(runtime.get().sign_in.issue_ticket(member, read_browser_id()))
    owner = Owner("member", member) if member else LOCAL_OWNER.owner
    then = f"location.replace({json.dumps(go_to)})" if go_to else _SAME_PAGE
    _post("/session/start", {"ticket": ticket}, first=browser.write_forgetting(keep=owner), then=then)
    st.stop()


def sign_out_browser() -> None:
    """Ends the sign-in for good, deletes all drafts, then reloads the page; ends this run."""
    _post("/session/end", {}, first=browser.write_forgetting(), then=_SAME_PAGE)
    st.stop()


def _post(path: str, body: dict[str, str], *, first: str = "", then: str = "") -> None:
    before = f"{first}; " if first else ""
    after = f".finally(() => {then})" if then else ""
    # All values are ours (a path, a digest, a random ticket): none can end the script element.
    options = json.dumps({"method": "POST", "headers": {"content-type": "application/json"}, "body": json.dumps(body)})
    st.html(f"<script>{before}fetch({json.dumps(path)}, {options}){after}</script>", unsafe_allow_javascript=True)
