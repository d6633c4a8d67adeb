"""*Make it a test*: the dialog in which an author makes a test of a turn, as a patch of the flow's file.

It is written for who may write the file; else the patch is shown, to be applied where the files are kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from pydantic import ValidationError

from flowground import runtime
from flowground.access import flow_files, insides
from flowground.caller import Caller
from flowground.errors import FlowgroundError, InvalidRequest
from flowground.flow.tests import FlowTest
from flowground.flow_tests import made, pages
from flowground.ui.inside.tests import draw_outcome
from flowground.ui.page import bridge, copying, failure, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.sign_in import sign_in
from flowground.wiring import WiredFlow

_WHOLE, _PART = "The whole answer", "Some words of it"


@dataclass(frozen=True, slots=True)
class TurnPlace:
    """An answer in a conversation of the caller's."""

    flow_id: str
    session_id: str
    message_id: str


def open_dialog(place: TurnPlace) -> None:
    """For who sees the inside of the flow."""
    with failure.draw_refusals():
        turn = bridge.ask(
            insides.read_turn,
            require_visitor(),
            flow_id=place.flow_id,
            session_id=place.session_id,
            message_id=place.message_id,
        )
        st.dialog("Make it a test", width="large")(_draw)(place, turn)


def _draw(place: TurnPlace, turn: insides.AnsweredTurn) -> None:
    caller, key = require_visitor(), f"test:{place.message_id}"
    answer = turn.answer
    made_test = made.make_test(turn.wired, turn.question, answer.text, answer.trace, turn.overrides, answer.citations)
    name = (
        st.text_input("Name", placeholder=words.cut(" ".join(turn.question.split())), max_chars=200, key=f"{key}:name")
        or ""
    )
    expected = st.radio("What is expected", [_WHOLE, _PART], horizontal=True, key=f"{key}:expected")
    entry = _change(made_test.entry, name.strip())
    if expected == _PART:
        part = st.text_input("Words that stand in every right answer", key=f"{key}:part", live=True) or ""
        entry = {**entry, "expect": {"contains": part} | _drop(entry["expect"], "equals")}
        if not part.strip():
            st.caption("Enter the words first.")
            return
    if made_test.unknown:
        names = ", ".join(f"**{words.escape(component)}**" for component in made_test.unknown)
        st.caption(
            f"What a model replied to {names} is not kept: the scripted model replies there, or `replies` says it."
        )
    with failure.draw_refusals():
        before = bridge.ask(flow_files.read_flow_file, caller, place.flow_id)
        after = made.add_to_file(before, entry)
        patch = made.write_patch(before, after, f"flows/{turn.wired.flow.file}")
        with copying.hide_other_button("test"):
            st.code(patch, language="diff", height=320)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            copying.draw_copy(patch, what="the patch", label="Copy the patch", key=key)
            is_wanted = st.button("Try the test", icon=":material/play_arrow:", key=f"{key}:try")
        _draw_trial(caller, turn.wired, entry, key, is_wanted=is_wanted)
        if flow_files.may_change(runtime.get().access, caller, turn.wired):
            _draw_writing(caller, turn.wired.flow.file, before, after)


def _change(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    return ({"name": name} if name else {}) | dict(entry)


def _drop(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def _draw_trial(caller: Caller, wired: WiredFlow, entry: Mapping[str, Any], key: str, *, is_wanted: bool) -> None:
    """Runs the test, before it is anywhere."""
    shown, tried = f"{key}:outcome", json.dumps(entry)
    if is_wanted:
        outcome = bridge.call(pages.try_test(runtime.get(), caller, wired.id, _read(entry)))
        st.session_state[shown] = tried, outcome
    of, outcome = st.session_state.get(shown, ("", None))
    if of == tried and outcome is not None:
        draw_outcome(outcome)


def _read(entry: Mapping[str, Any]) -> FlowTest:
    try:
        return FlowTest.model_validate(entry)
    except ValidationError:
        raise InvalidRequest("This turn cannot be a test.") from None


def _draw_writing(caller: Caller, file: str, before: bytes, after: bytes) -> None:
    if not caller.is_proven:
        if not sign_in.ask_owner_code(key="test:code"):
            return
        caller = require_visitor()
    if st.button("Write it into the file", type="primary", key="test:write"):
        try:
            digest = flow_files.make_digest(before)
            bridge.ask(flow_files.replace_flow_file, caller, file, before=digest, after=after)
        except FlowgroundError as error:
            failure.draw_refusal(error)
        else:
            st.toast("The test stands in the file.", icon=":material/check:")
            st.rerun()
