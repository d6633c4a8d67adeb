"""The request of the pane as code: one tab a language, the line that sets the token above them, all as Markdown."""

from collections.abc import Mapping
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from flowground.snippets import COMMANDS, FILE_NAMES, Shell, as_markdown, export_line, snippets
from flowground.snippets.request import SnippetRequest
from flowground.ui.page import words

Name = TypeVar("Name", bound=str)

TITLES = {"python": "Python", "javascript": "JavaScript", "curl": "cURL"}
_HIGHLIGHT = {"python": "python", "javascript": "javascript", "curl": "bash", "powershell": "powershell"}
_HEIGHT = 360
_RUN_FIRST = "Run this line first; the code reads the token from the environment."
_SHELLS: Mapping[Shell, str] = {"bash": "bash", "powershell": "PowerShell"}


def draw_choice(label: str, titles: Mapping[Name, str], *, key: str) -> Name:
    """One of a few side by side, the first when nobody chose."""
    names = list(titles)
    chosen: Name = st.segmented_control(
        label,
        names,
        default=names[0],
        required=True,
        format_func=lambda name: titles[name],
        key=key,
        label_visibility="collapsed",
    )
    return chosen


def draw_export_line(flow_id: str, secret: str | None, *, written: bool) -> Shell:
    """The line that puts the token into the environment, for the shell that is chosen beside it.

    `written`: the code holds the token, and needs no such line.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("The code holds the token: share it with nobody." if written else _RUN_FIRST)
        st.space("stretch")
        shell = draw_choice("Shell", _SHELLS, key=f"api:shell:{flow_id}")
    if not written:
        st.code(export_line(secret, shell=shell), language=shell)
    return shell


def draw_code(tabs: Mapping[str, DeltaGenerator], request: SnippetRequest, *, shell: Shell) -> None:
    """Each language's text in its tab."""
    texts = snippets(request)
    for name, tab in tabs.items():
        language = "powershell" if name == "curl" and shell == "powershell" else name
        text = texts[language]
        with tab:
            tall = text.count("\n") * 20 > _HEIGHT
            st.code(text, language=_HIGHLIGHT[language], height=_HEIGHT if tall else "content")
            st.caption(f"Saved as {words.plain(FILE_NAMES[language])}, it runs as `{COMMANDS[language]}`")


def draw_markdown(request: SnippetRequest, *, title: str) -> None:
    """All texts at once, for a wiki page or a colleague."""
    menu = st.popover(
        "All as Markdown",
        icon=":material/content_copy:",
        type="tertiary",
        key=f"api:markdown:{request.flow_id}",
        on_change="rerun",
    )
    if menu.open:
        with menu:
            text = as_markdown(snippets(request), title=title, commands=COMMANDS, export=request.token is None)
            st.code(text, language="markdown", height=_HEIGHT)
