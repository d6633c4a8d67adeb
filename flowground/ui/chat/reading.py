"""A shared chat as its readers see it: rendered like a conversation, with no field to write in."""

from typing import Any

import streamlit as st

from flowground.access import shared_chats
from flowground.core.caller import Caller
from flowground.core.citations import describe_kept
from flowground.core.messages import join_surrogates
from flowground.store.runs.shared_chats import SharedMessage
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.parts import find_in_pages, make_component, make_key, render_pages
from flowground.ui.shell import opening

_MARKS = {
    "failed": "The flow could not answer.",
    "stopped": "Stopped.",
    "interrupted": "Interrupted: the server stopped while it wrote this.",
}
_CUT = {
    "length": "This answer was cut: it reached the longest that its model may write.",
    "content_filter": "The model's server left a part of this answer out.",
}
"""The same sentences as in frontend/src/chat/message.js."""
_NAME = "reading"
_render = make_component("reading")


def render_shared(caller: Caller, key: str) -> None:
    """The shared chat of this link; "no access" for a link that is unknown, ended or not for this reader."""
    opened = bridge.ask(shared_chats.open_shared, caller, key) if caller.kind == "member" else None
    opening.require_allowed(opened is not None)
    if opened is None:
        return
    chat, wired = opened.chat, opened.wired
    title = chat.title or "Untitled"
    st.set_page_config(page_title="Shared chat")
    st.title(words.escape(title), anchor=False)
    facts = (f"Shared by {words.escape(opened.by)}", browser.write_moment(chat.created_at), words.escape(wired.name))
    st.markdown(f":gray[{words.join(facts)}]")
    if chat.is_cut:
        st.caption(f"The newest {words.count(chat.messages, 'message')} of a longer chat.")
    messages, count, number = find_in_pages(
        _NAME, key, lambda before: bridge.ask(shared_chats.read_page, opened, offset=before)
    )
    shown = [_write(message) for message in messages]
    _render(key=make_key(f"reading:{key}"), data=[{"messages": shown, "by": opened.by, "name": wired.name}])
    render_pages(_NAME, key, count, number)


def _write(message: SharedMessage) -> dict[str, Any]:
    empty = "" if message.text.strip() else "The answer is empty."
    mark = "" if message.role == "user" else _MARKS.get(message.state) or _CUT.get(message.finish_reason or "", empty)
    kept = describe_kept(message.text, message.passages)
    return {"role": message.role, "text": join_surrogates(message.text), "mark": mark} | kept
