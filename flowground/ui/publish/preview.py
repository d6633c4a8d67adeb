"""The shareable playground as somebody else meets it, for those who may publish it: `?as=member` and the like."""

from urllib.parse import quote

import streamlit as st

from flowground.access.sharing import SIGNED_OUT, SOMEBODY, look_as
from flowground.caller import Caller
from flowground.errors import FlowgroundError, NotSignedIn
from flowground.shims.page_scripts import StopException
from flowground.ui.page import bridge, browser
from flowground.ui.page.actions import draw_action
from flowground.ui.shell import opening
from flowground.wiring import WiredFlow

_AS = "as"
_NAMES = {SOMEBODY: "any member", SIGNED_OUT: "somebody signed out"}


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
    if not (asked := st.query_params.get(_AS)) or not caller.sees_inside:
        return
    who = SIGNED_OUT if asked == SIGNED_OUT else SOMEBODY
    try:
        seen = bridge.ask(look_as, caller, address, who)
    except NotSignedIn:
        raise
    except FlowgroundError:
        return
    _draw_banner(who, is_open=seen == "opens")
    if seen == "opens":
        return
    if seen == "nothing":
        opening.draw_nothing_here()
    else:
        text = "They see the sign-in form here. They learn nothing about the flow, not even that it exists."
        opening.draw_notice("Sign in", text)
    raise StopException


def _draw_banner(who: str, *, is_open: bool) -> None:
    said = "What you write is kept among your own chats." if is_open else "They do not get in."
    with st.container(border=True, key="preview", gap="xsmall"):
        st.markdown(f":material/visibility: **Preview** as {_NAMES[who]}. {said}")
        draw_action("End preview", _end, key="preview:end", icon="close", kind="secondary")


def _end() -> None:
    """For a button."""
    st.query_params.pop(_AS, None)
