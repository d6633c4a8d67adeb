"""*Edit* on the page *Inside*: the text of a flow's file in a field, with its mistakes below, for who may write it.

A draft may be tried before it is saved; the playground says so while a draft answers there. *Make it a test* inserts a
test into the text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from flowground.access import flow_files
from flowground.access.insides import FlowInside
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError, Problem
from flowground.flows.wiring import WiredFlow
from flowground.ui.inside.make_test import add_test, write_test
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import bind_to_caller, require_caller
from flowground.ui.page.parts import drop_parameter, render_action
from flowground.ui.sign_in import sign_in

_MODE = "edit"
_HEIGHT = 460
_MOST_MISTAKES = 10
_LINE_CHARS = 200
_TRY = "Your own chat is answered by this text, until you save it or end the trial. Others notice nothing."


@dataclass(slots=True)
class _Editing:
    """A text being edited. `base`: the content of the file that it changes; `before`: that content's digest."""

    file: str
    base: bytes = b""
    before: str = ""
    text: str = ""
    generation: int = 0

    @property
    def content(self) -> bytes:
        return flow_files.write_changed(self.base, self.text)

    @property
    def key(self) -> str:
        return f"edit:text:{self.generation}:{self.file}"

    @property
    def is_left(self) -> bool:
        """Whether nothing was typed."""
        return self.key not in st.session_state and self.text == flow_files.write_shown(self.base)

    def begin(self, data: bytes) -> None:
        """Begins again with the file's content."""
        self.keep(data)
        self.change(flow_files.write_shown(data))

    def change(self, text: str) -> None:
        """Shows another text in the field."""
        self.text = text
        self.generation += 1

    def keep(self, data: bytes) -> None:
        """Keeps the text, as a change of the file's present content."""
        self.base, self.before = data, flow_files.make_digest(data)


def may_edit(caller: Caller, inside: FlowInside) -> bool:
    return flow_files.may_change(runtime.get().access, caller, inside.wired)


def is_editing(caller: Caller, inside: FlowInside) -> bool:
    """Whether the page's address asks for the field, and this person may have it."""
    return _MODE in st.query_params and may_edit(caller, inside)


def render_edit_button() -> None:
    """A button that opens the field."""
    render_action("Edit", _open, key="edit:open", icon="edit", kind="secondary")


def open_with_test(caller: Caller, wired: WiredFlow, test: Mapping[str, Any], session: str) -> None:
    """Opens the field with one more test in the text; shows the test to who may not change the file."""
    if flow_files.may_change(runtime.get().access, caller, wired):
        st.session_state[_make_test_key(wired.flow.file)] = test
        st.switch_page(browser.INSIDE, query_params={"flow": wired.id, "session": session, _MODE: "yes"})
    st.dialog("Make it a test", width="large")(_render_test)(wired.flow.file, test)


def _render_test(file: str, test: Mapping[str, Any]) -> None:
    st.markdown(f"For `tests:` of **{words.escape(file)}**, which others change:")
    st.code(write_test(test), language="yaml", height=320)


def _make_test_key(file: str) -> str:
    return f"edit:test:{file}"


def _insert_test(editing: _Editing) -> None:
    """Inserts the test that *Make it a test* made."""
    if test := st.session_state.pop(_make_test_key(editing.file), None):
        try:
            editing.change(add_test(st.session_state.get(editing.key, editing.text), test))
            st.toast("The test is in the text: save it to keep it.", icon=":material/science:")
        except FlowgroundError as error:
            bridge.render_refusal(error)
            st.code(write_test(test), language="yaml")


def render_editor(caller: Caller, inside: FlowInside, session: str) -> None:
    """The field with its buttons. The typed text is kept for the visit; `session` is the chat in which it is tried."""
    if not caller.is_proven:
        if not sign_in.ask_owner_code(key="edit:code"):
            return
        caller = require_caller()
    with bridge.render_refusals():
        now = bridge.ask(flow_files.open_flow_file, caller, inside.file)
        editing = _find_editing(caller, inside, now)
        head = st.container(horizontal=True, vertical_alignment="center", gap="small", key="edit:actions")
        is_behind = flow_files.make_digest(now) != editing.before
        if is_behind:
            _render_conflict(editing, now)
        _render_field(editing)
        wired, problems = bridge.ask(flow_files.check_flow_file, caller, inside.file, editing.content)
        _render_problems(editing.text, problems)
        with head:
            is_changed = editing.content != now
            # Enabled even without a change or with mistakes: the press itself sends what is being typed.
            if st.button("Save", type="primary", icon=":material/save:", key="edit:save", disabled=is_behind):
                _save(caller, editing, wired)
            if inside.wired and st.button("Try", icon=":material/science:", key="edit:try", help=_TRY):
                _try(caller, editing, wired, session, is_changed=is_changed)
            if is_changed:
                render_action(
                    "Discard changes", _discard, caller, editing, now, inside, key="edit:discard", icon="undo"
                )
            render_action("Close", drop_parameter, _MODE, key="edit:close")
            _render_state(wired, problems, is_changed=is_changed)


def _render_state(wired: WiredFlow | None, problems: Sequence[Problem], *, is_changed: bool) -> None:
    """Whether the text is saved. flowground/web/head.js warns who leaves the page with an unsaved text."""
    with st.container(width="content", key="edit:unsaved" if is_changed else "edit:saved"):
        if wired is None:
            st.caption(f":red[{words.count(len(problems), 'mistake')}, so it can be neither saved nor tried.]")
        else:
            st.caption("Not saved yet." if is_changed else "Saved: what stands here answers.")


def _save(caller: Caller, editing: _Editing, wired: WiredFlow | None) -> None:
    if wired is None:
        return  # its mistakes are shown
    content = editing.content
    try:
        bridge.ask(flow_files.replace_flow_file, caller, editing.file, before=editing.before, after=content)
    except flow_files.FileChanged:
        st.rerun()  # the rerun shows both texts
    editing.keep(content)
    st.toast("Saved. It answers from now on.", icon=":material/check:")
    st.rerun()


def _try(caller: Caller, editing: _Editing, wired: WiredFlow | None, session: str, *, is_changed: bool) -> None:
    """Opens the playground with this text as a draft; without a change, with the saved flow."""
    if wired is None:
        return  # its mistakes are shown
    if is_changed:
        bridge.ask(flow_files.try_flow_file, caller, editing.file, before=editing.before, content=editing.content)
    else:
        bridge.ask(flow_files.drop_draft, caller, wired.id)
    query = {"flow": wired.id} | ({"session": session} if session else {})
    st.switch_page(browser.PLAYGROUND, query_params=query)


@bind_to_caller
def _discard(caller: Caller, editing: _Editing, now: bytes, inside: FlowInside) -> None:
    editing.begin(now)
    if inside.wired:
        _end_trial(caller, inside.wired)


def render_trial(caller: Caller, wired: WiredFlow, session: str) -> None:
    """In the playground: that a draft answers, a link to its text, and a button that ends the trial."""
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="trial"):
        st.markdown(":material/science: **You are trying a draft.** Others get the flow as it is saved.")
        st.space("stretch")
        query = {"flow": wired.id, "session": session, _MODE: "yes"}
        st.page_link(browser.INSIDE, label="Edit", icon=":material/edit:", query_params=query)
        render_action("End the trial", _end_trial, caller, wired, key="trial:end", kind="secondary")


@bind_to_caller
def _end_trial(caller: Caller, wired: WiredFlow) -> None:
    bridge.ask(flow_files.drop_draft, caller, wired.id)


def _find_editing(caller: Caller, inside: FlowInside, now: bytes) -> _Editing:
    """The text as it was left; in a new visit the draft that is tried, else the file's content."""
    editing: _Editing = st.session_state.setdefault(f"edit:{inside.file}", _Editing(inside.file))
    drafts = runtime.get().access.drafts
    tried = drafts.find(str(caller.owner), inside.wired.id) if inside.wired else None
    if not editing.before and tried:
        editing.begin(tried.content)
        editing.before = tried.before
    elif not editing.before or (editing.is_left and editing.base != now):
        editing.begin(now)
    _insert_test(editing)
    return editing


def _render_field(editing: _Editing) -> None:
    """The field. As with the editors of *Temporary overrides*, later runs repeat the value as its default."""
    key = editing.key
    default = {"value": st.session_state[key]} if key in st.session_state else {}
    st.session_state.setdefault(key, editing.text)
    label = f"Text of {editing.file}"
    with st.container(key="edit:field"):
        editing.text = st.text_area(label, key=key, height=_HEIGHT, label_visibility="collapsed", **default) or ""


def _render_conflict(editing: _Editing, now: bytes) -> None:
    st.warning(
        "The file was changed meanwhile. Below are its text now and, in the field, yours.",
        icon=":material/sync_problem:",
    )
    st.code(flow_files.write_shown(now), language="yaml", height=240)
    with st.container(horizontal=True, gap="small"):
        render_action("Keep my text", editing.keep, now, key="edit:keep", kind="secondary")
        render_action("Take the file's", editing.begin, now, key="edit:take", kind="secondary")


def _render_problems(text: str, problems: Sequence[Problem]) -> None:
    lines = text.split("\n")
    for problem in problems[:_MOST_MISTAKES]:
        mark = ":orange[:material/warning:]" if problem.is_warning else ":red[:material/error:]"
        hint = f" Did you mean **{words.escape(problem.suggestion)}**?" if problem.suggestion else ""
        st.markdown(f"{mark} **Line {problem.line}** · {words.write_sentence(problem.message)}{hint}")
        if problem.line <= len(lines):
            st.code(words.cut(lines[problem.line - 1], _LINE_CHARS), language="yaml")
    if (more := len(problems) - _MOST_MISTAKES) > 0:
        st.caption(f"and {more} more")


def _open() -> None:
    st.query_params[_MODE] = "yes"
