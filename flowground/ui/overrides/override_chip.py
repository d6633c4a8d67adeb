"""Says at the place where one writes that overrides apply, and takes them away."""

import streamlit as st

from flowground.overrides import Values
from flowground.ui.overrides import override_editors, override_state
from flowground.ui.page import words
from flowground.wiring import WiredFlow


def draw_chip(wired: WiredFlow, overrides: Values, *, sees_inside: bool) -> None:
    """Nothing without overrides; else how many, which ones on hover, and one click clears them."""
    if not overrides:
        return
    changed = [
        f"`{component}.{name}` {words.plain(override_editors.value_in_words(value))}"
        for component, fields in overrides.items()
        for name, value in fields.items()
    ]
    said = override_state.words_for(overrides)
    st.button(
        f":small[**{said}** · clear]",
        icon=":material/tune:",
        key=f"chip:{wired.id}",
        help="What you say here runs with:  \n" + "  \n".join(changed),
        on_click=override_state.overrides_of(wired, sees_inside=sees_inside).clear,
    )
