"""The organization and one's own account."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import streamlit as st

from flowground.ui.page import bridge, failure
from flowground.ui.page.actions import draw_last_question, mark_gone
from flowground.ui.page.caller import require_visitor


@contextmanager
def open_row(key: str, title: str, facts: str) -> Iterator[None]:
    """One entry of a list, in a frame; what is drawn within stands beside it. `title` and `facts` are Markdown."""
    with (
        st.container(border=True, key=key),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        st.markdown(f"{title}  \n:small[:gray[{facts}]]", width="stretch")
        yield


def draw_menu(choices: Collection[str], *, key: str) -> str | None:
    """An entry's menu; what was chosen in it just now."""
    return st.menu_button("More", tuple(choices), key=key, type="tertiary", width="content", format_func=mark_gone)


def draw_deed(
    label: str,
    deed: Callable[..., Any],
    *args: Any,
    key: str,
    icon: str | None = None,
    says: str = "",
    is_off: bool = False,
) -> None:
    """A dialog's button, which does it for whoever is here then, closes the dialog, and `says` what was done, as
    Markdown; `is_off`: there is nothing to do."""
    ask = draw_last_question if label == "Remove" else partial(st.button, type="primary", disabled=is_off)
    if ask(label, icon=icon, key=key):
        with failure.draw_refusals():
            bridge.ask(deed, require_visitor(), *args)
            if says:
                st.toast(says, icon=":material/check:")
            st.rerun()
