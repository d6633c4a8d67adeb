"""The shareable playground as somebody else meets it, for those who may publish it: `?as=member` and the like."""

from urllib.parse import quote

import streamlit as st

from flowground.access.member_lists import find_people
from flowground.access.sharing import SIGNED_OUT, SOMEBODY, Preview, look_as
from flowground.caller import Caller
from flowground.errors import FlowgroundError, NotSignedIn
from flowground.shims.page_scripts import StopException
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.actions import draw_action
from flowground.ui.page.names import name_person
from flowground.ui.page.paging import draw_search
from flowground.ui.shell import opening
from flowground.wiring import WiredFlow

_AS = "as"
_OFFERED = 25
"""So many members are offered in the field itself; of more, one searches."""


def draw_links(wired: WiredFlow) -> None:
    """For the Publish menu."""
    with st.container(horizontal=True):
        for label, who in (("View as a member", SOMEBODY), ("View signed out", SIGNED_OUT)):
            url = f"{browser.write_share_link(wired)}?{_AS}={quote(who)}"
            st.link_button(label, url, type="tertiary", icon=":material/visibility:", key=f"preview:{who}:{wired.id}")


def draw_preview(caller: Caller, address: str) -> None:
    """Draws the banner where the address asks for a preview; ends the page where the stand-in would not get in.

    Only for those who may publish the flow: to others the address means what it means without `?as=`.
    """
    who = st.query_params.get(_AS)
    if not who or not caller.sees_inside:
        return
    try:
        found = bridge.ask(look_as, caller, address, who)
    except NotSignedIn:
        raise
    except FlowgroundError:
        return
    _draw_banner(caller, who, found, address)
    if found.seen == "opens":
        return
    if found.seen == "nothing":
        opening.draw_nothing_here()
    else:
        text = "They see the sign-in form here. They learn nothing about the flow, not even that it exists."
        opening.draw_notice("Sign in", text)
    raise StopException


def _draw_banner(caller: Caller, who: str, found: Preview, address: str) -> None:
    name = "somebody signed out" if who == SIGNED_OUT else words.escape(found.name or "any member")
    said = "What you write is kept among your own chats." if found.seen == "opens" else "They do not get in."
    with st.container(border=True, key="preview", gap="xsmall"):
        st.markdown(f":material/visibility: **Preview** as {name}. {said}")
        _draw_choice(caller, who, address)


def _draw_choice(caller: Caller, who: str, address: str) -> None:
    """Whom to look as: somebody signed out, any member, or one of those who are there; of many, one searches."""
    name = f"preview:{address}"
    searched = str(st.session_state.get(f"{name}:search") or "").strip()
    people = bridge.ask(find_people, caller, searched, limit=_OFFERED)
    names = {SIGNED_OUT: "Somebody signed out", SOMEBODY: "Any member"}
    names = {who: who.partition(":")[2]} | names
    names |= {f"{SOMEBODY}:{member.name}": name_person(member) for member in people.shown}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if searched or people.count > _OFFERED:
            draw_search(name, "Find a member", width=200)
        chosen = st.selectbox(
            "View as",
            list(names),
            index=list(names).index(who),
            format_func=lambda key: names[key],
            key=f"preview:as:{address}",
            label_visibility="collapsed",
            width=260,
        )
        draw_action("End preview", _end, key="preview:end", icon="close", kind="secondary")
    if searched and not people.count:
        st.caption("Nobody by that name.")
    if chosen and chosen != who:
        st.query_params[_AS] = chosen
        st.rerun()


def _end() -> None:
    """For a button."""
    st.query_params.pop(_AS, None)
