"""Signing this browser in and out: the page asks, the browser itself fetches the cookie."""

import json

import streamlit as st

from flowground import runtime
from flowground.ui import bridge
from flowground.ui.caller import browser_id


def sign_in_browser(member: str | None, *, reload: bool = True) -> None:
    """Has the browser exchange a one-time ticket for the cookie; `member` None is the local owner.

    With `reload` the page is loaded anew at the same address and this run ends. Raises InvalidRequest without cookies.
    """
    ticket = bridge.call(runtime.current().sign_in.issue_ticket(member, browser_id()))
    _post("/session/start", {"ticket": ticket}, reload=reload)


def sign_out_browser() -> None:
    """Ends the sign-in session for good, then loads the page anew."""
    _post("/session/end", {}, reload=True)


def _post(path: str, body: dict[str, str], *, reload: bool) -> None:
    after = ".finally(() => location.reload())" if reload else ""
    # `<` could only come from the values, which are ours: a path and a random ticket.
    options = json.dumps({"method": "POST", "headers": {"content-type": "application/json"}, "body": json.dumps(body)})
    st.html(f"<script>fetch({json.dumps(path)}, {options}){after}</script>", unsafe_allow_javascript=True)
    if reload:
        st.stop()
