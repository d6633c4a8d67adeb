"""Flow files that cannot be used, with their mistakes: for who sees the inside, above everything else."""

from collections.abc import Mapping

import streamlit as st

from flowground.errors import FlowError, Problem
from flowground.ui.page import words

_PROBLEMS_SHOWN = 5
_FILES_SHOWN = 20


def draw_mistakes(problems: Mapping[str, FlowError]) -> None:
    """A line that says how many files need a correction; opened, it lists them. Nothing where none does."""
    if not problems:
        return
    needs = "1 file needs a correction" if len(problems) == 1 else f"{len(problems):,} files need a correction"
    strip = st.expander(f":red[**{needs}**]", icon=":material/error:", key="home:mistakes", on_change="rerun")
    if not strip.open:
        return
    with strip:
        for file, error in list(problems.items())[:_FILES_SHOWN]:
            draw_file(file, error)
        if len(problems) > _FILES_SHOWN:
            st.caption(
                f"and {len(problems) - _FILES_SHOWN:,} more files: `python -m flowground validate` lists every mistake."
            )


def draw_file(file: str, error: FlowError) -> None:
    """One file with its mistakes: where, what, and the nearest right word."""
    with st.container(border=True, key=f"problem:{file}"):
        st.markdown(f":red[:material/error:] **{words.escape(file)}**")
        for problem in error.problems[:_PROBLEMS_SHOWN]:
            _draw_problem(problem)
        if len(error.problems) > _PROBLEMS_SHOWN:
            st.caption(f"and {len(error.problems) - _PROBLEMS_SHOWN} more")


def _draw_problem(problem: Problem) -> None:
    where = f"line {problem.line}, column {problem.column}"
    hint = f" Did you mean **{words.escape(problem.suggestion)}**?" if problem.suggestion else ""
    st.markdown(f":gray[{where}] &nbsp; {words.write_sentence(problem.message)}{hint}")
