"""The Publish menu: the shareable playground's toggle and link, who may open it, who asks to, and its preview.

The preview shows the shareable playground as somebody else meets it (`?as=member`), to those who may publish the flow.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import quote

import streamlit as st

from flowground.access.sharing import SIGNED_OUT, SOMEBODY, count_users, preview_as, publish, read_sharing
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError, NotSignedIn
from flowground.flows.wiring import WiredFlow
from flowground.store.publications import Sharing
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller, require_visitor
from flowground.ui.page.parts import begin_sentence, render_action, schedule_dialog, spell_sharing
from flowground.ui.publish import sharing
from flowground.ui.shell import access_requests, opening
from flowground.ui.shims.streamlit_process import StopException
from flowground.ui.sign_in import sign_in

_PREVIEW_PARAMETER = "as"
_PREVIEW_NAMES = {SOMEBODY: "any member", SIGNED_OUT: "somebody signed out"}

_REFUSED = "publish:refused"


def count_requests(caller: Caller, wired: WiredFlow) -> int | None:
    """How many requests wait for this caller's decision; None if they may not publish the flow."""
    if not runtime.get().access.may_publish(caller, wired):
        return None
    return access_requests.count_waiting(caller, flow_id=wired.id)


def render_menu(caller: Caller, wired: WiredFlow, asking: int, *, is_shared: bool) -> None:
    """The menu, for who may publish the flow; `asking`: how many requests wait for their decision."""
    access_requests.toast_decided()
    if _REFUSED in st.session_state:  # the refusal is rendered in the menu, so the menu opens again
        st.session_state[_make_menu_key(wired)] = True
    label = f"Publish · {asking:,}" if asking else "Publish"
    menu = st.popover(label, icon=":material/publish:", type="primary", key=_make_menu_key(wired), on_change="rerun")
    if menu.open:
        with menu, st.container(key="publish:menu"):
            access_requests.render_requests(caller, place="menu", flow_id=wired.id)
            _render_items(caller, wired, is_shared=is_shared)


def _render_items(caller: Caller, wired: WiredFlow, *, is_shared: bool) -> None:
    key = f"publish:shared:{wired.id}"
    st.session_state[key] = is_shared  # as it is stored: the click may have been refused
    st.toggle("Shareable Playground", key=key, on_change=_switch_sharing, args=(caller, wired, key))
    bridge.render_kept(_REFUSED)
    if not is_shared:
        _render_off(caller, wired)
        return
    link = browser.write_share_link(wired)
    browser.render_reach(is_admin=caller.role == "admin")
    with parts.hide_other_button(f"share:{wired.id}"):
        st.code(link, language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        parts.render_copy(link, label="Copy link", key=f"share:{wired.id}")
        st.link_button("Open", link, icon=":material/open_in_new:", key=f"publish:open:{wired.id}")
        _render_settings(wired)
    _render_summary(caller, wired)
    render_preview_links(wired)


def _render_off(caller: Caller, wired: WiredFlow) -> None:
    """Whom the toggle would let in, and a button to choose them; in local mode there is nobody to choose."""
    later = ""
    if caller.kind == "member":
        with bridge.render_refusals():
            now = bridge.ask(read_sharing, caller, wired.id)
            now = replace(now, expires_at=None) if now.is_expired else now
            if now != Sharing(is_shared=False):
                later = f" When turned on: {spell_sharing(now)}."
    st.caption(f"Off: only authors and admins open this flow.{later}")
    if caller.kind == "member":
        _render_settings(wired)


def _render_settings(wired: WiredFlow) -> None:
    key = f"publish:settings:{wired.id}"
    render_action("Who can open it", _close_menu, wired, sharing.open_settings, key=key, icon="group", kind="secondary")


def _render_summary(caller: Caller, wired: WiredFlow) -> None:
    with bridge.render_refusals():
        now = bridge.ask(read_sharing, caller, wired.id)
        how = "without signing in" if now.audience == "public" else "here after signing in"
        st.caption(f"{begin_sentence(spell_sharing(now))}. They chat {how} and cannot see how it is built.")


def _close_menu(wired: WiredFlow, open_dialog: Callable[[WiredFlow], None]) -> None:
    """Closes the menu before a dialog opens, which would open below it. For callbacks."""
    st.session_state[_make_menu_key(wired)] = False
    schedule_dialog(wired.id, partial(open_dialog, wired))


@bind_to_caller
def _switch_sharing(caller: Caller, wired: WiredFlow, key: str) -> None:
    """For the toggle. The local owner needs an account first, since colleagues sign in."""
    is_wanted = bool(st.session_state[key])
    if caller.kind == "local" and is_wanted:
        _close_menu(wired, _ask_first_account)
        return
    if not is_wanted and (count := _count_today(caller, wired)):
        _close_menu(wired, partial(_ask_before_end, count=count))
        return
    _publish(caller, wired, is_shared=is_wanted)


def _count_today(caller: Caller, wired: WiredFlow) -> int:
    """How many others have used the flow since the visitor's midnight."""
    try:
        return bridge.ask(count_users, caller, wired.id, since=browser.begin_day())
    except FlowgroundError:  # ending the sharing shows the error
        return 0


@st.dialog("Stop sharing this flow?", icon=":material/group_off:")
def _ask_before_end(wired: WiredFlow, *, count: int) -> None:
    used = words.count(count, "person has", "people have")
    st.markdown(
        f"{used} used **{words.escape(wired.name)}** today. The page closes for everyone it is shared with, in the "
        "middle of a chat too; their conversations are kept and come back when you share it again."
    )
    with st.container(horizontal=True):
        if st.button("Stop sharing", type="primary", key=f"publish:end:{wired.id}"):
            with bridge.render_refusals():
                bridge.ask(publish, require_visitor(), wired.id, is_shared=False)
                st.toast(f"{words.escape(wired.name)} is not shared any more.", icon=":material/check:")
                st.rerun()
        if st.button("Keep sharing", key=f"publish:keep:{wired.id}"):
            st.rerun()


def _publish(caller: Caller, wired: WiredFlow, *, is_shared: bool) -> None:
    with bridge.keep_refusals(_REFUSED):
        bridge.ask(publish, caller, wired.id, is_shared=is_shared)


def _make_menu_key(wired: WiredFlow) -> str:
    return f"publish:menu:{wired.id}"


@st.dialog("Share this flow")
def _ask_first_account(wired: WiredFlow) -> None:
    """A dialog that makes the first account, which sharing needs: people sign in to open the link."""
    st.markdown(
        "Colleagues sign in to open the link. So the first thing is an account of your own: it is this server's "
        f"**admin**, and **{words.escape(wired.name)}** is shared together with it."
    )
    sign_in.render_first_account(key="publish:account", shares=wired.id)


def render_preview_links(wired: WiredFlow) -> None:
    """Links to previews, for the Publish menu."""
    with st.container(horizontal=True):
        for label, who in (("View as a member", SOMEBODY), ("View signed out", SIGNED_OUT)):
            url = f"{browser.write_share_link(wired)}?{_PREVIEW_PARAMETER}={quote(who)}"
            st.link_button(label, url, type="tertiary", icon=":material/visibility:", key=f"preview:{who}:{wired.id}")


def render_preview(caller: Caller, address: str) -> None:
    """A banner if the address asks for a preview; ends the page if the other person could not open it.

    Only for who may publish the flow: for others `?as=` is ignored.
    """
    if not (asked := st.query_params.get(_PREVIEW_PARAMETER)) or not caller.sees_inside:
        return
    who = SIGNED_OUT if asked == SIGNED_OUT else SOMEBODY
    try:
        seen = bridge.ask(preview_as, caller, address, who)
    except NotSignedIn:
        raise
    except FlowgroundError:
        return
    _render_banner(who, is_open=seen == "opens")
    if seen == "opens":
        return
    if seen == "nothing":
        opening.render_nothing_here()
    else:
        text = "They see the sign-in form here. They learn nothing about the flow, not even that it exists."
        opening.render_notice("Sign in", text)
    raise StopException


def _render_banner(who: str, *, is_open: bool) -> None:
    note = "What you write is kept among your own chats." if is_open else "They do not get in."
    with st.container(border=True, key="preview", gap="xsmall"):
        st.markdown(f":material/visibility: **Preview** as {_PREVIEW_NAMES[who]}. {note}")
        render_action("End preview", _end_preview, key="preview:end", icon="close", kind="secondary")


def _end_preview() -> None:
    """Leaves the preview. For callbacks."""
    st.query_params.pop(_PREVIEW_PARAMETER, None)
