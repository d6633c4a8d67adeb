"""`{variables}` in texts anywhere inside a value, each a field of its component: given by its file, or by a model."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from flowground.components.arguments import build_schema
from flowground.components.base import Component, Mistake
from flowground.components.template import Variable, parse_template
from flowground.words import Schema

_TAKEN = ("type", "display_name", "step")


def list_names(value: Any) -> Iterator[str]:
    """The names of all variables in the texts of a value, repeated ones too."""
    if isinstance(value, str):
        yield from parse_template(value).names
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from list_names(inner)


def describe_all(kind: type[Component], texts: Iterable[Any], said: Any, otherwise: str) -> Mapping[str, Schema]:
    """What a model is told of each variable of these values, as `Component.list_variables` gives it.

    `said` is the component's field `arguments`, right or wrong; `otherwise` is about a variable that it leaves out, as
    in `{} of the query.`.
    """
    says = said if isinstance(said, dict) else {}
    names = (name for text in texts for name in list_names(text) if name not in kind.model_fields)
    return {name: build_schema(says.get(name), otherwise.format(f"`{name}`")) for name in names}


def fill(
    value: Any,
    values: Mapping[str, str],
    escape: Callable[[str], str] = str,
    *,
    whole: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """The value with its variables filled in. A text that is one variable of `whole` alone is its value there."""
    if isinstance(value, str):
        template = parse_template(value)
        if len(template.parts) == 1 and isinstance(only := template.parts[0], Variable) and only.name in whole:
            return whole[only.name]
        return template.fill({name: escape(text) for name, text in values.items()})
    if isinstance(value, dict):
        return {key: fill(inner, values, whole=whole) for key, inner in value.items()}
    return [fill(inner, values, whole=whole) for inner in value] if isinstance(value, list) else value


def find_mistakes(component: Component, fields: Mapping[str, Any], given: Container[str]) -> Iterator[Mistake]:
    """Variables of these fields that nobody gives, or that cannot be; and what was given and is none."""
    known = {name: field for field, value in fields.items() for name in list_names(value)}
    declared = type(component).model_fields
    for name, field in known.items():
        if name in _TAKEN or name in declared:
            yield Mistake(field, f"`{{{name}}}` cannot be a variable: `{name}` is a field of this component.")
        elif name not in given:
            says = f"Nobody gives the variable `{{{name}}}`: give `{name}: …` beside it, or let an agent call this."
            yield Mistake(field, says, missing=name)
    for name in component.model_extra or ():
        if name not in known:
            yield Mistake(name, f"`{name}` is no field and no variable here.", choices=(*known, *declared))
