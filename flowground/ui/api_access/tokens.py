"""Application tokens in the API access pane: make one, see it once, revoke it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import streamlit as st

from flowground.access import application_tokens
from flowground.access.application_tokens import Reach
from flowground.caller import Caller
from flowground.store.people.tokens import StoredToken
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.caller import bind_to_caller, require_visitor
from flowground.ui.sign_in import sign_in
from flowground.wiring import WiredFlow

_REACH: Mapping[Reach, str] = {"flow": "This flow", "all": "All that I may run"}
_EXPIRES = {"30 days": timedelta(30), "90 days": timedelta(90), "1 year": timedelta(365), "Never": None}
_REFUSED = "tokens:refused"


def find_fresh_secret(wired: WiredFlow) -> str | None:
    """The token that was made in this pane just now; it is shown until the page is left."""
    return st.session_state.get(_make_fresh_key(wired))


def draw_tokens(caller: Caller, wired: WiredFlow) -> None:
    """A form for a new token and the list of those in force."""
    st.markdown("**Application tokens**")
    if not caller.is_proven:
        if not sign_in.ask_owner_code(key=f"tokens:code:{wired.id}"):
            return
        caller = require_visitor()
    _draw_form(caller, wired)
    failure.draw_kept(_REFUSED)
    if find_fresh_secret(wired):  # drawn above the code, which may be out of view from here
        st.caption(":material/arrow_upward: Your new token stands at the top of this pane, in the line to run first.")
    for token in bridge.ask(application_tokens.list_tokens, caller, flow_id=wired.id):
        _draw_row(caller, token)


def _draw_form(caller: Caller, wired: WiredFlow) -> None:
    with (
        st.form(f"tokens:new:{wired.id}", clear_on_submit=True, border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input(
            "Name",
            placeholder="What will use it",
            max_chars=application_tokens.LONGEST_NAME,
            key=f"tokens:name:{wired.id}",
        )
        st.selectbox(
            "Reaches", list(_REACH), format_func=lambda name: _REACH[name], key=f"tokens:reach:{wired.id}", width=170
        )
        st.selectbox("Expires", list(_EXPIRES), key=f"tokens:expires:{wired.id}", width=130)
        st.form_submit_button(
            "Make a token", type="primary", icon=":material/key:", on_click=_make, args=(caller, wired)
        )


@bind_to_caller
def _make(caller: Caller, wired: WiredFlow) -> None:
    """For a button."""
    name, reach, expires = (st.session_state[f"tokens:{field}:{wired.id}"] for field in ("name", "reach", "expires"))
    with failure.keep_refusals(_REFUSED):
        _, secret = bridge.ask(
            application_tokens.make, caller, wired.id, name=name, reach=reach, expires_in=_EXPIRES[expires]
        )
        st.session_state[_make_fresh_key(wired)] = secret


def _draw_row(caller: Caller, token: StoredToken) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"tokens:row:{token.id}"):
        owner = "" if token.owner == caller.person else words.escape(token.owner or "the organization")
        facts = write_token_facts(token, owner, "all flows" if token.flows is None else "")
        st.markdown(f"**{words.escape(token.name)}**  \n:small[:gray[`{token.prefix}…` · {facts}]]")
        st.space("stretch")
        draw_action("Revoke", _revoke, caller, token.id, key=f"tokens:revoke:{token.id}")


@bind_to_caller
def _revoke(caller: Caller, token_id: str) -> None:
    """For a button."""
    with failure.keep_refusals(_REFUSED):
        bridge.ask(application_tokens.revoke, caller, token_id)


def write_token_facts(token: StoredToken, *first: str) -> str:
    """`first`, which the caller escaped, then when and how often the token was used and when it ends, in one line."""
    used = "never used" if token.last_used_at is None else f"last used {browser.write_day(token.last_used_at)}"
    uses = words.count(token.uses, "use") if token.uses else ""
    if token.expires_at is None:
        ends = "does not expire"
    else:
        verb = "expired" if token.expires_at <= datetime.now(UTC) else "expires"
        ends = f"{verb} {browser.write_day(token.expires_at)}"
    return words.join((*first, used, uses, ends))


def _make_fresh_key(wired: WiredFlow) -> str:
    return f"tokens:fresh:{wired.id}"
