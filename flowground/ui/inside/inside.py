"""The page *Inside*: the flow as a picture in which the steps of a turn light up, beside its file with its mistakes; or
that file in a field, for who may write it.

Its code is in frontend/src/inside.js. The steps come over the socket of the person's own conversation. The file is read
anew while the page is open.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from flowground.access import insides
from flowground.access.insides import FlowInside
from flowground.caller import SESSION_ID_CHARS, Caller
from flowground.errors import FlowNotFound, Problem
from flowground.flow_picture import MOST_DRAWN, draw_picture, name_component
from flowground.store.runs import session_lists
from flowground.ui.inside import editing
from flowground.ui.inside.file_lines import write_file
from flowground.ui.inside.tests import draw_tests
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.page.keys import make_component, make_key
from flowground.ui.shell import opening
from flowground.wiring import WiredFlow

_LOOK_AGAIN = 3
"""Seconds between two looks at the file."""
_STALE = "The picture is of the last good version, which answers until the file is corrected."
_NEVER = "There is a picture once the file has no mistake."
_UNREADABLE = "The file cannot be read."
_Seen = tuple[str, str | None, tuple[Problem, ...], str]
_draw_component = make_component("inside")


def draw_page() -> None:
    """Of the flow, or the flow file, that the page's address names; the calm page where it is not this person's."""
    caller = require_visitor()
    opening.require_allowed(insides.may_look(caller))
    inside = _find(caller)
    opening.require_allowed(inside is not None)
    if inside is None:
        return
    wired = inside.wired
    name = wired.name if wired else inside.file
    st.set_page_config(page_title=f"Inside · {name}")
    session = _find_session(caller, wired) if wired else ""
    with st.container(horizontal=True, key="inside:ways"):
        if wired:
            query = {"flow": wired.id} | ({"session": session} if session else {})
            label = words.escape(wired.name)
            st.page_link(browser.PLAYGROUND, label=label, icon=":material/arrow_back:", query_params=query)
            st.page_link(browser.KNOWLEDGE, label="Knowledge", icon=":material/menu_book:", query_params=query)
    is_editing = editing.is_editing(caller, inside)
    with st.container(horizontal=True, vertical_alignment="center", key="inside:head"):
        title = "Inside" if wired and not is_editing else words.escape(inside.file)
        st.title(title, anchor=False, width="stretch")
        if not is_editing and editing.may_edit(caller, inside):
            editing.draw_way()
    if is_editing:
        editing.draw_editor(caller, inside, session)
    else:
        key = make_key(f"inside:{wired.id if wired else inside.file}")
        _draw_component(key=key, data=[describe(inside, session)])
        if wired:
            draw_tests(wired)
    _watch(_sign(inside))


@st.fragment(run_every=_LOOK_AGAIN)
def _watch(drawn: _Seen) -> None:
    """Looks whether the file is still as it was drawn, and draws the page anew where it is not."""
    inside = _find(require_visitor())
    if inside is None or _sign(inside) != drawn:
        st.rerun(scope="app")


def _sign(inside: FlowInside) -> _Seen:
    return inside.file, inside.text, inside.problems, inside.wired.version if inside.wired else ""


def _find(caller: Caller) -> FlowInside | None:
    asked = st.query_params
    try:
        if file := asked.get("file"):
            return bridge.ask(insides.read_file, caller, file)
        return bridge.ask(insides.read_inside, caller, asked.get("flow", ""))
    except FlowNotFound:
        return None


def _find_session(caller: Caller, wired: WiredFlow) -> str:
    """The conversation of the address, else the one that this person had last with the flow."""
    named = st.query_params.get("session", "")
    if named and len(named) <= SESSION_ID_CHARS:
        return named
    found = bridge.read(session_lists.list_recent, owner=str(caller.owner), flows=[wired.id], limit=1)
    return found[0].session_id if found else ""


def describe(inside: FlowInside, session: str) -> Mapping[str, Any]:
    """What the component is told."""
    wired = inside.wired
    file = write_file(inside.text or "", inside.problems)
    note = _UNREADABLE if inside.text is None else "" if wired else _NEVER
    shown: dict[str, Any] = {"flow": "", "session": session, "picture": "", "steps": [], "says": ""}
    if wired:
        picture = draw_picture(wired)
        shown |= {"flow": wired.id, "picture": picture.mermaid, "says": _STALE if inside.is_broken else ""}
        if not picture.mermaid:
            shown["says"] = _write_too_large(wired)
        is_same = not inside.is_broken  # else the file's lines are not those of what is served
        shown["steps"] = [
            {
                "id": name,
                "node": picture.nodes[name],
                "label": name_component(wired, name),
                "line": wired.flow.components[name].position.line if is_same else None,
            }
            for name in dict.fromkeys((*wired.order, *wired.components))  # last those that are tools and nothing else
        ]
    return shown | {"file": {"name": inside.file, "note": note, **file}}


def _write_too_large(wired: WiredFlow) -> str:
    number = words.count(len(wired.components), "component")
    return f"This flow has {number}; one of over {MOST_DRAWN}, or with very many references, is listed and not drawn."
