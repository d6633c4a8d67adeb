"""What stands for a component that fails, where its `step:` lets the run go on."""

from collections.abc import Mapping
from typing import Any

from flowground.components.base import Component
from flowground.errors import RunError
from flowground.flow import Flow
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


def read_fallbacks(flow: Flow, components: Mapping[str, Component], problems: Problems) -> dict[str, Value]:
    """By component; notes a `step:` that cannot be. `components` are those without mistakes."""
    return {
        name: _read_fallback(flow, name, component, problems)
        for name, component in components.items()
        if flow.components[name].step.model_fields_set & {"on_error", "fallback"}
    }


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
