"""What of a flow may be overridden: one entry a field, made from the components' models and the author's file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from flowground.components.base import Component
from flowground.components.facts import Facts, fact_of, facts_of
from flowground.flow import Overridable
from flowground.overrides.bounds import bounds_of, choices_of, step_of
from flowground.wiring import WiredFlow

Kind = Literal["text", "area", "integer", "number", "slider", "choice", "switch"]
_SLIDER_STEPS = 1_000
"""A slider of more whole numbers is no use under a thumb: such a field is typed."""


@dataclass(frozen=True, slots=True)
class OverrideField:
    """One field of one component, as an editor needs it.

    `value` is the author's (a connected field's is its text in the file), None where the file and the model set none;
    a secret's is always None. `default` is the model's own. `optional`: the author may leave it unset. `min`, `max`,
    `choices` are the tighter of the model's and the author's; `min` and `max` themselves are allowed values. The
    author's own value may lie outside. `locked` says in words why the field is closed, None where it is open.
    """

    component: str
    name: str
    title: str
    description: str
    kind: Kind
    value: Any
    default: Any
    optional: bool = False
    min: float | None = None
    max: float | None = None
    step: float | None = None
    choices: tuple[str | float | bool, ...] | None = None
    secret: bool = False
    locked: str | None = None

    @property
    def key(self) -> str:
        """`Component.field`, unique in a flow."""
        return f"{self.component}.{self.name}"


@dataclass(frozen=True, slots=True)
class ComponentFields:
    """A component with the fields that the caller may see, in the model's order, a Prompt's variables last."""

    id: str
    name: str
    type: str
    fields: tuple[OverrideField, ...]


def override_fields(flow: WiredFlow, *, inside: bool) -> tuple[ComponentFields, ...]:
    """The flow's fields by component, in the file's order; components without any are left out.

    `inside` False, for a caller who sees the flow from outside: the fields that the author opened in
    `api.overridable`, and no trace of another one.
    """
    listed = flow.flow.api.overridable
    opened = None if listed is None else {entry.field: entry for entry in listed}
    groups = []
    for name, component in flow.components.items():
        fields = tuple(
            _field(flow, name, facts, opened)
            for facts in _facts(component)
            if inside or f"{name}.{facts.name}" in (opened or ())
        )
        if fields:
            groups.append(ComponentFields(name, flow.display_names[name], component.type_name, fields))
    return tuple(groups)


def _facts(component: Component) -> Iterator[Facts]:
    kind = type(component)
    yield from facts_of(kind).values()
    for name in component.model_extra or ():
        if facts := fact_of(kind, name):
            yield facts


def _field(flow: WiredFlow, name: str, facts: Facts, opened: dict[str, Overridable] | None) -> OverrideField:
    entry = (opened or {}).get(f"{name}.{facts.name}")
    low, high = bounds_of(facts, entry)
    choices = choices_of(facts, entry)
    value = None if facts.secret else _value(flow, name, facts)
    return OverrideField(
        component=name,
        name=facts.name,
        title=facts.title,
        description=facts.description,
        kind=_kind(facts, value, low, high, choices),
        value=value,
        default=None if facts.secret else facts.default,
        optional=any(part.get("type") == "null" for part in facts.schema.get("anyOf", ())),
        min=low,
        max=high,
        step=step_of(facts, low, high),
        choices=choices,
        secret=facts.secret,
        locked=_locked(flow, name, facts, opened),
    )


def _value(flow: WiredFlow, name: str, facts: Facts) -> Any:
    if facts.name in flow.connections.get(name, ()):
        return flow.flow.components[name].fields[facts.name]
    return getattr(flow.components[name], facts.name)


def _kind(
    facts: Facts, value: Any, low: float | None, high: float | None, choices: tuple[str | float | bool, ...] | None
) -> Kind:
    if choices is not None:
        return "choice"
    if facts.schema.get("type") == "boolean":
        return "switch"
    if not facts.number:
        return "area" if facts.multiline else "text"
    if value is None or low is None or high is None:  # a slider has no place for "not set"
        return "integer" if facts.whole else "number"
    if low <= value <= high and not (facts.whole and high - low > _SLIDER_STEPS):
        return "slider"
    return "integer" if facts.whole else "number"


def _locked(flow: WiredFlow, name: str, facts: Facts, opened: dict[str, Overridable] | None) -> str | None:
    """The same three doors as `tweaks`, in its order, in an editor's words."""
    if text := flow.connections.get(name, {}).get(facts.name):
        sources = list(dict.fromkeys(flow.display_names[reference.component] for reference in text.references))
        return f"{sources[0]} feeds it" if len(sources) == 1 else f"{' and '.join(sources)} feed it"
    if opened is not None:
        return None if f"{name}.{facts.name}" in opened else "The author has not opened it"
    if facts.secret:
        return "Secret"
    return "Protected: only the author sets it" if facts.protected else None
