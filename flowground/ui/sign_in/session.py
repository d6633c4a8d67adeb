"""Signing this browser in and out: the page asks, the browser itself fetches the cookie."""

import json

import streamlit as st

from flowground import runtime
from flowground.caller import LOCAL_OWNER, Owner
from flowground.ui.page import bridge, drafts
from flowground.ui.page.caller import read_browser_id

_SAME_PAGE = "location.reload()"


def sign_in_browser(member: str | None, *, go_to: str | None = None) -> None:
    """Has the browser exchange a one-time ticket for the cookie, then load the page anew; ends this run.

    `member` is an id; None: the local owner. The address stays, unless `go_to` names another of ours. Raises
    InvalidRequest where the browser sends no cookies.
    """
    ticket = bridge.call(runtime.get().sign_in.issue_ticket(member, read_browser_id()))
    owner = Owner("member", member) if member else LOCAL_OWNER.owner
    then = f"location.replace({json.dumps(go_to)})" if go_to else _SAME_PAGE
    _post("/session/start", {"ticket": ticket}, first=drafts.write_forgetting(keep=owner), then=then)
    st.stop()


def remember_owner() -> None:
    """Lets this browser keep the local owner's proof, without touching the page. Raises InvalidRequest as above."""
    ticket = bridge.call(runtime.get().sign_in.issue_ticket(None, read_browser_id()))
    _post("/session/start", {"ticket": ticket})


def sign_out_browser() -> None:
    """Ends the sign-in session for good, deletes all drafts, then loads the page anew; ends this run."""
    _post("/session/end", {}, first=drafts.write_forgetting(), then=_SAME_PAGE)
    st.stop()


def _post(path: str, body: dict[str, str], *, first: str = "", then: str = "") -> None:
    before = f"{first}; " if first else ""
    after = f".finally(() => {then})" if then else ""
    # All values are ours, a path, a digest and a random ticket: none can end the script element.
    options = json.dumps({"method": "POST", "headers": {"content-type": "application/json"}, "body": json.dumps(body)})
    st.html(f"<script>{before}fetch({json.dumps(path)}, {options}){after}</script>", unsafe_allow_javascript=True)
