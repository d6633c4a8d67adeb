"""One editor a field, by its kind; what it says goes into the calls at once."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import streamlit as st

from flowground.fields import FieldPolicy, Widget
from flowground.ui import override_state, words
from flowground.wiring import WiredFlow

_EXACT = 2**53 - 1
"""The largest number that a browser can hold to the last digit."""
_SHOWN = 160
_TEXTS = ("text", "area")


def draw_editor(flow: WiredFlow, item: FieldPolicy, *, inside: bool) -> None:
    """The editor, the author's value below it, and why what was typed cannot be."""
    state = override_state.kept(flow, inside=inside)
    key = _key(flow, item, state.generation)
    refused = state.refused.get(item.key)
    is_changed = item.name in state.good.get(item.component, {})
    if key not in st.session_state:
        own = state.good.get(item.component, {}).get(item.name, item.value)
        st.session_state[key] = _shown(item, refused.value if refused else own)
    _EDITORS[_kind(item, st.session_state[key])](item, key, lambda: _edited(flow, item, key, inside=inside))
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
                args=(flow, item, key),
                kwargs={"inside": inside},
            )


def draw_locked(flow: WiredFlow, item: FieldPolicy) -> None:
    """A field that cannot be overridden, and the reason."""
    st.caption(
        f":material/lock: **{words.plain(item.type.title)}** · {words.plain(flow.policy.explain_lock(item) or '')}"
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


def _edited(flow: WiredFlow, item: FieldPolicy, key: str, *, inside: bool) -> None:
    value = st.session_state[key]
    if value == "" and item.type.optional:
        value = None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # what was typed, for the words of a refusal
    override_state.edit(flow, item, value, inside=inside)
    if value is None:
        st.session_state.pop(key, None)  # an emptied editor shows the author's value again


def _reset(flow: WiredFlow, item: FieldPolicy, key: str, *, inside: bool) -> None:
    override_state.reset(flow, item, inside=inside)
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
    return int(value) if item.step == 1 else float(value)


def _kind(item: FieldPolicy, value: Any) -> Widget:
    """A number that a browser would round is typed as text."""
    if item.widget in ("integer", "number") and (
        isinstance(value, str) or (isinstance(value, int | float) and abs(value) > _EXACT)
    ):
        return "text"
    return item.widget


def _draw_slider(item: FieldPolicy, key: str, on_change: Callable[[], None]) -> None:
    as_held = int if item.step == 1 else float
    low, high, step = (as_held(bound or 0) for bound in (item.min, item.max, item.step))
    st.slider(item.type.title, low, high, step=step, key=key, help=item.type.description, on_change=on_change)


def _draw_number(item: FieldPolicy, key: str, on_change: Callable[[], None]) -> None:
    whole = item.step == 1
    st.number_input(
        item.type.title,
        value=None,
        step=1 if whole else item.step,
        format="%d" if whole else "%g",
        key=key,
        help=item.type.description,
        placeholder="not set",
        on_change=on_change,
    )


def _draw_choice(item: FieldPolicy, key: str, on_change: Callable[[], None]) -> None:
    choices = list(item.choices or ())
    for own in (st.session_state[key], item.value):
        if not any(type(own) is type(choice) and own == choice for choice in choices):
            choices.insert(0, own)
    st.selectbox(
        item.type.title,
        choices,
        key=key,
        help=item.type.description,
        format_func=value_in_words,
        placeholder="not set",
        on_change=on_change,
    )


def _draw_switch(item: FieldPolicy, key: str, on_change: Callable[[], None]) -> None:
    st.toggle(item.type.title, key=key, help=item.type.description, on_change=on_change)


def _draw_text(item: FieldPolicy, key: str, on_change: Callable[[], None]) -> None:
    kind: Literal["password", "default"] = "password" if item.type.secret else "default"
    st.text_input(
        item.type.title, key=key, help=item.type.description, type=kind, placeholder="not set", on_change=on_change
    )


def _draw_area(item: FieldPolicy, key: str, on_change: Callable[[], None]) -> None:
    st.text_area(item.type.title, key=key, help=item.type.description, height="content", on_change=on_change)


_EDITORS: Mapping[Widget, Callable[[FieldPolicy, str, Callable[[], None]], None]] = {
    "slider": _draw_slider,
    "integer": _draw_number,
    "number": _draw_number,
    "choice": _draw_choice,
    "switch": _draw_switch,
    "text": _draw_text,
    "area": _draw_area,
}


def _key(flow: WiredFlow, item: FieldPolicy, generation: int) -> str:
    return f"override:{flow.id}:{flow.version}:{generation}:{item.key}"
