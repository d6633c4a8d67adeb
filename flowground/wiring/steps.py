"""What stands for a component that fails, where its `step:` lets the run go on."""

from collections.abc import Mapping
from typing import Any

from flowground.components.base import Component
from flowground.components.models import spread_value
from flowground.errors import RunError
from flowground.flow import Flow
from flowground.graph import Reference, Text
from flowground.values import Value, ValueKind, convert, explain_no_way
from flowground.words import show
from flowground.yaml_file.document import Problems

_EMPTY: Mapping[ValueKind, Value] = {"text": "", "data": None, "records": (), "files": ()}
_WORDS: Mapping[ValueKind, str] = {
    "text": "text",
    "data": "a value",
    "records": "a list of mappings",
    "files": "a file",
}


def read_fallbacks(
    flow: Flow,
    components: Mapping[str, Component],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> dict[str, Value]:
    """By component, of those without which the run goes on where they fail; notes a `step:` that cannot be.

    `components` are those without mistakes.
    """
    read = {
        name: _read_fallback(flow, name, component, problems)
        for name, component in components.items()
        if flow.components[name].step.model_fields_set & {"on_error", "fallback"}
    }
    found = {name: value for name, value in read.items() if flow.components[name].step.goes_on}
    texts = (text for fields in connections.values() for text in fields.values())
    needed = {(part.component, part.output): part for text in texts for part in text.references if not part.is_optional}
    for (name, port), reference in needed.items():
        if name in found and port:
            _warn_of_gap(flow, reference, spread_value(components[name], found[name]), problems)
    return found


def _warn_of_gap(flow: Flow, reference: Reference, given: Mapping[str, Value], problems: Problems) -> None:
    """Warns where what a reference leads to is not there when its component has failed."""
    spec = flow.components[reference.component]
    if reference.output not in given:
        place = spec.places.get("step.fallback") or spec.places["step.on_error"]
        says = f"The fallback of `{spec.id}` has no `{reference.output}`: what refers to it is skipped then"
        problems.warn(place.key, says, value=reference.output)


def _read_fallback(flow: Flow, name: str, component: Component, problems: Problems) -> Value:
    spec = flow.components[name]
    kind = next(iter(component.list_outputs().values()))
    if not component.calls_out:
        key = "on_error" if "on_error" in spec.step.model_fields_set else "fallback"
        says = f"`step.{key}` is for components that ask somebody else, and {spec.type} does not"
        problems.add(spec.places[f"step.{key}"].key, says)
        return None
    if spec.step.fallback is None:
        return _EMPTY[kind]
    place = spec.places["step.fallback"]
    if not spec.step.goes_on:
        problems.add(place.key, "`step.fallback` has a meaning with `on_error: continue` only")
    given = spec.step.fallback
    if isinstance(given, str) and "${" in given:
        problems.add(place.value, "`step.fallback` is written in the file: no reference can fill it", value=given)
    try:
        return _convert(given, kind)
    except RunError:
        says = f"`step.fallback` of {spec.type} is {_WORDS[kind]}, not {show(given)}"
        problems.add(place.value, says, value=given if isinstance(given, str) else None)
        return _EMPTY[kind]


def _convert(given: Any, kind: ValueKind) -> Value:
    """What a file says, as a value of this kind. Raises RunError where it is none."""
    source: ValueKind = "text" if isinstance(given, str) else "data"
    if source == kind or (source == "text" and kind == "data"):
        return given
    if kind == "text" or explain_no_way(source, kind):
        raise RunError("Another kind of value is wanted.")
    return convert(given, source, kind)
