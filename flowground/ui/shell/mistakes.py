"""Flow files that cannot be used, with their mistakes, and quietly those that should be changed: for who sees the
inside, above everything else."""

from collections.abc import Mapping, Sequence

import streamlit as st

from flowground.errors import FlowError, Problem
from flowground.ui.page import browser, words

_PROBLEMS_SHOWN = 5
_FILES_SHOWN = 20


def draw_mistakes(problems: Mapping[str, FlowError], warnings: Mapping[str, Sequence[Problem]]) -> None:
    """A line that says how many files need a correction, and one of those with warnings; opened, they list them."""
    if problems:
        needs = "1 file needs a correction" if len(problems) == 1 else f"{len(problems):,} files need a correction"
        found = {file: error.problems for file, error in problems.items()}
        _draw_strip(f":red[**{needs}**]", found, key="home:mistakes")
    if warnings:
        has = "1 file has a warning" if len(warnings) == 1 else f"{len(warnings):,} files have warnings"
        _draw_strip(f":gray[{has}]", warnings, key="home:warnings")


def draw_file(file: str, problems: Sequence[Problem]) -> None:
    """One file with its mistakes, or its warnings: where, what, and the nearest right word."""
    mark = ":gray[:material/info:]" if problems[0].is_warning else ":red[:material/error:]"
    with st.container(border=True, key=f"{'warning' if problems[0].is_warning else 'problem'}:{file}"):
        st.markdown(f"{mark} **{words.escape(file)}**")
        for problem in problems[:_PROBLEMS_SHOWN]:
            _draw_problem(problem)
        if len(problems) > _PROBLEMS_SHOWN:
            st.caption(f"and {len(problems) - _PROBLEMS_SHOWN} more")
        draw_way(file)


def draw_way(file: str) -> None:
    """To the page where they stand in the file's text."""
    st.page_link(browser.INSIDE, label="Show in the file", icon=":material/account_tree:", query_params={"file": file})


def _draw_strip(title: str, found: Mapping[str, Sequence[Problem]], *, key: str) -> None:
    icon = ":material/error:" if key == "home:mistakes" else ":material/info:"
    strip = st.expander(title, icon=icon, key=key, on_change="rerun")
    if not strip.open:
        return
    with strip:
        for file, problems in list(found.items())[:_FILES_SHOWN]:
            draw_file(file, problems)
        if len(found) > _FILES_SHOWN:
            st.caption(f"and {len(found) - _FILES_SHOWN:,} more files: `python -m flowground validate` lists them all.")


def _draw_problem(problem: Problem) -> None:
    where = f"line {problem.line}, column {problem.column}"
    hint = f" Did you mean **{words.escape(problem.suggestion)}**?" if problem.suggestion else ""
    st.markdown(f":gray[{where}] &nbsp; {words.write_sentence(problem.message)}{hint}")
