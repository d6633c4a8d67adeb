"""With whom a flow is shared: everyone, named people and groups, or anybody; until when; the API too."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import streamlit as st

from flowground import runtime
from flowground.access.sharing import read_sharing, share
from flowground.caller import Caller
from flowground.store.flows.publications import Audience, Sharing
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.actions import schedule_dialog
from flowground.ui.page.caller import require_visitor
from flowground.ui.publish import audience, invitation
from flowground.wiring import WiredFlow

AUDIENCES: dict[Audience, tuple[str, str]] = {
    "organization": ("Everyone in the organization", "Whoever can sign in here."),
    "people": ("People and groups", "Only those chosen below."),
    "public": ("Anybody with the link", "Without sign-in. Every answer costs what your model costs."),
}

_DAYS = 7
"""From today to the last day that is offered at first."""


def describe(sharing: Sharing) -> str:
    """Whom it is shared with, in a line."""
    count = len(sharing.members) + len(sharing.groups)
    named = f"{count} chosen" if count else "Nobody yet"
    who = named if sharing.audience == "people" else AUDIENCES[sharing.audience][0]
    end = sharing.expires_at
    until = "" if end is None else f"until {browser.spell_day(browser.find_last_day(end))}"
    return words.join((who, "API too" if sharing.shares_api else "", until))


@st.dialog("Who can open it", width="medium", icon=":material/group:")
def open_settings(wired: WiredFlow) -> None:
    """Nothing changes before *Save*; then it acts at everybody's next action, or once the flow is shared."""
    caller = require_visitor()
    with failure.draw_refusals():
        now = bridge.ask(read_sharing, caller, wired.id)
        if not now.is_shared:
            st.caption("The flow is not shared now. This is whom the switch in *Publish* will open it to.")
        draft = _draw_choices(caller, wired, now)
        audience.draw_openers(draft, now)
        with st.container(horizontal=True):
            is_saved = st.button("Save", type="primary", key=f"sharing:save:{wired.id}")
            if caller.role == "admin" and st.button(
                "Invite somebody new", icon=":material/person_add:", key=f"sharing:invite:{wired.id}"
            ):
                schedule_dialog(wired.id, partial(invitation.open_invitation, wired))
                st.rerun()
        if is_saved:
            bridge.ask(share, caller, wired.id, draft)
            st.toast(f"Saved: {describe(draft)}", icon=":material/check:")
            st.rerun()


def _draw_choices(caller: Caller, wired: WiredFlow, now: Sharing) -> Sharing:
    offered: list[Audience] = [key for key in AUDIENCES if key != "public" or runtime.get().access.allow_public]
    chosen = st.radio(
        "Who",
        offered,
        index=offered.index(now.audience) if now.audience in offered else 0,
        format_func=lambda key: AUDIENCES[key][0],
        captions=[AUDIENCES[key][1] for key in offered],
        key=f"sharing:audience:{wired.id}",
        label_visibility="collapsed",
    )
    draft = replace(now, audience=chosen)
    if chosen == "people":
        members, groups = audience.draw_names(caller, wired, draft)
        draft = replace(draft, members=members, groups=groups)
    shares_api = st.checkbox(
        "Share the API too",
        value=now.shares_api,
        key=f"sharing:api:{wired.id}",
        help="They may make application tokens for this flow and run it from programs.",
    )
    return replace(draft, shares_api=shares_api, expires_at=_draw_end(wired, now))


def _draw_end(wired: WiredFlow, now: Sharing) -> datetime | None:
    key = f"sharing:ends:{wired.id}"
    if not st.checkbox("Stop sharing on a date", value=now.expires_at is not None, key=key):
        return None
    today = browser.find_today()
    last = today + timedelta(_DAYS) if now.expires_at is None else max(today, browser.find_last_day(now.expires_at))
    chosen = st.date_input(
        "Last day", value=last, min_value=today, key=f"sharing:until:{wired.id}", format="YYYY-MM-DD", width=180
    )
    chosen = chosen or last
    st.caption(f"Shared until midnight at the end of {browser.spell_day(chosen)}, your time ({browser.name_zone()}).")
    return browser.end_day(chosen)
