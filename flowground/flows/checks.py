"""Flows that run other flows, and warnings about flows that load but were likely meant otherwise.

`link_flow` gives a flow every flow that its runs may use, and a version that is the digest of them all. `find_doubts`
checks a linked flow. `add_warnings` checks a flow alone: names that nothing has, plain text that looks like a
reference, and models whose answer nothing uses.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from flowground.components.base import INPUT, Component
from flowground.components.connectors import SQL, PythonFunction
from flowground.components.flows import ForEach
from flowground.components.knowledge import Retrieve
from flowground.components.memory import StoreMessage
from flowground.components.template import VariablesTool
from flowground.core.errors import FlowError, Problem, RunError
from flowground.core.values import is_blank
from flowground.core.words import list_names
from flowground.core.yaml_file import Problems
from flowground.flows.wiring import WiredFlow
from flowground.tools.functions import OwnFunction

_NAME = r"([^\s.{}?$][^.{}?$\n]{0,126}?)((?:\.\w+)?)"
_DOUBLE = re.compile(rf"\$?\{{\{{ *{_NAME} *\}}\}}")
"""A reference as other tools write it: `{{ Model.text }}`, `${{ Model.text }}`."""
_SINGLE = re.compile(rf"(?<![${{]){{{_NAME}}}(?!\}})")
_WHOLE = re.compile(rf"\A\s{{0,9}}{_NAME}\s{{0,9}}\Z")
_INPUTS = {"input_value", "input_text", "message", "search_query", "system_message", "system_prompt"}
"""Fields whose whole text is rarely one word: where it is a component's id, a reference was probably meant."""
_FAILS = "a run that comes here fails"


def list_components(wired: WiredFlow, fits: Callable[[Component], bool] = lambda _: True) -> list[str]:
    """Ids of the components for which `fits` is true: the flow's own and, as `flow.Component`, those of the flows that
    it runs."""
    flows = ((wired, ""), *((inner, f"{inner.id}.") for inner in wired.inner_flows.values()))
    return [f"{prefix}{key}" for flow, prefix in flows for key, one in flow.components.items() if fits(one)]


def link_flow(wired: WiredFlow, addresses: Mapping[str, WiredFlow]) -> WiredFlow:
    """The flow, linked with those that it runs, directly or through others, as far as `addresses` has them."""
    if not wired.runs:
        return wired
    inner = _list_reached(wired.runs, lambda name: addresses.get(name.lower()))
    digest = hashlib.sha256(wired.flow.version.encode())
    for name in sorted(inner):
        digest.update(f" {name}:{inner[name].flow.version}".encode())
    return replace(wired, inner_flows=inner, version=digest.hexdigest()[:12])


def find_doubts(wired: WiredFlow, known: Iterable[str]) -> tuple[Problem, ...]:
    """Problems between a linked flow and the flows that it runs; an edit of another file may solve each of them.

    `known` are the addresses of all flows.
    """
    problems = Problems(wired.flow.file)
    with suppress(FlowError):  # no more of them are said
        for name, component in wired.components.items():
            for called in component.list_flows():
                _doubt_call(wired, name, called, known, problems)
    return (*problems.found, *problems.warnings)


def _doubt_call(wired: WiredFlow, name: str, called: str, known: Iterable[str], problems: Problems) -> None:
    component, at = wired.components[name], wired.flow.components[name].places["flow"].value
    reached = {flow.id: flow for flow in _list_reached((called,), wired.inner_flows.get).values()}
    asking = next((flow.id for flow in reached.values() if flow.asks_people), None)
    if isinstance(component, ForEach) and asking:
        says = (
            f"{component.type_name} asks nobody, and `{asking}` has a tool that a person allows: run it with a "
            "RunFlow, or say `confirm: false` at the tool"
        )
        problems.add(at, says, value=called)
    if not reached:
        problems.warn(at, f"There is no flow `{called}` yet: {_FAILS}", value=called, choices=known)
    elif wired.id in reached:
        says = f"This flow runs itself by `{called}`: a run ends at the eighth flow inside another"
        problems.warn(at, says, value=called)
    else:
        _doubt_inputs(wired, name, wired.inner_flows[called], problems)


def _doubt_inputs(wired: WiredFlow, name: str, found: WiredFlow, problems: Problems) -> None:
    component, places = wired.components[name], wired.flow.components[name].places
    given, inputs = component.model_extra or {}, [key for key, one in found.components.items() if one.input_kind]
    for key in given:
        if key not in inputs:
            says = f"The flow `{found.id}` has no input `{key}`: {_FAILS}"
            problems.warn(places[key].key, says, value=key, choices=[*inputs, *type(component).model_fields])
    for option in found.policy.required:
        is_given = option.name == INPUT and option.component in given
        if not is_given and is_blank(getattr(found.components[option.component], option.name)):
            says = f"The flow `{found.id}` needs `{option.component}`, which is not given: {_FAILS}"
            problems.warn(places["flow"].value, says, value=option.component)


class ConfigNames(NamedTuple):
    """Names in config.yaml that flows may use: knowledge, databases and functions. `find_function` raises RunError."""

    knowledge: Collection[str]
    databases: Collection[str]
    find_function: Callable[[str], OwnFunction]


def add_warnings(wired: WiredFlow, names: ConfigNames | None) -> WiredFlow:
    """The flow with warnings about its components; unknown names are looked for only if `names` are known."""
    problems = Problems(wired.flow.file)
    _warn_of_plain_text(wired, problems)
    _warn_of_unused_models(wired, problems)
    if names:
        _warn_of_names(wired, names, problems)
    return replace(wired, flow=replace(wired.flow, warnings=(*wired.flow.warnings, *problems.warnings)))


def _list_reached(called: Iterable[str], find: Callable[[str], WiredFlow | None]) -> dict[str, WiredFlow]:
    """The flows that calls of these may run, by the names that they are called by, as far as `find` finds them."""
    reached: dict[str, WiredFlow] = {}
    wanted = [*called]
    while wanted:
        name = wanted.pop()
        if name not in reached and (found := find(name)):
            reached[name] = found
            wanted += found.runs
    return reached


def _warn_of_plain_text(wired: WiredFlow, problems: Problems) -> None:
    """Warns of components that are referred to as other tools write it; templates are skipped: they have
    `{variables}`."""
    ids = {name.casefold(): name for name in wired.components}
    for name, component in wired.components.items():
        spec, fields = wired.flow.components[name], wired.policy.fields[name]
        variables = component.list_variables(spec.fields) if isinstance(component, VariablesTool) else ()
        taken = {name, *variables, *spec.fields}
        for key, value in spec.fields.items():
            field = fields[key].type
            if not isinstance(value, str) or field.is_template or not field.takes_references:
                continue
            tried = (_DOUBLE, _SINGLE, *([_WHOLE] if key in _INPUTS and component.input_kind is None else []))
            for found in (found for pattern in tried for found in pattern.finditer(value)):
                meant = ids.get(found[1].casefold())
                if meant and meant not in taken and (found.re is not _WHOLE or found[1] == meant):
                    port = found[2] if found[2][1:] in wired.ports[meant] else ""
                    says = f"`{found[0]}` is plain text here: a reference to the component is `${{{meant}{port}}}`"
                    problems.warn(spec.places[key].find_position(value, found.start()), says, value=found[0])


def _warn_of_unused_models(wired: WiredFlow, problems: Problems) -> None:
    """Warns of components that ask a model, which costs money, while nothing uses the answer."""
    used, wanted = set[str](), [name for name in wired.order if _does_something(wired, name)]
    while wanted:
        name = wanted.pop()
        if name not in used:
            used.add(name)
            wanted += wired.waits_for[name]
    for name in wired.order:
        if name not in used and wired.components[name].list_models():
            says = f"`{name}` asks a model in every run, and nothing uses what it says"
            problems.warn(wired.flow.components[name].position, says, value=name)


def _does_something(wired: WiredFlow, name: str) -> bool:
    one = wired.components[name]
    return name in wired.tools or bool(one.output_kind or one.writes or one.list_flows()) or type(one) is StoreMessage


def _warn_of_names(wired: WiredFlow, names: ConfigNames, problems: Problems) -> None:
    """Warns of names that config.yaml lacks: a warning only, because another config.yaml may have them."""
    places: tuple[tuple[type[Component], str, Collection[str], str], ...] = (
        (Retrieve, "knowledge", [*wired.flow.knowledge, *names.knowledge], "here or in config.yaml"),
        (SQL, "database", names.databases, "in config.yaml"),
    )
    for name, component in wired.components.items():
        for kind, field, known, where in places:
            if isinstance(component, kind) and (word := getattr(component, field)) not in known:
                at = wired.flow.components[name].places[field].value
                problems.warn(at, f"There is no {field} `{word}` {where}: {_FAILS}", value=word, choices=known)
        if isinstance(component, PythonFunction):
            _warn_of_function(wired, name, component, names.find_function, problems)


def _warn_of_function(
    wired: WiredFlow, name: str, own: PythonFunction, find: Callable[[str], OwnFunction], problems: Problems
) -> None:
    spec, function = wired.flow.components[name], own.function
    try:
        parameters = find(function).parameters
    except RunError as error:
        says = f"{error.message.removesuffix('.')}: {_FAILS}"
        problems.warn(spec.places["function"].value, says, value=function)
        return
    known, given = parameters.get("properties", {}), {**own.arguments, **(own.model_extra or {})}
    for key in given:
        if key not in known:
            place = spec.places[key].key if key in spec.places else spec.places["arguments"].value
            problems.warn(place, f"`{function}` has no argument `{key}`: {_FAILS}", value=key, choices=known)
    missing = [key for key in parameters["required"] if key not in given]
    if missing and name in wired.order and "arguments" not in wired.connections.get(name, ()):
        says = f"`{function}` needs {list_names(f'`{key}`' for key in missing)}: {_FAILS}"
        problems.warn(spec.position, says, value=name)
