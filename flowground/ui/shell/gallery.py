"""All flows a person may open, as cards; to authors also the files that cannot be used, with their mistakes."""

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.errors import FlowError, Problem
from flowground.ui.page import bridge, browser, model_notes, words
from flowground.wiring import WiredFlow

_CARD_WIDTH = 280
_DESCRIPTION_CHARS = 180
_PROBLEMS_SHOWN = 5


def draw_gallery(caller: Caller) -> None:
    """Who sees the inside also reads which flows are shared, their models, and what is wrong in the other files."""
    running, sees_inside = runtime.get(), caller.sees_inside
    flows, shared = bridge.call(_list_flows(caller))
    problems = running.catalogue.list_problems() if sees_inside else {}
    if flows:
        st.markdown(":gray[Choose a flow to chat with.]")
        with st.grid(min_column_width=_CARD_WIDTH, gap="medium", row_height="content"):
            for wired in flows:
                _draw_card(wired, is_shared=sees_inside and wired.id in shared, sees_inside=sees_inside)
    elif not sees_inside:
        _draw_nothing_shared()
    elif not problems:
        _draw_empty(running.settings.flows.name)
    if problems:
        st.space("small")
        st.subheader("Files that need a correction", anchor=False)
    for file, error in problems.items():
        draw_file(file, error)


async def _list_flows(caller: Caller) -> tuple[list[WiredFlow], frozenset[str]]:
    """What they may open, and the ids of what is shared."""
    access = runtime.get().access
    return await access.list_flows(caller), await access.list_shared()


def draw_file(file: str, error: FlowError) -> None:
    """One file with its mistakes: where, what, and the nearest right word."""
    with st.container(border=True, key=f"problem:{file}"):
        st.markdown(f":red[:material/error:] **{words.escape(file)}**")
        for problem in error.problems[:_PROBLEMS_SHOWN]:
            _draw_problem(problem)
        if len(error.problems) > _PROBLEMS_SHOWN:
            st.caption(f"and {len(error.problems) - _PROBLEMS_SHOWN} more")


def _draw_empty(folder: str) -> None:
    """No flow at all."""
    with st.container(border=True):
        st.markdown("**No flows yet**")
        st.markdown(f"Put a YAML file into `{folder}/`; it appears here as soon as it is saved. The smallest one:")
        st.code(_SMALLEST, language="yaml")


def _draw_nothing_shared() -> None:
    """For a member to whom nothing is open yet."""
    with st.container(border=True):
        st.markdown("**Nothing is shared with you yet**")
        st.markdown(
            "Flows appear here as soon as somebody shares them with you. If you were given a link, open it: "
            "where it is closed to you, it lets you ask for access."
        )


def _draw_card(wired: WiredFlow, *, is_shared: bool, sees_inside: bool) -> None:
    with st.container(border=True, height="stretch", key=f"card:{wired.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader(words.escape(wired.name), anchor=False, width="content")
            if is_shared:
                st.badge("Shared", icon=":material/group:", color="green")
        description = words.cut(wired.flow.description, _DESCRIPTION_CHARS)
        st.markdown(f":gray[{words.escape(description)}]" if description else " ")
        st.space("stretch")
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.caption(_write_facts(wired, sees_inside=sees_inside), width="stretch")
            st.page_link(
                browser.PLAYGROUND,
                label="Open",
                icon=":material/arrow_forward:",
                icon_position="right",
                query_params={"flow": wired.id},
            )


def _write_facts(wired: WiredFlow, *, sees_inside: bool) -> str:
    models = ", ".join(words.escape(model_notes.write_label(model)) for model in model_notes.list_models(wired))
    starters = len(wired.flow.chat.starters)
    return words.join(
        (models or "No model" if sees_inside else "", words.count(starters, "starter") if starters else "")
    )


def _draw_problem(problem: Problem) -> None:
    where = f"line {problem.line}, column {problem.column}"
    hint = f" Did you mean **{words.escape(problem.suggestion)}**?" if problem.suggestion else ""
    st.markdown(f":gray[{where}] &nbsp; {words.write_answer(problem.message)}{hint}")


_SMALLEST = """\
name: My first flow
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
