"""Fields: what a component type declares (`FieldType`), and what one flow makes of it (`FieldPolicy`).

A type's fields are read once from its model. A flow's author narrows them by `api.overridable`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from flowground.components.base import INPUT, Component
from flowground.core.values import ValueKind
from flowground.core.words import Schema, describe_kind, list_names, show
from flowground.flows.flow import Overridable
from flowground.flows.graph import FlowParts, Text

SMALLEST_STEP = 0.01
_KINDS = {"records": "records, a list of mappings", "files": "files"}
Choices = tuple[str | float | bool, ...]
Widget = Literal["text", "area", "integer", "number", "slider", "choice", "switch", "json"]
_SLIDER_STEPS = 1_000
"""A slider with more whole numbers cannot be set by a thumb: such a field gets a number box."""
_COARSE = 0.1
MOST_ASKED = 50
"""The most fields that a page asks people for."""
_LINE = 40
"""The most characters of a text that is edited on one line."""


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field of a component type. `kind` names in words what it takes, `wants` the kind of value a reference brings.

    `min` and `max` are the least and the greatest value, or None; `choices` are all allowed values, or None.
    `is_optional`: null is allowed. `is_template`: the text holds `{variables}`. `is_url`: values that are filled in are
    percent-encoded. `is_fixed`: only the author sets the field, and cannot open it to callers. Unless the flow narrows
    it, the author may write a literal, a reference where `takes_references`, and `${env:NAME}` where `is_secret`; a
    caller may set the field where `callers_may_set`; the model of an agent that uses the component as a tool sets it
    where `model_may_set` and the author left it unset.
    """

    name: str
    title: str
    description: str
    kind: str
    wants: ValueKind
    schema: Schema
    is_text: bool
    is_number: bool
    is_whole: bool
    is_required: bool
    is_optional: bool
    min: float | None
    max: float | None
    choices: Choices | None
    is_multiline: bool
    is_template: bool
    is_url: bool
    is_secret: bool
    is_fixed: bool
    takes_references: bool
    callers_may_set: bool
    model_may_set: bool

    @property
    def is_simple(self) -> bool:
        """Whether the field takes one text, number, switch or choice."""
        return self.is_text or self.is_number or self.choices is not None or self.schema.get("type") == "boolean"

    @property
    def is_json(self) -> bool:
        """Whether the field takes a list or a mapping, which callers send and editors show as JSON."""
        return not self.is_simple and self.wants != "files"

    @property
    def takes_objects(self) -> bool:
        """Whether the field takes a mapping."""
        return any(part.get("type") == "object" for part in self.schema.get("anyOf", [self.schema]))


@cache
def list_types(component: type[Component]) -> Mapping[str, FieldType]:
    """The declared fields of a component type, in their order."""
    schema = component.model_json_schema()
    required = schema.get("required", ())
    known = {name: _read_type(name, part, is_required=name in required) for name, part in schema["properties"].items()}
    return MappingProxyType(known)


def takes_variables(component: type[Component]) -> bool:
    """Whether the type accepts text fields beside the declared ones."""
    return component.model_config.get("extra") == "allow"


def find_type(component: type[Component], name: str) -> FieldType | None:
    """One field of a component type, declared or a variable; None where the type can have no such field."""
    if found := list_types(component).get(name):
        return found
    return read_variable(name) if takes_variables(component) else None


@lru_cache(maxsize=4096)
def read_variable(name: str) -> FieldType:
    """A field that a template's variable adds."""
    title = name.replace("_", " ").capitalize()
    schema = {"type": "string", "title": title, "description": "A variable of the template.", "multiline": True}
    return _read_type(name, schema, is_required=False)


def round_bounds(low: float | None, high: float | None, *, is_whole: bool) -> tuple[float | None, float | None]:
    """The bounds as allowed values: whole numbers for a whole-number field, floats for others."""
    up, down = (math.ceil, math.floor) if is_whole else (float, float)
    return None if low is None else up(low), None if high is None else down(high)


class FieldPolicy(NamedTuple):  # made for each field of each flow: a frozen dataclass takes four times as long
    """The policy of one field in one flow.

    `value` is the author's: of a connected field the text in the file, None where file and type set none, and always
    None for a secret. `min`, `max` and `choices` are the tighter ones of the type's and the author's bounds; the
    author's value may lie outside. `filled_by` is the text with references that fills the field. `opened` is the
    field's entry in `api.overridable`. `closed` is the reason why no caller may set the field, None where callers may.
    """

    component: str
    type: FieldType
    value: Any
    min: float | None
    max: float | None
    choices: Choices | None
    filled_by: Text | None
    opened: Overridable | None
    closed: Literal["filled", "unlisted", "protected"] | None

    @property
    def name(self) -> str:
        return self.type.name

    @property
    def key(self) -> str:
        """`Component.field`, unique in a flow."""
        return f"{self.component}.{self.type.name}"

    @property
    def is_required(self) -> bool:
        """Whether a run is refused as long as the field is empty."""
        return self.opened is not None and self.opened.required

    @property
    def step(self) -> float | None:
        """The step of one press of an arrow key; None where the field is not a number."""
        if not self.type.is_number or self.type.is_whole:
            return 1 if self.type.is_number else None
        is_narrow = self.min is not None and self.max is not None and self.max - self.min <= 2
        return SMALLEST_STEP if is_narrow else _COARSE

    @property
    def widget(self) -> Widget:
        """The kind of widget that edits the field."""
        if self.choices is not None:
            return "choice"
        if self.type.schema.get("type") == "boolean":
            return "switch"
        if self.type.is_json:
            return "json"
        if not self.type.is_number:
            return "area" if self.type.is_multiline else "text"
        if self._fits_a_slider():
            return "slider"
        return "integer" if self.type.is_whole else "number"

    @property
    def is_short(self) -> bool:
        """Whether the author's value is so short that it needs no area of several lines."""
        own = self.value
        return isinstance(own, str) and 0 < len(own) <= _LINE and own.isprintable() and "{" not in own

    def list_choices(self, *shown: Any) -> list[Any]:
        """The choices, preceded by the author's value and the values in `shown` where these are no choices."""
        choices = list(self.choices or ())
        for value in (*shown, self.value):
            if not any(type(value) is type(choice) and value == choice for choice in choices):  # 1 is not True, nor 1.0
                choices.insert(0, value)
        return choices

    def _fits_a_slider(self) -> bool:
        if self.value is None or self.min is None or self.max is None:  # a slider cannot show "not set"
            return False
        return self.min <= self.value <= self.max and not (self.type.is_whole and self.max - self.min > _SLIDER_STEPS)


def compile_component(parts: FlowParts, name: str, entries: Mapping[str, Overridable]) -> dict[str, FieldPolicy]:
    """The policies of the component's fields: declared ones in the type's order, then variables. `entries` are those of
    `api.overridable`.
    """
    flow, component, texts = parts.flow, parts.components[name], parts.connections.get(name, {})
    compiled = {}
    variables = (read_variable(variable) for variable in component.model_extra or ())
    for field in (*list_types(type(component)).values(), *variables):
        key = field.name
        text, opened = texts.get(key), entries.get(f"{name}.{key}") if entries else None
        value = flow.components[name].fields[key] if text else getattr(component, key)
        low, high, choices = _narrow(field, opened) if opened else (field.min, field.max, field.choices)
        closed: Literal["filled", "unlisted", "protected"] | None = None
        if text is not None:
            closed = "filled"
        elif flow.api.overridable is not None:
            closed = None if opened else "unlisted"
        elif not field.callers_may_set:
            closed = "protected"
        own = None if field.is_secret else value
        compiled[key] = FieldPolicy(name, field, own, low, high, choices, text, opened, closed)
    return compiled


def find_message_kind(kinds: Iterable[type[Component]]) -> Literal["chat", "text"]:
    """The kind of input that a person's message in the playground is, in a flow with components of these types."""
    return "chat" if any(kind.input_kind == "chat" for kind in kinds) else "text"


def is_asked(entry: Overridable, kind: type[Component], *, message: Literal["chat", "text"]) -> bool:
    """Whether the playground asks people for the entry's field; `message` is the kind of input that their message
    is."""
    if entry.ask is not None:
        return entry.ask
    return kind.input_kind == "text" != message and entry.field.endswith(f".{INPUT}")


def check_overridable(parts: FlowParts) -> None:
    """Notes entries of `api.overridable` whose field callers cannot set, or whose bounds contradict each other or the
    type.
    """
    asked, message = 0, find_message_kind(parts.kinds.values())
    for index, entry in enumerate(parts.flow.api.overridable or ()):
        wrong = _find_wrong_entry(parts, entry)
        kind = parts.kinds.get(entry.field.partition(".")[0])
        if kind and not wrong:
            unaskable = None
            if is_asked(entry, kind, message=message):
                asked += 1
                unaskable = _find_unaskable(entry, kind, message=message)
                if not unaskable and asked > MOST_ASKED:
                    unaskable = f"a page asks for {MOST_ASKED} fields, and there are as many before it"
            elif entry.required:
                unaskable = "`required` is for what people are asked for: add `ask: true`"
            if unaskable:
                wrong = f"`{entry.field}`: {unaskable}", (), ""
        if wrong:
            says, choices, otherwise = wrong
            at = parts.flow.places[f"api.overridable.{index}"].value
            parts.problems.add(at, says, value=entry.field, choices=choices, otherwise=otherwise)


def _read_type(name: str, schema: Schema, *, is_required: bool) -> FieldType:
    parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    kinds = {part.get("type") for part in parts}
    choices = tuple(choice for part in parts for choice in part.get("enum", [part["const"]] if "const" in part else []))
    is_text = kinds == {"string"} and not choices
    is_whole = kinds == {"integer"}
    is_number = bool(kinds) and kinds <= {"number", "integer"}
    low, high = _read_bounds(parts, is_whole=is_whole) if is_number else (None, None)
    return FieldType(
        name=name,
        title=schema.get("title", name),
        description=schema.get("description", ""),
        kind=_KINDS.get(schema.get("kind", "")) or describe_kind(schema),
        wants=schema.get("kind") or ("text" if is_text else "data"),
        schema=schema,
        is_text=is_text,
        is_number=is_number,
        is_whole=is_whole,
        is_required=is_required,
        is_optional=len(parts) < len(schema.get("anyOf", [schema])),
        min=low,
        max=high,
        choices=choices or None,
        is_multiline=bool(schema.get("multiline")),
        is_template=bool(schema.get("template")),
        is_url=bool(schema.get("url")),
        is_secret=bool(schema.get("secret")),
        is_fixed=bool(schema.get("fixed")),
        takes_references=not schema.get("literal"),
        callers_may_set=not schema.get("protected") and schema.get("kind") != "files",
        model_may_set=bool(schema.get("model_may_set")) and not schema.get("fixed"),
    )


def _read_bounds(parts: list[Schema], *, is_whole: bool) -> tuple[float | None, float | None]:
    step = 1 if is_whole else SMALLEST_STEP
    lows = [part["minimum"] for part in parts if "minimum" in part]
    lows += [part["exclusiveMinimum"] + step for part in parts if "exclusiveMinimum" in part]
    highs = [part["maximum"] for part in parts if "maximum" in part]
    highs += [part["exclusiveMaximum"] - step for part in parts if "exclusiveMaximum" in part]
    return round_bounds(max(lows, default=None), min(highs, default=None), is_whole=is_whole)


def _find_wrong_entry(parts: FlowParts, entry: Overridable) -> tuple[str, Iterable[str], str] | None:
    """The mistake in an entry, similar names to suggest, and the words where none is similar; None where there is no
    mistake.
    """
    name, dot, key = entry.field.partition(".")
    components, kind = parts.flow.components, parts.kinds.get(name)
    if not dot:
        return f"`{entry.field}` names no field: write `Component.field`", components, ""
    if name not in components:
        return f"There is no component {name!r}", [f"{component}.{key}" for component in components], ""
    if kind is None:
        return None
    spec = components[name]
    known = [*list_types(kind), *(spec.fields if takes_variables(kind) else ())]
    field = find_type(kind, key)
    if key not in known or field is None:
        has = f"; it has {list_names(known)}"
        return f"{spec.type} has no field `{key}`", [f"{name}.{other}" for other in known], has
    if text := parts.connections.get(name, {}).get(key):
        source = " and ".join(dict.fromkeys(str(reference) for reference in text.references[:10]))
        return f"`{entry.field}` is filled by {source}: nobody can override it", (), ""
    if field.is_fixed:
        return f"`{entry.field}` is fixed in the file: callers cannot set it", (), ""
    if not (field.is_simple or field.is_json):
        return f"`{entry.field}` is {field.kind}: callers cannot set it", (), ""
    wrong = _find_wrong_bounds(field, entry)
    return (f"`{entry.field}`: {wrong}", (), "") if wrong else None


def _find_unaskable(entry: Overridable, kind: type[Component], *, message: Literal["chat", "text"]) -> str | None:
    """Why the playground cannot ask people for a field that callers may set, although its author says so."""
    name = entry.field.partition(".")[2]
    field = find_type(kind, name)
    if field is not None and field.is_secret:
        return "`ask` is not for secrets"
    if field is not None and field.is_json:
        return f"`ask` is for one text, number, switch or choice, and this is {field.kind}"
    if name == INPUT and kind.input_kind == message:
        return "it is the message itself, which people write anyway: leave out `ask`"
    return None


def _find_wrong_bounds(field: FieldType, entry: Overridable) -> str | None:
    if not field.is_number and (entry.min is not None or entry.max is not None):
        return f"`min` and `max` are for numbers, and this is {field.kind}"
    if entry.min is not None and entry.max is not None and entry.min > entry.max:
        return f"`min` {entry.min:g} is greater than `max` {entry.max:g}"
    wrong = next((choice for choice in entry.choices or () if not _can_be(field, choice)), None)
    return None if wrong is None else f"{show(wrong)} in `choices` cannot be: the field is {field.kind}"


def _can_be(field: FieldType, choice: str | float | bool) -> bool:
    if field.choices is not None:
        return choice in field.choices
    if isinstance(choice, bool):
        return field.schema.get("type") == "boolean"
    return field.is_text if isinstance(choice, str) else field.is_number


def _narrow(field: FieldType, entry: Overridable) -> tuple[float | None, float | None, Choices | None]:
    lows = [bound for bound in (field.min, entry.min) if bound is not None]
    highs = [bound for bound in (field.max, entry.max) if bound is not None]
    low, high = round_bounds(max(lows, default=None), min(highs, default=None), is_whole=field.is_whole)
    if entry.choices is None and field.choices is None:
        return low, high, None
    fitting = (
        int(choice) if field.is_whole else choice
        for choice in entry.choices or field.choices or ()
        if (field.choices is None or choice in field.choices) and _is_between(choice, low, high)
    )
    return low, high, tuple(fitting)


def _is_between(choice: str | float | bool, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return isinstance(choice, int | float) and (low is None or choice >= low) and (high is None or choice <= high)
