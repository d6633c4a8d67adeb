"""One editor a field, by its kind; what it says goes into the calls at once."""

from collections.abc import Callable
from typing import Any, assert_never

import streamlit as st

from flowground.fields.policy import FieldPolicy, Widget
from flowground.ui.overrides.override_state import Overrides
from flowground.ui.page import words
from flowground.wiring import WiredFlow

_EXACT = 2**53 - 1
"""The largest number that a browser can hold to the last digit."""
_SHOWN = 160
_TEXTS = ("text", "area")


def draw_editor(state: Overrides, item: FieldPolicy) -> None:
    """The editor, the author's value below it, and why what was typed cannot be."""
    key = f"override:{state.wired.id}:{state.wired.version}:{state.generation}:{item.key}"
    refused = state.refused.get(item.key)
    is_changed = item.name in state.good.get(item.component, {})
    if key not in st.session_state:
        own = state.good.get(item.component, {}).get(item.name, item.value)
        st.session_state[key] = _shown(item, refused.value if refused else own)
    _draw(item, key, lambda: _edited(state, item, key))
    if refused:
        kept_on = "the value before it stays" if is_changed else "the author's value stays"
        st.error(f"{words.sentence(refused.why)}  \n:small[Not in the code: {kept_on}.]", icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_facts(item, is_changed=is_changed or refused is not None))
        if is_changed or refused:
            st.button(
                "Reset",
                key=f"{key}:reset",
                type="tertiary",
                icon=":material/undo:",
                on_click=_reset,
                args=(state, item, key),
            )


def draw_locked(wired: WiredFlow, item: FieldPolicy) -> None:
    """A field that cannot be overridden, and the reason."""
    st.caption(
        f":material/lock: **{words.plain(item.type.title)}** · {words.plain(wired.policy.explain_lock(item) or '')}"
    )


def value_in_words(value: Any) -> str:
    """A value on one line, cut where it is long; plain text, not Markdown."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value == "":
        return "empty"
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"


def _edited(state: Overrides, item: FieldPolicy, key: str) -> None:
    value = st.session_state[key]
    if value == "" and item.type.optional:
        value = None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # what was typed, for the words of a refusal
    state.edit(item, value)
    if value is None:
        st.session_state.pop(key, None)  # an emptied editor shows the author's value again


def _reset(state: Overrides, item: FieldPolicy, key: str) -> None:
    state.reset(item)
    st.session_state.pop(key, None)


def _facts(item: FieldPolicy, *, is_changed: bool) -> str:
    bounds = ""
    if item.widget in ("number", "integer"):
        low, high = _number(item.min), _number(item.max)
        bounds = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
    own = "" if item.type.secret or (item.widget in _TEXTS and not is_changed) else value_in_words(item.value)
    return words.line((f"Author's value: {words.plain(own)}" if own else "", bounds, f"`{item.key}`"))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"


def _shown(item: FieldPolicy, value: Any) -> Any:
    """The value in the type that its editor holds."""
    kind = _kind(item, value)
    if kind in _TEXTS:
        return "" if value is None else str(value)
    if kind == "switch":
        return bool(value)
    if value is None or kind == "choice":
        return value
    return int(value) if item.type.whole else float(value)


def _kind(item: FieldPolicy, value: Any) -> Widget:
    """A number that a browser would round is typed as text."""
    if item.widget in ("integer", "number") and (
        isinstance(value, str) or (isinstance(value, int | float) and abs(value) > _EXACT)
    ):
        return "text"
    return item.widget


def _draw(item: FieldPolicy, key: str, on_change: Callable[[], None]) -> None:
    every: dict[str, Any] = {
        "label": item.type.title,
        "help": item.type.description,
        "key": key,
        "on_change": on_change,
    }
    whole = item.type.whole
    match _kind(item, st.session_state[key]):
        case "slider":
            low, high, step = ((int if whole else float)(bound or 0) for bound in (item.min, item.max, item.step))
            st.slider(min_value=low, max_value=high, step=step, **every)
        case "integer" | "number":
            form = "%d" if whole else "%g"
            st.number_input(value=None, step=item.step, format=form, placeholder="not set", **every)
        case "choice":
            choices = _choices(item, st.session_state[key])
            st.selectbox(options=choices, format_func=value_in_words, placeholder="not set", **every)
        case "switch":
            st.toggle(**every)
        case "text":
            st.text_input(type="password" if item.type.secret else "default", placeholder="not set", **every)
        case "area":
            st.text_area(height="content", **every)
        case unknown:
            assert_never(unknown)


def _choices(item: FieldPolicy, held: Any) -> list[Any]:
    """The choices, and before them what the editor holds and what the author wrote where they are none."""
    choices = list(item.choices or ())
    for own in (held, item.value):
        if not any(type(own) is type(choice) and own == choice for choice in choices):
            choices.insert(0, own)
    return choices
