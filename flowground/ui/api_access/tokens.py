"""Application tokens in the API access pane: make one, see it once, revoke it."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import streamlit as st

from flowground.access import application_tokens
from flowground.access.application_tokens import Reach
from flowground.access.roster import find_name
from flowground.core.caller import Caller, Sees, Sets
from flowground.core.words import join_words
from flowground.flows.tweaks import FieldValues
from flowground.flows.wiring import WiredFlow
from flowground.store.people import tokens as stored_tokens
from flowground.store.people.tokens import StoredToken
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller, change_later, require_caller
from flowground.ui.page.names import read_names
from flowground.ui.page.parts import PAGE, ListPage, begin_sentence, render_action, render_list
from flowground.ui.sign_in import sign_in

_REACH: Mapping[Reach, str] = {"flow": "This flow", "all": "Every flow I may run"}
_EXPIRES = {"30 days": timedelta(30), "90 days": timedelta(90), "1 year": timedelta(365), "Never": None}
_NARROW: Mapping[str, object] = {"reach": "flow", "expires": "30 days", "sees": False}
SEES_INSIDE = "See prompts, traces and whole errors"
_SETS_FIELDS = "Set fields of the flow, such as its prompt and temperature"
_REFUSED = "tokens:refused"
_ROWS = 10


@dataclass(frozen=True, slots=True)
class FreshToken:
    """The token that was made in this pane just now, with its secret, shown until the person leaves the page."""

    token: StoredToken
    secret: str = field(repr=False)


def find_fresh(wired: WiredFlow) -> FreshToken | None:
    """The token that was made in this pane; None if there is none, or it was revoked since."""
    secret: str = st.session_state.get(_make_fresh_key(wired), "")
    token = bridge.read(stored_tokens.find, secret=secret) if secret else None
    return FreshToken(token, secret) if token else None


def _needs_setting(caller: Caller, wired: WiredFlow, tweaks: FieldValues) -> bool:
    """Whether code with these tweaks needs a token that may set more fields than the author opened."""
    of_new_token = replace(caller, sets="opened")
    known = wired.policy.fields  # an older call may override other fields
    fields = (known.get(name, {}).get(key) for name, values in tweaks.items() for key in values)
    return any(item is not None and not wired.policy.may_set(item, of_new_token) for item in fields)


def choose_rights(caller: Caller, wired: WiredFlow, fresh: FreshToken | None = None) -> tuple[Sees, Sets]:
    """What the next token sees and sets, as ticked in the form; plus the rights of `fresh`, if there is one."""
    sees, sets = (st.session_state.get(f"tokens:{part}:{wired.id}", False) for part in ("sees", "sets"))
    if fresh:
        sees, sets = sees or fresh.token.sees == "inside", sets or fresh.token.sets == "unprotected"
    return (
        "inside" if sees and caller.sees_inside else "answers",
        "unprotected" if sets and caller.sets_unprotected else "opened",
    )


def follow_overrides(caller: Caller, wired: WiredFlow, tweaks: FieldValues) -> None:
    """Ticks the right to set fields when the code begins to need it, and unticks it when it needs it no more."""
    needs, key = _needs_setting(caller, wired, tweaks), f"tokens:needed:{wired.id}"
    if caller.sets_unprotected and needs != st.session_state.get(key, False):
        st.session_state[f"tokens:sets:{wired.id}"] = needs
    st.session_state[key] = needs


def _render_closed(wired: WiredFlow, tweaks: FieldValues) -> None:
    """A note on fields that the code sets and no token may set, though the caller's chat and *Try it* may."""
    known = wired.policy.fields
    fields = [known[name][key] for name, values in tweaks.items() for key in values if key in known.get(name, {})]
    if closed := [f"`{item.key}`" for item in fields if item.closed]:
        says = f"No token may set {join_words(closed, 'and')}, so this code is refused. Your chat and *Try it* take it."
        hint = "Programs may once the flow's file lists it under `api.overridable`."
        st.caption(f":orange[:material/lock: {says} {hint}]")


def render_lacking(caller: Caller, wired: WiredFlow, fresh: FreshToken | None, tweaks: FieldValues) -> None:
    """A note that the code sets fields, which token may do so, and a button that ticks the right in the form.

    It stays visible while overrides scroll. Nothing if the fresh token may set fields.
    """
    _render_closed(wired, tweaks)
    if not st.session_state.get(f"tokens:needed:{wired.id}"):
        return
    if not caller.is_proven or (fresh and fresh.token.sets == "unprotected"):
        return
    says = "These overrides need a token that may set fields"
    if fresh:
        says += f", and “{words.escape(fresh.token.name)}” may not."
    else:
        known = bridge.ask(application_tokens.find_setting, caller, wired.id)
        says += f". “{words.escape(known.name)}” may." if known else "."
    key = f"tokens:lacking:{wired.id}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, border=True, key=key):
        st.caption(f":orange[:material/key_off:] {says}")
        if caller.sets_unprotected:  # head.js scrolls to the form and focuses its first field
            render_action("Make such a token", _choose_setting, wired, key=f"tokens:tick:{wired.id}", kind="secondary")


def _choose_setting(wired: WiredFlow) -> None:
    st.session_state[f"tokens:sets:{wired.id}"] = True


def render_step(caller: Caller, wired: WiredFlow, fresh: FreshToken | None) -> Caller:
    """A form for a new token, and below it the token that was just made.

    Returns the caller, who may have just given the owner code.
    """
    if not caller.is_proven:
        if not sign_in.ask_owner_code(key=f"tokens:code:{wired.id}"):
            return caller
        caller = require_caller()
    with st.container():  # a change in it keeps the elements below, where somebody may be typing
        _render_form(caller, wired)
        bridge.render_kept(_REFUSED)
        if fresh:
            with st.container(border=True, key=f"tokens:fresh:{wired.id}", gap="xsmall"):
                says = "**Your new token.** Copy it now. You won't be able to see it again."
                st.markdown(f":green[:material/check_circle:] {says}")
                with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
                    st.markdown(f"`{fresh.secret}`")
                    st.space("stretch")
                    parts.render_copy(fresh.secret, what="the token", key=f"token:{wired.id}")
                facts = _write_facts(caller, fresh.token, f"**{words.escape(fresh.token.name)}**", wired=wired)
                st.caption(facts)
    return caller


def render_tokens(caller: Caller, wired: WiredFlow) -> None:
    """The tokens that reach the flow: the caller's own; for admins everyone's."""
    st.divider()
    if not caller.is_proven:
        return
    st.markdown("**Application tokens**")
    parts.render_left_for_tokens(caller, wired)
    find = partial(application_tokens.find_page, flow_id=wired.id)
    render_token_list(caller, "tokens", find, empty="None yet.", wired=wired)


def render_token_list(
    caller: Caller,
    place: str,
    find: Callable[..., Coroutine[Any, Any, ListPage[StoredToken]]],
    *,
    empty: str,
    wired: WiredFlow | None = None,
) -> None:
    """Tokens with what they may do, each with a button that revokes it; `place` begins the keys.

    `find` is for `render_list`; `wired` is the flow that the page is about.
    """
    refused = f"{place}:refused"
    bridge.render_kept(refused)

    def render(tokens: Sequence[StoredToken]) -> None:
        names = read_names({token.owner for token in tokens if token.owner})
        for token in tokens:
            with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"{place}:row:{token.id}"):
                whose = find_name(names, token.owner) if token.owner else stored_tokens.ORGANIZATION
                owner = "" if token.owner == caller.person and place != "organization:tokens" else words.escape(whose)
                facts = _write_facts(caller, token, f"`{token.prefix}…`", owner, wired=wired)
                st.markdown(f"**{words.escape(token.name)}**  \n:small[:gray[{facts}]]")
                st.space("stretch")
                _render_revoke(caller, token, refused, key=f"{place}:revoke:{token.id}")

    name, size = (f"{place}:{wired.id}", _ROWS) if wired else (place, PAGE)
    render_list(name, "Search tokens", find, caller, render, empty=empty, size=size)


def _render_form(caller: Caller, wired: WiredFlow) -> None:
    with (
        st.form(f"tokens:new:{wired.id}", clear_on_submit=True, border=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        st.text_input(
            "Name",
            placeholder="e.g. Billing script",
            max_chars=application_tokens.LONGEST_NAME,
            key=f"tokens:name:{wired.id}",
        )
        st.form_submit_button(
            "Make a token", type="primary", icon=":material/key:", on_click=_make, args=(caller, wired)
        )
    # `on_change` makes Streamlit keep whether the expander is open, wherever it stands on the page.
    key = f"tokens:choices:{wired.id}"
    with st.expander("Advanced (scope, expiry, permissions)", type="compact", key=key, on_change="rerun"):
        _render_choices(caller, wired)
    if more := _write_more(caller, wired):
        st.caption(f":orange[:material/key:] The next token may also {more}.")


def _render_choices(caller: Caller, wired: WiredFlow) -> None:
    """Choices for the next token. Outside the form, so that *Try it* uses them at once."""
    with st.container(horizontal=True, gap="small"):
        reach, expires = f"tokens:reach:{wired.id}", f"tokens:expires:{wired.id}"
        st.selectbox("Scope", list(_REACH), format_func=lambda name: _REACH[name], key=reach, width=180)
        st.selectbox("Expires", list(_EXPIRES), key=expires, width=140)
    if not caller.opens_every_flow:
        return
    with st.container(gap="xsmall"):
        st.caption("It runs the flow and sees what it answers. It may also:")
        st.checkbox(SEES_INSIDE, key=f"tokens:sees:{wired.id}")
        warns = "This can reveal the flow's prompt."  # no colour: it would be read out as its markup
        st.checkbox(f"{_SETS_FIELDS}. {warns}", key=f"tokens:sets:{wired.id}")


def _write_more(caller: Caller, wired: WiredFlow) -> str:
    """What the next token may do beyond the default, in words: the choices may be in a closed expander."""
    sees, sets = choose_rights(caller, wired)
    why = ": your overrides do" if st.session_state.get(f"tokens:needed:{wired.id}") else ""
    more = (
        "reach every flow that you may run" if st.session_state[f"tokens:reach:{wired.id}"] == "all" else "",
        _begin_small(SEES_INSIDE) if sees == "inside" else "",
        f"{_begin_small(_SETS_FIELDS)}{why}" if sets == "unprotected" else "",
    )
    rights = [part for part in more if part]
    return join_words(rights, "and") if rights else ""


def _begin_small(text: str) -> str:
    return text[:1].lower() + text[1:]


@bind_to_caller
def _make(caller: Caller, wired: WiredFlow) -> None:
    """Makes the token, and resets the form to narrow rights, except for what the overrides need. For callbacks."""
    sees, sets = choose_rights(caller, wired)
    name, reach, expires = (st.session_state[f"tokens:{part}:{wired.id}"] for part in ("name", "reach", "expires"))
    with bridge.keep_refusals(_REFUSED):
        _, secret = bridge.ask(
            application_tokens.make,
            caller,
            wired.id,
            name=name,
            reach=reach,
            expires_in=_EXPIRES[expires],
            sees=sees,
            sets=sets,
        )
        st.session_state[_make_fresh_key(wired)] = secret
        for part, narrow in _NARROW.items():
            st.session_state[f"tokens:{part}:{wired.id}"] = narrow
        st.session_state[f"tokens:sets:{wired.id}"] = st.session_state.get(f"tokens:needed:{wired.id}", False)


def _render_revoke(caller: Caller, token: StoredToken, refused: str, *, key: str) -> None:
    """A button that revokes the token after a question, in a popover, which works in a drawer as well as on a page.

    A refusal is kept under `refused`, as `change_later` does.
    """
    # Rerun, so that its uses are read when it opens.
    with st.popover("Revoke", type="tertiary", key=f"{key}:ask", on_change="rerun"):
        st.markdown(f"**Revoke “{words.escape(token.name)}”?**")
        st.caption(f"{begin_sentence(_write_uses(token))}. Whatever uses it is refused from then on, for good.")
        with st.container(key=f"last-question:{key}"):
            told, act = partial(change_later, says="Revoked."), application_tokens.revoke
            render_action("Revoke", told, caller, refused, act, token.id, key=key, kind="primary")


def _write_rights(caller: Caller, token: StoredToken) -> str:
    """What the token may see and set, in a few words. A member's own token sees answers only."""
    if token.owner == caller.person and not caller.opens_every_flow:
        return "sees answers"
    sees = "sees answers" if token.sees == "answers" else "sees the inside"
    return sees if token.sets == "opened" else f"{sees}, sets fields"


def _write_facts(caller: Caller, token: StoredToken, *first: str, wired: WiredFlow | None = None) -> str:
    """One line: `first`, escaped already, then which flows the token reaches, its rights, its uses and its end.

    Flows are shown by id, only `wired` by its name.
    """
    if token.flows is None:
        reach = "all flows"
    else:
        reach = f"{', '.join(wired.name if wired and flow == wired.id else flow for flow in token.flows)} only"
    if token.expires_at is None:
        ends = "does not expire"
    else:
        verb = "expired" if token.expires_at <= datetime.now(UTC) else "expires"
        ends = f"{verb} {browser.write_day(token.expires_at)}"
    return words.join((*first, words.escape(reach), _write_rights(caller, token), _write_uses(token), ends))


def _write_uses(token: StoredToken) -> str:
    used = "never used" if token.last_used_at is None else f"last used {browser.write_day(token.last_used_at)}"
    return words.join((used, words.count(token.uses, "use") if token.uses else ""))


def _make_fresh_key(wired: WiredFlow) -> str:
    return f"tokens:fresh:{wired.id}"
