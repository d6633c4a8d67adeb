"""The tab *Temporary overrides*: fields that one changes for one's own calls, kept for the visit, and links to them."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never
from urllib.parse import urlencode

import streamlit as st

from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError
from flowground.core.words import fold, has_words, show
from flowground.flows.field_values import read_typed
from flowground.flows.fields import FieldPolicy, Widget
from flowground.flows.tweaks import FieldValues, drop_secrets, find_changes, read_link, write_link
from flowground.flows.wiring import WiredFlow
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller
from flowground.ui.page.parts import drop_parameter, render_action

_SHOWN = 160
_PARAMETER = "overrides"
"""The parameter of a playground's address that carries overrides."""
_LONG = 80
_EXACT = 2**53 - 1
"""The largest number that a browser can hold to the last digit."""
_TEXTS = ("text", "area", "json")


@dataclass(slots=True)
class Overrides:
    """One visit's overrides of a flow.

    `good`: the last values that fit, which calls carry. `refused`: typed values with the reason, by `Component.field`,
    shown in editors only.
    `generation` is a part of the editors' keys; it grows when many editors get new values.
    """

    wired: WiredFlow
    caller: Caller
    good: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, tuple[Any, str]] = field(default_factory=dict)
    generation: int = 0

    def edit(self, item: FieldPolicy, value: Any) -> None:
        """Takes one field's new value, or keeps why it is refused."""
        try:
            self._set(item.component, item.name, read_typed(item, value))
        except FlowgroundError as error:
            self.refused[item.key] = value, error.message
        else:
            self.refused.pop(item.key, None)

    def reset(self, item: FieldPolicy) -> None:
        """Sets the field back to the author's value."""
        self.refused.pop(item.key, None)
        left = {name: value for name, value in self.good.get(item.component, {}).items() if name != item.name}
        self.good = {name: fields for name, fields in {**self.good, item.component: left}.items() if fields}

    def replace(self, values: FieldValues) -> None:
        """Sets exactly these overrides, checked like any tweak. Raises TweaksRefused, and changes nothing then."""
        self.good = find_changes(self.wired, values, self.caller)
        self.refused.clear()
        self.generation += 1

    def clear(self) -> None:
        """Sets all fields back to the author's values."""
        self.replace({})

    def keep_fitting(self) -> None:
        """Drops overrides that a newer flow file does not take."""
        values = self.good
        self.clear()
        for component, fields in values.items():
            for name, value in fields.items():
                with suppress(FlowgroundError):
                    self._set(component, name, value)

    def _set(self, component: str, name: str, value: Any) -> None:
        wanted = {**self.good, component: {**self.good.get(component, {}), name: value}}
        self.good = find_changes(self.wired, wanted, self.caller)


def find_overrides_state(caller: Caller, wired: WiredFlow) -> Overrides:
    """This visit's overrides of the flow."""
    kept: Overrides = st.session_state.setdefault(f"overrides:{wired.id}", Overrides(wired, caller))
    is_newer = kept.wired.version != wired.version
    kept.wired, kept.caller = wired, caller
    if is_newer:
        kept.keep_fitting()
    return kept


def describe_chip(overrides: FieldValues) -> dict[str, Any] | None:
    """The chip at the message field: how many overrides apply, and a line for each; None without any."""
    if not overrides:
        return None
    lines = [
        f"{component}.{name} {write_value(value)}"
        for component, fields in overrides.items()
        for name, value in fields.items()
    ]
    return {"label": write_count(overrides), "lines": lines}


def count(values: FieldValues) -> int:
    """The number of overridden fields."""
    return sum(len(fields) for fields in values.values())


def write_count(values: FieldValues) -> str:
    """ "1 override", "2 overrides"."""
    return words.count(count(values), "override")


def write_value(value: Any) -> str:
    """A value on one line, cut where it is long; plain text, not Markdown."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value == "":
        return "empty"
    if isinstance(value, dict | list):
        return show(value)
    return words.cut(" ".join(str(value).split()), _SHOWN)


def render_link(wired: WiredFlow, values: FieldValues) -> None:
    """A popover with a link to the playground that carries the overrides."""
    menu = st.popover("Link", icon=":material/link:", key=f"overrides:link:{wired.id}", disabled=not values)
    with menu, bridge.render_refusals():
        query = urlencode({"flow": wired.id, _PARAMETER: write_link(drop_secrets(wired, values))})
        st.caption("For authors: whoever opens the link sees these overrides, and accepts them before they apply.")
        link = f"{browser.find_base_url()}/playground?{query}"
        with parts.hide_other_button(f"link:{wired.id}"):
            parts.render_copy(link, what="the link", key=f"overrides:{wired.id}")
            st.code(link, language=None, wrap_lines=True)


def render_arrived(caller: Caller, wired: WiredFlow) -> None:
    """The overrides that this page's address carries, if any. They apply once *Apply* is pressed."""
    word = st.query_params.get(_PARAMETER)
    if word is None:
        return
    try:
        values = _read_link(caller, wired, word)
    except FlowgroundError as error:
        _render_useless(words.write_sentence(error.message))
        return
    with st.container(border=True, key=f"arrived:{wired.id}"):
        number = write_count(values)
        pronoun = "It applies" if count(values) == 1 else "They apply"
        st.markdown(
            f":material/tune: **This link brings {number}.** {pronoun} to your own chat and code, once you say so."
        )
        for component, fields in values.items():
            for name, value in fields.items():
                item = wired.policy.fields[component][name]
                _render_value(f"{wired.display_names[component]} · {item.type.title}", value, item.value)
        if find_overrides_state(caller, wired).good:
            st.caption("They replace the ones you have now.")
        with st.container(horizontal=True):
            render_action("Apply", _accept, caller, wired, values, key=f"arrived:apply:{wired.id}", kind="primary")
            render_action("Ignore", drop_parameter, _PARAMETER, key=f"arrived:ignore:{wired.id}", kind="secondary")


def _read_link(caller: Caller, wired: WiredFlow, word: str) -> FieldValues:
    if not caller.sees_inside:
        raise FlowgroundError("Links with overrides are for authors. Here the flow answers without them.")
    if values := find_changes(wired, read_link(word), replace(caller, unlocks="none")):  # whoever made the link
        return values
    raise FlowgroundError("This link changes nothing: its overrides are what the flow says already.")


def _render_value(name: str, value: object, own: object) -> None:
    author = f":gray[:small[author's value: {words.escape(write_value(own))}]]"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, bool | float) and (len(text) > _LONG or "\n" in text):
        st.markdown(f"**{words.escape(name)}** {author}")
        st.code(text, language=None, wrap_lines=True, height=160 if len(text) > 500 else "content")
        return
    st.markdown(f"**{words.escape(name)}:** {words.escape(write_value(value))} {author}")


def _render_useless(why: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="arrived:useless"):
        st.markdown(f":material/link_off: {why}")
        st.space("stretch")
        render_action("Dismiss", drop_parameter, _PARAMETER, key="arrived:dismiss")


@bind_to_caller
def _accept(caller: Caller, wired: WiredFlow, values: FieldValues) -> None:
    with suppress(FlowgroundError):  # the flow changed meanwhile: the rerun shows why the link does not apply
        find_overrides_state(caller, wired).replace(values)
        drop_parameter(_PARAMETER)


def write_title(values: FieldValues) -> str:
    """The tab's label, with the number of overridden fields."""
    changed = count(values)
    return f"Temporary overrides ({changed})" if changed else "Temporary overrides"


def render_overrides(caller: Caller, wired: WiredFlow, *, sent: FieldValues) -> None:
    """Editors by component in the flow's order; for who does not see the inside, only of fields that the author opened.

    `sent`: the tweaks of the code, which are all overrides except an input's text, since that is the message.
    """
    seen = wired.policy.list_fields(caller)
    if not seen:
        st.caption("The author of this flow has opened none of its fields.")
        return
    st.caption("What you change here goes into the code and into your own chat. The flow itself stays as it is.")
    state = find_overrides_state(caller, wired)
    wanted = _render_tools(caller, state)
    found = [fields for every in seen.values() if (fields := _search(wired, every.values(), wanted))]
    for fields in found:
        _render_component(state, fields)
    if not found:
        st.caption(f"No field has “{words.escape(wanted)}” in its name.")
    if sent:
        st.caption("Every call carries this as `tweaks`:")
        st.code(json.dumps(sent, indent=2, ensure_ascii=False), language="json", wrap_lines=True)


def _render_tools(caller: Caller, state: Overrides) -> str:
    """Search field, link and reset; returns the searched text."""
    wired = state.wired
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        wanted = parts.render_search(f"overrides:{wired.id}", "Search fields", width=220)
        if caller.sees_inside:
            render_link(wired, state.good)
        st.button(
            "Reset all",
            key=f"overrides:reset:{wired.id}",
            type="tertiary",
            icon=":material/undo:",
            disabled=not (state.good or state.refused),
            on_click=state.clear,
        )
    return wanted


def _search(wired: WiredFlow, fields: Iterable[FieldPolicy], wanted: str) -> list[FieldPolicy]:
    asked = fold(wanted).split()
    return [
        item
        for item in fields
        if has_words(
            f"{wired.display_names[item.component]} {item.key} {item.type.title} {item.type.description}", asked
        )
    ]


def _render_component(state: Overrides, fields: Sequence[FieldPolicy]) -> None:
    """The fields of one component; closed ones last, each with its reason."""
    name, wired = fields[0].component, state.wired
    shown = wired.display_names[name]
    with st.container(border=True, gap="small", key=f"overrides:{wired.id}:{name}"):
        also = "" if shown == name else f" :gray[:small[{words.escape(name)}]]"
        st.markdown(f"**{words.escape(shown)}**{also}")
        policy = state.wired.policy
        closed = [item for item in fields if not policy.may_set(item, state.caller)]
        for item in fields:
            if item not in closed:
                _render_field(state, item)
        if closed:
            with st.container(gap=None):
                for item in closed:
                    why = words.escape(policy.explain_lock(item) or "")
                    st.caption(f":material/lock: **{words.escape(item.type.title)}** · {why}")


def _render_field(state: Overrides, item: FieldPolicy) -> None:
    """The editor, the author's value below it, and why a typed value is refused."""
    key = f"override:{state.wired.id}:{state.wired.version}:{state.generation}:{item.key}"
    typed, why = state.refused.get(item.key, (None, ""))
    changed = state.good.get(item.component, {})
    is_changed = item.name in changed
    is_new = key not in st.session_state
    if is_new:
        st.session_state[key] = _fit(item, typed if why else changed.get(item.name, item.value))
    _render_editor(item, key, lambda: _take_edit(state, item, key), is_new=is_new)
    if why:
        kept_on = "the previous value stays" if is_changed else "the author's value stays"
        st.error(f"{words.write_sentence(why)}  \n:small[Not in the code: {kept_on}.]", icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_write_facts(item, is_changed=is_changed or bool(why)))
        if is_changed or why:
            render_action("Reset", _reset, state, item, key, key=f"{key}:reset", icon="undo")


def _take_edit(state: Overrides, item: FieldPolicy, key: str) -> None:
    value = st.session_state[key]
    if value == "" and item.type.is_optional:
        value = None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as it was typed, for the sentence of a refusal
    state.edit(item, value)
    if value is None:
        st.session_state.pop(key, None)  # an emptied editor shows the author's value again


def _reset(state: Overrides, item: FieldPolicy, key: str) -> None:
    state.reset(item)
    st.session_state.pop(key, None)


def _write_facts(item: FieldPolicy, *, is_changed: bool) -> str:
    bounds = ""
    if item.widget in ("number", "integer"):
        low, high = ("" if bound is None else f"{bound:,.10g}" for bound in (item.min, item.max))
        bounds = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
    own = "" if item.type.is_secret or (item.widget in _TEXTS and not is_changed) else write_value(item.value)
    return words.join((f"Author's value: {words.escape(own)}" if own else "", bounds, f"`{item.key}`"))


def _fit(item: FieldPolicy, value: Any) -> Any:
    """The value in the type of its editor."""
    widget = _choose_widget(item, value)
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2, ensure_ascii=False)
    if widget in _TEXTS:
        return "" if value is None else str(value)
    if widget == "switch":
        return bool(value)
    if value is None or widget == "choice":
        return value
    return int(value) if item.type.is_whole else float(value)


def _choose_widget(item: FieldPolicy, value: Any) -> Widget:
    """The field's widget; text for a number that a browser would round."""
    if item.widget in ("integer", "number") and (
        isinstance(value, str) or (isinstance(value, int | float) and abs(value) > _EXACT)
    ):
        return "text"
    return item.widget


def _is_one_line(item: FieldPolicy, key: str) -> bool:
    """Whether a short text gets a field of one line; an editor keeps its first shape."""
    is_line = item.is_short and str(st.session_state[key]).isprintable()
    return bool(st.session_state.setdefault(f"{key}:line", is_line))


def _render_editor(item: FieldPolicy, key: str, on_change: Callable[[], None], *, is_new: bool) -> None:
    """The editor. `is_new`: this run of the page sets its value.

    A slow browser may render the editor first in a later run. It would then send Streamlit's default back as an edit,
    so each later run repeats the value as the default.
    """
    held = st.session_state[key]
    default = {} if is_new else {"value": held}
    every: dict[str, Any] = {
        "label": item.type.title,
        "help": item.type.description,
        "key": key,
        "on_change": on_change,
    }
    is_whole = item.type.is_whole
    match _choose_widget(item, held):
        case "slider":
            low, high, step = ((int if is_whole else float)(bound or 0) for bound in (item.min, item.max, item.step))
            st.slider(min_value=low, max_value=high, step=step, **default, **every)
        case "integer" | "number":
            form = "%d" if is_whole else "%g"
            # The default is None: with another one the field could not be emptied.
            st.number_input(value=None, step=item.step, format=form, placeholder="not set", **every)
        case "choice":
            choices = item.list_choices(held)
            place = 0 if is_new else next(place for place, choice in enumerate(choices) if _is_same(choice, held))
            st.selectbox(options=choices, index=place, format_func=write_value, placeholder="not set", **every)
        case "switch":
            st.toggle(**default, **every)
        case "text":
            kind: Literal["password", "default"] = "password" if item.type.is_secret else "default"
            st.text_input(type=kind, placeholder="not set", **default, **every)
        case "area" if _is_one_line(item, key):
            st.text_input(**default, **every)
        case "area":
            st.text_area(height="content", **default, **every)
        case "json":
            st.text_area(height="content", placeholder="not set", **default, **every)
        case unknown:
            assert_never(unknown)


def _is_same(one: Any, other: Any) -> bool:
    """Equality that tells 1 from True and from 1.0."""
    return type(one) is type(other) and one == other
