"""A flow's components, validated and connected. `wire` does once what no run should do again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowground.components import COMPONENTS
from flowground.components.base import INPUT, STORE_MESSAGE, Component
from flowground.fields.callers import FlowPolicy
from flowground.fields.policy import check_overridable
from flowground.flow import Flow
from flowground.graph import Reference, Text, find_circles, run_order
from flowground.wiring.component import wire_component
from flowground.yaml_file.document import Problems


@dataclass(frozen=True, slots=True)
class WiredFlow:
    """Everything a run needs, worked out once; shared by all runs of this version.

    `components` are validated, their connected fields hold a placeholder. `connections` maps a component and a field
    to the text with references that fills it. `waits_for` has direct dependencies only. `order` is one in which each
    component comes after all it waits for, the file's among equals. `outputs` are Chat and Text Outputs in that order.
    `streams_to` maps a streaming component to the Chat Outputs that show its text unchanged. `policy` says who may set
    which field, within what; the author's, whatever a request has changed in `components`.
    """

    flow: Flow
    components: Mapping[str, Component]
    connections: Mapping[str, Mapping[str, Text]]
    display_names: Mapping[str, str]
    waits_for: Mapping[str, frozenset[str]]
    order: tuple[str, ...]
    outputs: tuple[str, ...]
    streams_to: Mapping[str, tuple[str, ...]]
    policy: FlowPolicy

    @property
    def id(self) -> str:
        return self.flow.id

    @property
    def name(self) -> str:
        return self.flow.name

    @property
    def version(self) -> str:
        return self.flow.version

    @property
    def chat_input(self) -> Component | None:
        """The Chat Input, the first of several: whether people talk with the flow, or fill in a text."""
        return next((component for component in self.components.values() if component.takes_input == "chat"), None)


def keeps_messages(wired: WiredFlow, changes: Mapping[str, Mapping[str, Any]] | None = None) -> bool:
    """Whether a turn of the flow is stored, where fields of its components have other values as `changes` says."""
    for name, component in wired.components.items():
        changed = changes.get(name, {}) if changes else {}
        if not changed.get(STORE_MESSAGE, component.keeps_messages):
            return False
    return True


def replace_components(wired: WiredFlow, components: Mapping[str, Component]) -> WiredFlow:
    """The flow with other components of the same ids and types in place of some."""
    return replace(wired, components={**wired.components, **components}) if components else wired


def wire(flow: Flow, *, types: Mapping[str, type[Component]] = COMPONENTS) -> WiredFlow:
    """The flow, ready to run. Raises FlowError with every mistake and its place."""
    problems = Problems(flow.file)
    kinds = {name: types[spec.type] for name, spec in flow.components.items() if spec.type in types}
    made = _wire_components(flow, types, problems)
    connections = {name: texts for name, (_, texts) in made.items() if texts}
    waits_for = {
        name: frozenset(
            reference.component
            for field, text in connections.get(name, {}).items()
            for reference in text.references
            if _check_reference(flow, kinds, name, field, reference, problems)
        )
        for name in flow.components
    }
    order = run_order(waits_for)
    if len(order) < len(waits_for):
        _note_circles(flow, waits_for, connections, problems)
    _check_outputs(flow, kinds, problems)
    check_overridable(flow, kinds, connections, problems)
    if problems:
        problems.refuse()
    components = {name: component for name, (component, _) in made.items() if component is not None}
    names = {name: spec.display_name or components[name].title for name, spec in flow.components.items()}
    return WiredFlow(
        flow=flow,
        components=components,
        connections=connections,
        display_names=names,
        waits_for=waits_for,
        order=order,
        outputs=tuple(name for name in order if components[name].gives_output),
        streams_to=_find_streams(components, connections),
        policy=FlowPolicy(flow, components, connections, names),
    )


def _wire_components(
    flow: Flow, types: Mapping[str, type[Component]], problems: Problems
) -> dict[str, tuple[Component | None, Mapping[str, Text]]]:
    made = {}
    for name, spec in flow.components.items():
        if kind := types.get(spec.type):
            made[name] = wire_component(spec, kind, problems)
        else:
            problems.add(
                spec.places["type"].value,
                f"There is no component type {spec.type!r}",
                value=spec.type,
                choices=types,
                otherwise=f"; there are {', '.join(types)}",
            )
    return made


def _check_reference(
    flow: Flow, kinds: Mapping[str, type[Component]], name: str, field: str, reference: Reference, problems: Problems
) -> bool:
    """Whether a reference names a component; notes where it names none, or none of its outputs."""
    target, kind = flow.components.get(reference.component), kinds.get(reference.component)
    if target is None:
        says, word = f"`{reference}` names no component of this flow", reference.component
        choices, otherwise = tuple(flow.components), "; a plain `${` is written `$${`"
    elif kind and reference.output is not None and reference.output not in kind.outputs:
        says, word = f"`{reference.component}` ({target.type}) has no output {reference.output!r}", reference.output
        choices, otherwise = kind.outputs, f"; it has {', '.join(kind.outputs)}"
    else:
        return True
    spec = flow.components[name]
    at = spec.places[field].find_position(spec.fields[field], reference.offset)
    problems.add(at, says, value=word, choices=choices, otherwise=otherwise)
    return target is not None


def _note_circles(
    flow: Flow,
    waits_for: Mapping[str, frozenset[str]],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> None:
    for circle in find_circles(waits_for):
        first, second = circle[0], circle[1] if len(circle) > 1 else circle[0]
        spec = flow.components[first]
        at = next(
            spec.places[field].find_position(spec.fields[field], reference.offset)
            for field, text in connections[first].items()
            for reference in text.references
            if reference.component == second
        )
        if len(circle) == 1:
            problems.add(at, f"`{first}` refers to itself", value=first)
        else:
            # Text flows from the component that is referred to, against the direction of `waits_for`.
            names = (*circle, first)[::-1]
            way = " → ".join(names if len(names) <= 20 else (*names[:19], "…", first))
            problems.add(at, f"These components feed each other in a circle: {way}", value=second)


def _check_outputs(flow: Flow, kinds: Mapping[str, type[Component]], problems: Problems) -> None:
    # A component of an unknown type may have been meant as the output.
    if len(kinds) == len(flow.components) and not any(kind.gives_output for kind in kinds.values()):
        last = list(flow.components.values())[-1]
        problems.add(last.position, "The flow gives no answer: it needs a ChatOutput or a TextOutput")


def _find_streams(
    components: Mapping[str, Component], connections: Mapping[str, Mapping[str, Text]]
) -> dict[str, tuple[str, ...]]:
    targets: dict[str, tuple[str, ...]] = {}
    for name, component in components.items():
        text = connections.get(name, {}).get(INPUT)
        if component.gives_output == "chat" and text is not None and text.source and components[text.source].streams:
            targets[text.source] = (*targets.get(text.source, ()), name)
    return targets
