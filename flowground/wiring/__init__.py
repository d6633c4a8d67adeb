"""A flow file's components, validated and connected. `wire` does once what no run should do again."""

from collections.abc import Mapping

from flowground.components import COMPONENTS
from flowground.components.base import INPUT, Component
from flowground.fields.callers import FlowPolicy
from flowground.flow import Flow
from flowground.graph import Reference, Text, cycles, run_order
from flowground.wiring.component import Wired, wire_component
from flowground.wiring.flow import WiredFlow, replace_components
from flowground.wiring.overridable import check_overridable
from flowground.yaml_file.document import Position, Problems

__all__ = ["WiredFlow", "replace_components", "wire"]


def wire(flow: Flow, *, types: Mapping[str, type[Component]] = COMPONENTS) -> WiredFlow:
    """The flow, ready to run. Raises FlowError with every mistake and its place."""
    problems = Problems(flow.file)
    wired = _components(flow, types, problems)
    connections = {name: one.connections for name, one in wired.items() if one.connections}
    waits_for = {
        name: frozenset(
            reference.component
            for field, text in connections.get(name, {}).items()
            for reference in text.references
            if _known(flow, types, name, field, reference, problems)
        )
        for name in flow.components
    }
    _check_circles(flow, waits_for, connections, problems)
    _check_outputs(flow, types, problems)
    check_overridable(flow, types, connections, problems)
    if problems:
        problems.refuse()
    components = {name: one.component for name, one in wired.items() if one.component is not None}
    order = run_order(waits_for)
    names = {name: spec.display_name or components[name].title for name, spec in flow.components.items()}
    return WiredFlow(
        flow=flow,
        components=components,
        connections=connections,
        display_names=names,
        waits_for=waits_for,
        order=order,
        outputs=tuple(name for name in order if components[name].gives_output),
        streams_to=_streams(components, connections),
        policy=FlowPolicy(flow, components, connections, names),
    )


def _components(flow: Flow, types: Mapping[str, type[Component]], problems: Problems) -> dict[str, Wired]:
    wired = {}
    for name, spec in flow.components.items():
        if kind := types.get(spec.type):
            wired[name] = wire_component(spec, kind, problems)
        else:
            problems.add(
                spec.places["type"].value,
                f"There is no component type {spec.type!r}",
                value=spec.type,
                choices=types,
                otherwise=f"; there are {', '.join(types)}",
            )
    return wired


def _known(
    flow: Flow,
    types: Mapping[str, type[Component]],
    name: str,
    field: str,
    reference: Reference,
    problems: Problems,
) -> bool:
    """Whether a reference names a component and one of its outputs; notes it where not."""
    spec = flow.components[name]

    def at() -> Position:  # worked out for a mistake only: it counts lines from the field's beginning
        return spec.places[field].at(spec.fields[field], reference.offset)

    target = flow.components.get(reference.component)
    if target is None:
        problems.add(
            at(),
            f"`{reference}` names no component of this flow",
            value=reference.component,
            choices=flow.components,
            otherwise="; a plain `${` is written `$${`",
        )
        return False
    kind = types.get(target.type)
    if kind and reference.output is not None and reference.output not in kind.outputs:
        problems.add(
            at(),
            f"`{reference.component}` ({target.type}) has no output {reference.output!r}",
            value=reference.output,
            choices=kind.outputs,
            otherwise=f"; it has {', '.join(kind.outputs)}",
        )
    return True


def _check_circles(
    flow: Flow,
    waits_for: Mapping[str, frozenset[str]],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> None:
    for circle in cycles(waits_for):
        first, second = circle[0], circle[1] if len(circle) > 1 else circle[0]
        spec = flow.components[first]
        at = next(
            spec.places[field].at(spec.fields[field], reference.offset)
            for field, text in connections[first].items()
            for reference in text.references
            if reference.component == second
        )
        if len(circle) == 1:
            problems.add(at, f"`{first}` refers to itself", value=first)
        else:
            # A component waits for the one it refers to: read backwards, the circle is the way of the text.
            names = (*circle, first)[::-1]
            way = " → ".join(names if len(names) <= 20 else (*names[:19], "…", first))
            problems.add(at, f"These components feed each other in a circle: {way}", value=second)


def _check_outputs(flow: Flow, types: Mapping[str, type[Component]], problems: Problems) -> None:
    kinds = [types.get(spec.type) for spec in flow.components.values()]
    if not any(kind is None or kind.gives_output for kind in kinds):
        last = list(flow.components.values())[-1]
        problems.add(last.position, "The flow gives no answer: it needs a ChatOutput or a TextOutput")


def _streams(
    components: Mapping[str, Component], connections: Mapping[str, Mapping[str, Text]]
) -> dict[str, tuple[str, ...]]:
    targets: dict[str, list[str]] = {}
    for name, component in components.items():
        text = connections.get(name, {}).get(INPUT)
        if component.gives_output == "chat" and text is not None and text.source and components[text.source].streams:
            targets.setdefault(text.source, []).append(name)
    return {name: tuple(outputs) for name, outputs in targets.items()}
