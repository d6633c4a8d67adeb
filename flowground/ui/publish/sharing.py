"""With whom a flow is shared: everyone, named people and groups, or anybody; until when; the API too."""

from dataclasses import replace
from datetime import datetime, timedelta

import streamlit as st

from flowground import runtime
from flowground.access.sharing import read_sharing, share
from flowground.caller import Caller
from flowground.store.flows.publications import Audience, Sharing
from flowground.ui.page import bridge, browser, failure
from flowground.ui.page.caller import require_visitor
from flowground.ui.page.reach import begin_sentence, spell_sharing
from flowground.ui.publish import audience, invitation
from flowground.wiring import WiredFlow

AUDIENCES: dict[Audience, tuple[str, str]] = {
    "organization": ("Everyone in your organization", "Whoever can sign in here."),
    "people": ("People and groups", "Only those chosen below."),
    "public": ("Anybody with the link", "Without sign-in. Every answer costs what your model costs."),
}

_DAYS = 7
"""From today to the last day that is offered at first."""


@st.dialog("Who can open it", width="medium", icon=":material/group:")
def open_settings(wired: WiredFlow, begun: Sharing | None = None) -> None:
    """Nothing changes before *Save*; then it acts at everybody's next action, or once the flow is shared.

    `begun`: what was chosen here before, and perhaps not saved.
    """
    caller = require_visitor()
    with failure.draw_refusals():
        now = bridge.ask(read_sharing, caller, wired.id)
        if not now.is_shared:
            st.caption("The flow is not shared now. This is whom the switch in *Publish* will open it to.")
        draft = _draw_choices(caller, wired, now if begun is None else replace(begun, is_shared=now.is_shared))
        audience.draw_openers(draft, now)
        if now.is_shared and not now.is_expired and draft != now:
            st.warning(f"Not saved. Currently **{spell_sharing(now)}**.")
        with st.container(horizontal=True):
            is_saved = st.button("Save", type="primary", key=f"sharing:save:{wired.id}")
            if caller.role == "admin" and st.button(
                "Invite somebody new", icon=":material/person_add:", key=f"sharing:invite:{wired.id}"
            ):
                invitation.schedule_invitation(wired, draft, open_settings, is_saved=draft == now)
                st.rerun()
        if is_saved:
            bridge.ask(share, caller, wired.id, draft)
            said = spell_sharing(draft)
            st.toast(begin_sentence(said) if now.is_shared else f"When turned on: {said}", icon=":material/check:")
            st.rerun()


def _draw_choices(caller: Caller, wired: WiredFlow, before: Sharing) -> Sharing:
    offered: list[Audience] = [key for key in AUDIENCES if key != "public" or runtime.get().access.allow_public]
    chosen = st.radio(
        "Who",
        offered,
        index=offered.index(before.audience) if before.audience in offered else 0,
        format_func=lambda key: AUDIENCES[key][0],
        captions=[AUDIENCES[key][1] for key in offered],
        key=f"sharing:audience:{wired.id}",
        label_visibility="collapsed",
    )
    draft = replace(before, audience=chosen)
    if chosen == "people":
        members, groups = audience.draw_names(caller, wired, draft)
        draft = replace(draft, members=members, groups=groups)
    shares_api = st.checkbox(
        "Share the API too",
        value=before.shares_api,
        key=f"sharing:api:{wired.id}",
        help="They may make application tokens for this flow and run it from programs.",
    )
    return replace(draft, shares_api=shares_api, expires_at=_draw_end(wired, before))


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
