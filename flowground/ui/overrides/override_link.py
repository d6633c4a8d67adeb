"""A link that carries overrides: shown to its reader first, applied once they accept."""

from contextlib import suppress

import streamlit as st

from flowground.caller import Caller
from flowground.errors import FlowgroundError
from flowground.overrides import Values, find_changes, from_link
from flowground.ui.overrides import override_editors, override_state
from flowground.ui.overrides.override_presets import PARAMETER
from flowground.ui.page import words
from flowground.wiring import WiredFlow

_LONG = 80


def draw_arrived(caller: Caller, wired: WiredFlow) -> None:
    """What the address of this page brings, if anything. Nothing of it applies before *Apply* is pressed."""
    word = st.query_params.get(PARAMETER)
    if word is None:
        return
    try:
        values = _checked(caller, wired, word)
    except FlowgroundError as error:
        _draw_useless(words.sentence(error.message))
        return
    if not values:
        _draw_useless("This link's overrides are what the flow says anyway.")
        return
    with st.container(border=True, key=f"arrived:{wired.id}"):
        said = override_state.words_for(values)
        pronoun = "It applies" if override_state.count(values) == 1 else "They apply"
        st.markdown(
            f":material/tune: **This link brings {said}.** {pronoun} to your own chat and code, once you say so."
        )
        for component, fields in values.items():
            for name, value in fields.items():
                item = wired.policy.fields[component][name]
                _draw_value(f"{wired.display_names[component]} · {item.type.title}", value, item.value)
        if override_state.in_force(wired, sees_inside=True):
            st.caption("They take the place of those you have now.")
        with st.container(horizontal=True):
            st.button(
                "Apply",
                type="primary",
                key=f"arrived:apply:{wired.id}",
                on_click=_accept,
                args=(wired, values),
            )
            st.button("Ignore", key=f"arrived:ignore:{wired.id}", on_click=_drop)


def _checked(caller: Caller, wired: WiredFlow, word: str) -> Values:
    if not caller.sees_inside:
        raise FlowgroundError("Links with overrides are for authors: the flow answers here as it is.")
    return find_changes(wired, from_link(word), sees_inside=True)


def _draw_value(name: str, value: object, own: object) -> None:
    author = f":gray[:small[author's value: {words.plain(override_editors.value_in_words(own))}]]"
    text = str(value)
    if isinstance(value, str) and (len(text) > _LONG or "\n" in text):
        st.markdown(f"**{words.plain(name)}** {author}")
        st.code(text, language=None, wrap_lines=True, height=160 if len(text) > 500 else "content")
        return
    st.markdown(f"**{words.plain(name)}:** {words.plain(override_editors.value_in_words(value))} {author}")


def _draw_useless(why: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="arrived:useless"):
        st.markdown(f":material/link_off: {why}")
        st.space("stretch")
        st.button("Dismiss", type="tertiary", key="arrived:dismiss", on_click=_drop)


def _accept(wired: WiredFlow, values: Values) -> None:
    with suppress(FlowgroundError):  # the flow changed meanwhile: the link is judged anew, and says why
        override_state.overrides_of(wired, sees_inside=True).replace(values)
        _drop()


def _drop() -> None:
    st.query_params.pop(PARAMETER, None)
