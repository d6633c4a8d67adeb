"""Application tokens in the API access pane: make one, see it once, revoke it."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.errors import FlowgroundError, NotAllowed
from flowground.store import tokens
from flowground.store.tokens import Token
from flowground.ui import answers, bridge, sign_in, words
from flowground.ui.caller import visitor
from flowground.wiring import WiredFlow

_EXPIRES = {"30 days": 30, "90 days": 90, "1 year": 365, "Never": None}
_LONGEST_NAME = 60

Scope = Literal["app", "fragment"]


def fresh_secret(flow: WiredFlow) -> str | None:
    """The token that was made in this pane just now; it is shown until the page is left."""
    secret: str | None = st.session_state.get(_fresh(flow))
    return secret


def draw_tokens(flow: WiredFlow, *, scope: Scope) -> None:
    """A form for a new token and the list of those in force. `scope` is what is drawn again after a change."""
    st.markdown("**Application tokens**")
    if not sign_in.ask_owner_code(key=f"tokens:code:{flow.id}"):
        return
    caller = visitor()
    _draw_form(caller, flow, scope)
    for token in _list(caller, flow):
        _draw_row(caller, token, scope)


def _draw_form(caller: Caller, flow: WiredFlow, scope: Scope) -> None:
    with (
        st.form(f"tokens:new:{flow.id}", clear_on_submit=True, border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        name = st.text_input(
            "Name", placeholder="What will use it", max_chars=_LONGEST_NAME, key=f"tokens:name:{flow.id}"
        )
        expires = st.selectbox("Expires", list(_EXPIRES), key=f"tokens:expires:{flow.id}", width=130)
        made = st.form_submit_button("Make a token", type="primary", icon=":material/key:")
    if not made:
        return
    try:
        st.session_state[_fresh(flow)] = bridge.call(_create(caller, flow.id, name.strip(), _EXPIRES[expires]))
    except FlowgroundError as error:
        answers.draw_refusal(error)
    else:
        st.rerun(scope=scope)


def _draw_row(caller: Caller, token: Token, scope: Scope) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"tokens:row:{token.id}"):
        st.markdown(f"**{words.plain(token.name)}**  \n:small[:gray[`{token.prefix}…` · {_facts(token)}]]")
        st.space("stretch")
        if st.button("Revoke", key=f"tokens:revoke:{token.id}", type="tertiary"):
            try:
                bridge.call(_revoke(caller, token.id))
            except FlowgroundError as error:
                answers.draw_refusal(error)
            else:
                st.rerun(scope=scope)


def _facts(token: Token) -> str:
    used = "never used" if token.last_used_at is None else f"last used {_day(token.last_used_at)}"
    uses = "" if not token.uses else "1 use" if token.uses == 1 else f"{token.uses:,} uses"
    if token.expires_at is None:
        ends = "does not expire"
    else:
        ends = f"{'expired' if token.expires_at <= datetime.now(UTC) else 'expires'} {_day(token.expires_at)}"
    return words.line((used, uses, ends))


def _day(moment: datetime) -> str:
    return f"{moment:%-d %b %Y}"


async def _create(caller: Caller, flow_id: str, name: str, days: int | None) -> str:
    access = runtime.current().access
    caller = await access.recheck(caller)
    access.require_lasting(caller)
    flow = await access.open_flow(caller, flow_id)
    if not name:
        raise NotAllowed("The token needs a name: what will use it?")
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    _, secret = await runtime.current().store.write(
        tokens.create, name=name, owner=_owner(caller), flows=(flow.id,), expires_at=expires, by=caller.key
    )
    return secret


async def _revoke(caller: Caller, token_id: str) -> None:
    access = runtime.current().access
    caller = await access.recheck(caller)
    access.require_lasting(caller)
    if any(token.id == token_id for token in await _all(caller)):
        await runtime.current().store.write(tokens.revoke, token_id=token_id, by=caller.key)


def _list(caller: Caller, flow: WiredFlow) -> list[Token]:
    """Tokens in force that open this flow: the person's own, an admin's all."""
    return [
        token
        for token in bridge.call(_all(caller))
        if token.revoked_at is None and (token.flows is None or flow.id in token.flows)
    ]


async def _all(caller: Caller) -> list[Token]:
    return await runtime.current().store.read(tokens.list_tokens, owner=_owner(caller), everyone=caller.role == "admin")


def _owner(caller: Caller) -> str | None:
    """Tokens of the local owner belong to the organization: the owner ends with the first account."""
    return caller.name if caller.kind == "member" else None


def _fresh(flow: WiredFlow) -> str:
    return f"tokens:fresh:{flow.id}"
