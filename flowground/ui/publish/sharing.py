"""With whom a flow is shared: everyone, named people and groups, or anybody; until when; the API too."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import streamlit as st

from flowground import runtime
from flowground.access import people
from flowground.access.sharing import list_who_may_open, read_sharing, share
from flowground.caller import Caller
from flowground.store.flows.publications import Audience, Sharing
from flowground.store.people.groups import Group
from flowground.store.people.members import Member
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.caller import require_visitor
from flowground.wiring import WiredFlow

AUDIENCES: dict[Audience, tuple[str, str]] = {
    "organization": ("Everyone in the organization", "Whoever can sign in here."),
    "people": ("People and groups", "Only those chosen below."),
    "public": ("Anybody with the link", "Without sign-in. Every answer costs what your model costs."),
}


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
    """Nothing changes before *Save*; then it acts at everybody's next action."""
    caller = require_visitor()
    with failure.draw_refusals():
        now = bridge.ask(read_sharing, caller, wired.id)
        groups = bridge.ask(people.list_groups, caller)
        draft = _draw_choices(caller, wired, now, groups)
        _draw_people(bridge.ask(list_who_may_open, wired, draft), draft, groups)
        if st.button("Save", type="primary", key=f"sharing:save:{wired.id}"):
            bridge.change(share, caller, wired.id, draft)


def _draw_choices(caller: Caller, wired: WiredFlow, now: Sharing, groups: Sequence[Group]) -> Sharing:
    offered: list[Audience] = [key for key in AUDIENCES if key != "public" or runtime.get().access.allow_public]
    audience = st.radio(
        "Who",
        offered,
        index=offered.index(now.audience) if now.audience in offered else 0,
        format_func=lambda key: AUDIENCES[key][0],
        captions=[AUDIENCES[key][1] for key in offered],
        key=f"sharing:audience:{wired.id}",
        label_visibility="collapsed",
    )
    draft = replace(now, audience=audience)
    if audience == "people":
        draft = _draw_names(caller, wired, draft, groups)
    shares_api = st.checkbox(
        "Share the API too",
        value=now.shares_api,
        key=f"sharing:api:{wired.id}",
        help="They may make application tokens for this flow and run it from programs.",
    )
    return replace(draft, shares_api=shares_api, expires_at=_draw_end(wired, now))


def _draw_names(caller: Caller, wired: WiredFlow, draft: Sharing, groups: Sequence[Group]) -> Sharing:
    everyone = bridge.ask(people.list_members, caller)
    by_name = {member.name: member for member in everyone if member.is_active and member.role == "member"}
    by_id = {group.id: group for group in groups}
    # Authors and admins need not be named; who was named before stays until taken out.
    names = sorted(by_name.keys() | draft.members)
    members = st.multiselect(
        "People",
        names,
        default=sorted(draft.members),
        format_func=lambda name: name_person(by_name[name]) if name in by_name else name,
        key=f"sharing:people:{wired.id}",
        placeholder="Choose people",
    )
    chosen: list[str] = []
    if groups:
        chosen = st.multiselect(
            "Groups",
            list(by_id),
            default=[key for key in by_id if key in draft.groups],
            format_func=lambda key: f"{by_id[key].name} ({len(by_id[key].members)})",
            key=f"sharing:groups:{wired.id}",
            placeholder="Choose groups",
        )
    return replace(draft, members=frozenset(members), groups=frozenset(chosen))


def _draw_end(wired: WiredFlow, now: Sharing) -> datetime | None:
    has_end = st.checkbox("Stop sharing after a day", value=now.expires_at is not None, key=f"sharing:ends:{wired.id}")
    if not has_end:
        return None
    today = browser.find_today()
    last = today if now.expires_at is None else max(today, browser.find_last_day(now.expires_at))
    chosen = st.date_input(
        "Last day", value=last, min_value=today, key=f"sharing:until:{wired.id}", format="YYYY-MM-DD", width=180
    )
    return browser.end_day(chosen or today)


def _draw_people(found: Sequence[Member], draft: Sharing, groups: Sequence[Group]) -> None:
    who = "Anybody" if draft.audience == "public" else words.count(len(found), "person", "people")
    with st.expander(f"{who} can open it, once saved", key="sharing:resolved", icon=":material/visibility:"):
        for member in found:
            st.markdown(f"{words.escape(name_person(member))} :small[:gray[{_write_reason(member, draft, groups)}]]")


def _write_reason(member: Member, draft: Sharing, groups: Sequence[Group]) -> str:
    if member.role != "member":
        return f"{member.role}, always"
    if draft.audience != "people":
        return "everyone"
    if member.name in draft.members:
        return "named"
    chosen = [group for group in groups if group.id in draft.groups and member.name in group.members]
    return ", ".join(words.escape(group.name) for group in chosen)


def name_person(member: Member) -> str:
    """ "Grace Hopper (grace)", or the name alone."""
    return member.name if member.display_name == member.name else f"{member.display_name} ({member.name})"
