"""What pages about people share: rows of lists, their menus, buttons of dialogs."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import streamlit as st

from flowground.ui.page import bridge
from flowground.ui.page.bridge import require_caller
from flowground.ui.page.parts import mark_gone, render_confirm


@contextmanager
def open_row(key: str, title: str, facts: str) -> Iterator[None]:
    """One entry of a list, in a frame, beside what the block renders. `title` and `facts` are Markdown."""
    with st.container(border=True, key=key), st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        st.markdown(f"{title}  \n:small[:gray[{facts}]]", width="stretch")
        yield


def render_menu(choices: Collection[str], *, key: str) -> str | None:
    """An entry's menu; returns what was chosen just now."""
    return st.menu_button("More", tuple(choices), key=key, type="tertiary", width="content", format_func=mark_gone)


def render_submit(
    label: str, act: Callable[..., Any], *args: Any, key: str, says: str = "", is_off: bool = False
) -> None:
    """A dialog's button that calls `act` for the present caller, closes the dialog, and shows the Markdown `says`.

    `is_off`: the button is disabled.
    """
    ask = render_confirm if label == "Remove" else partial(st.button, type="primary", disabled=is_off)
    if ask(label, key=key):
        with bridge.render_refusals():
            bridge.ask(act, require_caller(), *args)
            if says:
                st.toast(says, icon=":material/check:")
            st.rerun()
