"""Application tokens in the API access pane: make one, see it once, revoke it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import streamlit as st

from flowground.access import application_tokens
from flowground.access.application_tokens import Reach
from flowground.caller import Caller, Sees, Sets
from flowground.overrides import FieldValues
from flowground.sign_in.roster import find_name
from flowground.store.people.tokens import StoredToken
from flowground.ui.page import bridge, browser, copying, failure, limits_left, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.caller import bind_to_caller, require_visitor
from flowground.ui.page.names import read_names
from flowground.ui.page.paging import ListPage, draw_list
from flowground.ui.sign_in import sign_in
from flowground.wiring import WiredFlow

_REACH: Mapping[Reach, str] = {"flow": "This flow", "all": "Every flow I may run"}
_EXPIRES = {"30 days": timedelta(30), "90 days": timedelta(90), "1 year": timedelta(365), "Never": None}
SEES_INSIDE = "See prompts, traces and whole errors"
_REFUSED = "tokens:refused"
_ROWS = 10
_NAMED = 3
"""Tokens that are named in one sentence."""


def find_fresh_secret(wired: WiredFlow) -> str | None:
    """The token that was made in this pane just now; it is shown until the page is left."""
    return st.session_state.get(_make_fresh_key(wired))


def needs_setting(caller: Caller, wired: WiredFlow, tweaks: FieldValues) -> bool:
    """Whether code with these tweaks needs a token that sets more than the flow's author opened."""
    of_new_token = replace(caller, sets="opened")
    known = wired.policy.fields  # which an older call's overrides may not all be
    fields = (known.get(name, {}).get(key) for name, given in tweaks.items() for key in given)
    return any(field is not None and not wired.policy.may_set(field, of_new_token) for field in fields)


def choose_rights(caller: Caller, wired: WiredFlow, *, sets_fields: bool) -> tuple[Sees, Sets]:
    """What the next token sees and sets: as ticked in the form, or as it stands there before anybody looked.

    `sets_fields` as `needs_setting` says.
    """
    key = _make_choice_key(wired, sets_fields)
    sees = caller.sees_inside and st.session_state.get(f"tokens:sees:{wired.id}", False)
    sets = caller.sets_unprotected and st.session_state.get(key, sets_fields)
    return "inside" if sees else "answers", "unprotected" if sets else "opened"


def draw_lacking(caller: Caller, wired: WiredFlow) -> None:
    """Which of the person's tokens the code cannot be run with, since it sets fields; nothing where there is none."""
    if not caller.is_proven:
        return
    mine, count = bridge.ask(application_tokens.find_lacking, caller, wired.id, limit=_NAMED)
    if mine:
        names = [f"“{words.escape(token.name)}”" for token in mine]
        if count > _NAMED:
            names.append(words.count(count - _NAMED, "other"))
        who = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        is_ticked = choose_rights(caller, wired, sets_fields=True)[1] == "unprotected"
        below = " One that you make above may." if is_ticked else ""
        says = f"These overrides need a token that may set fields, and {who} may not.{below}"
        st.caption(f":orange[:material/key_off:] {says}")


def draw_step(caller: Caller, wired: WiredFlow, *, sets_fields: bool) -> Caller:
    """A form for a new token, and the one that was just made, where one looks; `sets_fields` as `needs_setting` says.

    Returns the caller, who has perhaps just proven to be the owner.
    """
    if not caller.is_proven:
        if not sign_in.ask_owner_code(key=f"tokens:code:{wired.id}"):
            return caller
        caller = require_visitor()
    _draw_form(caller, wired, sets_fields=sets_fields)
    failure.draw_kept(_REFUSED)
    if secret := find_fresh_secret(wired):
        with st.container(border=True, key=f"tokens:fresh:{wired.id}", gap="xsmall"):
            said = "**Your new token, shown this once.** Keep it where you keep passwords."
            st.markdown(f":green[:material/check_circle:] {said}")
            with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
                st.markdown(f"`{secret}`")
                st.space("stretch")
                copying.draw_copy(secret, what="the token", key=f"token:{wired.id}")
    return caller


def draw_tokens(caller: Caller, wired: WiredFlow) -> None:
    """Those that reach the flow: one's own, an admin sees everyone's."""
    if not caller.is_proven:
        return
    st.markdown("**Application tokens**")
    limits_left.draw_left_for_tokens(caller, wired)

    def find(searched: str, offset: int) -> ListPage[StoredToken]:
        page = bridge.ask(application_tokens.find_page, caller, searched, flow_id=wired.id, limit=_ROWS, offset=offset)
        return ListPage(*page)

    def draw(tokens: Sequence[StoredToken]) -> None:
        names = read_names({token.owner for token in tokens if token.owner})
        for token in tokens:
            _draw_row(caller, token, names)

    draw_list(f"flow_tokens:{wired.id}", "Search tokens", find, draw, empty="None yet.", size=_ROWS)


def _draw_form(caller: Caller, wired: WiredFlow, *, sets_fields: bool) -> None:
    with (
        st.form(f"tokens:new:{wired.id}", clear_on_submit=True, border=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        st.text_input(
            "Name",
            placeholder="What will use it",
            max_chars=application_tokens.LONGEST_NAME,
            key=f"tokens:name:{wired.id}",
        )
        st.form_submit_button(
            "Make a token", type="primary", icon=":material/key:", on_click=_make, args=(caller, wired, sets_fields)
        )
    with st.expander("Reach, expiry and rights", expanded=sets_fields, type="compact"):
        _draw_choices(caller, wired, sets_fields=sets_fields)


def _draw_choices(caller: Caller, wired: WiredFlow, *, sets_fields: bool) -> None:
    """Outside the form, so that *Try it* knows them."""
    with st.container(horizontal=True, gap="small"):
        reach, expires = f"tokens:reach:{wired.id}", f"tokens:expires:{wired.id}"
        st.selectbox("Reaches", list(_REACH), format_func=lambda name: _REACH[name], key=reach, width=180)
        st.selectbox("Expires", list(_EXPIRES), key=expires, width=140)
    if not caller.opens_every_flow:
        return
    with st.container(gap="xsmall"):
        st.caption("It runs the flow and sees what it answers. It may also:")
        st.checkbox(SEES_INSIDE, key=f"tokens:sees:{wired.id}")
        asked = ", as your overrides do" if sets_fields else ""
        warns = "Such a token can make the flow recite its prompt."  # no colour: it would be read out as its markup
        key = _make_choice_key(wired, sets_fields)
        st.checkbox(f"Set fields that members may not{asked}. {warns}", value=sets_fields, key=key)


@bind_to_caller
def _make(caller: Caller, wired: WiredFlow, sets_fields: bool) -> None:
    """For a button."""
    sees, sets = choose_rights(caller, wired, sets_fields=sets_fields)
    name, reach, expires = (st.session_state[f"tokens:{field}:{wired.id}"] for field in ("name", "reach", "expires"))
    with failure.keep_refusals(_REFUSED):
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


def _draw_row(caller: Caller, token: StoredToken, names: Mapping[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"tokens:row:{token.id}"):
        whose = find_name(names, token.owner) if token.owner else "the organization"
        owner = "" if token.owner == caller.person else words.escape(whose)
        facts = write_token_facts(token, owner, "all flows" if token.flows is None else "", write_rights(caller, token))
        st.markdown(f"**{words.escape(token.name)}**  \n:small[:gray[`{token.prefix}…` · {facts}]]")
        st.space("stretch")
        draw_action("Revoke", _revoke, caller, token.id, key=f"tokens:revoke:{token.id}")


@bind_to_caller
def _revoke(caller: Caller, token_id: str) -> None:
    """For a button."""
    with failure.keep_refusals(_REFUSED):
        bridge.ask(application_tokens.revoke, caller, token_id)


def write_rights(caller: Caller, token: StoredToken) -> str:
    """What the token may see and set, in a few words. Of a member's own it can be no more than answers."""
    if token.owner == caller.person and not caller.opens_every_flow:
        return "sees answers"
    if token.sees is None and token.owner is not None:
        return "whatever its owner may"
    sees = "sees answers" if token.sees == "answers" else "sees the inside"
    return sees if token.sets == "opened" else f"{sees}, sets fields"


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


def _make_choice_key(wired: WiredFlow, sets_fields: bool) -> str:
    """Another widget where overrides ask for the tick: what was chosen without them says nothing then."""
    return f"tokens:sets:{wired.id}:{'asked' if sets_fields else 'free'}"


def _make_fresh_key(wired: WiredFlow) -> str:
    return f"tokens:fresh:{wired.id}"
