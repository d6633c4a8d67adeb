"""A flow's components, validated and connected. `wire` does once what no run should do again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from flowground.components import COMPONENTS
from flowground.components.base import INPUT, STORE_MESSAGE, Component
from flowground.components.io import InputComponent, input_kind, output_kind
from flowground.components.models import spread_value
from flowground.fields.callers import FlowPolicy
from flowground.fields.policy import check_overridable
from flowground.fields.types import find_type
from flowground.flow import Flow
from flowground.graph import Reference, Text, find_circles, run_order
from flowground.values import Value, ValueKind
from flowground.wiring.branches import warn_of_branches
from flowground.wiring.component import wire_component
from flowground.wiring.record_names import warn_of_record_names
from flowground.wiring.references import References
from flowground.wiring.servers import Servers as Servers
from flowground.wiring.servers import check_servers
from flowground.wiring.steps import read_fallbacks
from flowground.wiring.tested import check_tests
from flowground.wiring.tools import Tools, WiredTool, find_tool_names, list_arguments
from flowground.yaml_file.document import Problems


@dataclass(frozen=True, slots=True)
class WiredFlow:
    """Everything a run needs, worked out once; shared by all runs of this version.

    `components` are validated, their connected fields hold a placeholder. `connections` maps a component and a field
    to the text with references that fills it. `ports` are each component's outputs and their kinds. `waits_for` has
    direct dependencies only; `followers` is the same the other way round, `waits` how many they are; `begins` wait for
    none. `order` is one in which each component comes after all it waits for, the file's among equals. `outputs` are
    Chat and Text Outputs in that order, and `chat_input_id` the first Chat Input, which takes the files of a message.
    `streams_to` maps a streaming component to the Chat Outputs that show its text unchanged, `joins` such an output to
    what it joins, in order. `may_skip`: a run may leave components out. `wants` has the connected fields that take no
    text, and the kind they take; `fallbacks` what stands for a component that failed, of those that may; `shows` what
    an output shows unchanged, where that may be no text.
    `runs` has the flows that components name, `inner_flows` these and all that those run, by the names they are called
    by, as far as they are there. `version` is 12 hex digits: of the file, or of all files that a run may use.
    `tools` are those of agents; one that nothing else refers to is in no `order`.
    `policy` says who may set which field, within what; the author's, whatever a request has changed in `components`.
    """

    flow: Flow
    components: Mapping[str, Component]
    connections: Mapping[str, Mapping[str, Text]]
    display_names: Mapping[str, str]
    ports: Mapping[str, Mapping[str, ValueKind]]
    waits_for: Mapping[str, frozenset[str]]
    followers: Mapping[str, tuple[str, ...]]
    waits: Mapping[str, int]
    begins: tuple[str, ...]
    order: tuple[str, ...]
    outputs: tuple[str, ...]
    chat_input_id: str | None
    streams_to: Mapping[str, tuple[str, ...]]
    joins: Mapping[str, tuple[Reference, ...]]
    may_skip: bool
    wants: Mapping[str, Mapping[str, ValueKind]]
    fallbacks: Mapping[str, Value]
    shows: Mapping[str, tuple[Reference, ...]]
    runs: tuple[str, ...]
    tools: Mapping[str, tuple[WiredTool, ...]]
    policy: FlowPolicy
    version: str
    inner_flows: Mapping[str, "WiredFlow"] = field(default_factory=dict)

    def list_references(self, name: str) -> list[Reference]:
        """What the component's fields refer to."""
        return [reference for text in self.connections.get(name, {}).values() for reference in text.references]

    def find_port(self, reference: Reference) -> str:
        """The output that a reference means."""
        return reference.output if reference.output is not None else next(iter(self.ports[reference.component]))

    @property
    def asks_people(self) -> bool:
        """Whether an agent of it, or of a flow that it runs, may ask a person to allow a call."""
        if not self.tools and not self.inner_flows:
            return False
        flows = (self, *self.inner_flows.values())
        return any(tool.confirms for wired in flows for tools in wired.tools.values() for tool in tools)

    @property
    def shows_tools(self) -> bool:
        """Whether all who may run it see what its tools are called with and give."""
        return self.flow.chat.show_tools

    @property
    def id(self) -> str:
        return self.flow.id

    @property
    def name(self) -> str:
        return self.flow.name

    def list_models(self) -> Iterator[tuple[str, str | None]]:
        """What a run may ask, by the component that asks, those of the flows that it runs too; None: the default."""
        for wired in (self, *self.inner_flows.values()):
            for name, component in wired.components.items():
                for model in component.list_models():
                    yield name, model

    @property
    def chat_input(self) -> InputComponent | None:
        """The Chat Input, the first of several: whether people talk with the flow, or fill in a text."""
        return None if self.chat_input_id is None else cast(InputComponent, self.components[self.chat_input_id])


def keeps_messages(wired: WiredFlow, changes: Mapping[str, Mapping[str, Any]] | None = None) -> bool:
    """Whether a turn of the flow is stored, where fields of its components have other values as `changes` says."""
    for name, component in wired.components.items():
        changed = changes.get(name, {}) if changes else {}
        if not changed.get(STORE_MESSAGE, getattr(component, STORE_MESSAGE, True)):
            return False
    return True


def replace_components(wired: WiredFlow, components: Mapping[str, Component]) -> WiredFlow:
    """The flow with other components of the same ids and types in place of some; a tool writes as its own one does."""
    if not components:
        return wired
    changed = {name: one for name, one in components.items() if one != wired.components[name]}
    tools = {name: tuple(tool.renew(changed) for tool in used) for name, used in wired.tools.items()}
    return replace(wired, components={**wired.components, **components}, tools=tools)


def wire(flow: Flow, *, types: Mapping[str, type[Component]] = COMPONENTS, servers: Servers | None = None) -> WiredFlow:
    """The flow, ready to run, with `servers` if they are known. Raises FlowError with every mistake and its place."""
    problems = Problems(flow.file, flow.mistakes)
    kinds = {name: types[spec.type] for name, spec in flow.components.items() if spec.type in types}
    made = _wire_components(flow, types, problems)
    connections = {name: texts for name, (_, texts) in made.items() if texts}
    components = {name: component for name, (component, _) in made.items() if component is not None}
    refers_to = References(flow, kinds, components, problems).check_all(connections)
    used = frozenset(name for names in refers_to.values() for name in names)
    tools = Tools(flow, kinds, components, used, problems).wire()
    waits_for = _find_waits(refers_to, tools, used)
    order = _find_order(flow, waits_for, connections, problems)
    _check_outputs(flow, kinds, problems)
    check_overridable(flow, kinds, connections, problems)
    fallbacks = read_fallbacks(flow, components, connections, problems)
    check_tests(flow, components, problems)
    check_servers(flow, components, tools, servers, problems)
    if problems:
        problems.refuse()
    warn_of_branches(flow, components, connections, order, problems)
    warn_of_record_names(flow, components, connections, order, problems)
    _warn_of_unread_files(flow, components, connections, problems)
    if problems.warnings:
        flow = replace(flow, warnings=(*flow.warnings, *problems.warnings))
    ports = {name: component.list_outputs() for name, component in components.items()}
    names = {name: spec.display_name or components[name].title for name, spec in flow.components.items()}
    return WiredFlow(
        flow=flow,
        components=components,
        connections=connections,
        display_names=names,
        ports=ports,
        waits_for=waits_for,
        followers=_find_followers(waits_for),
        waits={name: len(needed) for name, needed in waits_for.items()},
        begins=tuple(name for name in order if not waits_for[name]),
        order=order,
        outputs=tuple(name for name in order if output_kind(components[name])),
        chat_input_id=next((name for name, one in components.items() if input_kind(one) == "chat"), None),
        streams_to=_find_streams(components, connections),
        joins=_find_joins(components, connections),
        may_skip=any(component.may_leave_outputs for component in components.values())
        or any(ports[name].keys() > spread_value(components[name], value).keys() for name, value in fallbacks.items()),
        wants=_find_wants(kinds, connections),
        fallbacks=fallbacks,
        shows=_find_shown_values(components, connections, ports),
        runs=tuple(dict.fromkeys(name for component in components.values() for name in component.list_flows())),
        tools=tools,
        version=flow.version,
        policy=FlowPolicy(flow, components, connections, names),
    )


def _wire_components(
    flow: Flow, types: Mapping[str, type[Component]], problems: Problems
) -> dict[str, tuple[Component | None, Mapping[str, Text]]]:
    made, tools = {}, find_tool_names(flow)
    for name, spec in flow.components.items():
        if kind := types.get(spec.type):
            arguments = list_arguments(spec, kind) if name in tools else ()
            made[name] = wire_component(spec, kind, problems, arguments)
        else:
            problems.add(
                spec.places["type"].value,
                f"There is no component type {spec.type!r}",
                value=spec.type,
                choices=types,
                suggestion=next((name for name, kind in types.items() if kind.title == spec.type), None),
                otherwise=f"; there are {', '.join(types)}",
            )
    return made


def _find_order(
    flow: Flow,
    waits_for: Mapping[str, frozenset[str]],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> tuple[str, ...]:
    order = run_order(waits_for)
    if len(order) < len(waits_for):
        _note_circles(flow, waits_for, connections, problems)
    return order


def _note_circles(
    flow: Flow,
    waits_for: Mapping[str, frozenset[str]],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> None:
    for circle in find_circles(waits_for):
        first, second = circle[0], circle[1] if len(circle) > 1 else circle[0]
        spec = flow.components[first]
        places = (
            spec.find_place(field, reference.offset)
            for field, text in connections.get(first, {}).items()
            for reference in text.references
            if reference.component == second
        )
        at = next(places, spec.position)  # a tool of an agent may be what leads back
        if len(circle) == 1:
            says = f"A tool of `{first}` refers to `{first}`" if at == spec.position else f"`{first}` refers to itself"
            problems.add(at, says, value=first)
        else:
            # Text flows from the component that is referred to, against the direction of `waits_for`.
            names = (*circle, first)[::-1]
            way = " → ".join(names if len(names) <= 20 else (*names[:19], "…", first))
            problems.add(at, f"These components feed each other in a circle: {way}", value=second)


def _find_waits(
    refers_to: Mapping[str, frozenset[str]], tools: Mapping[str, tuple[WiredTool, ...]], used: frozenset[str]
) -> dict[str, frozenset[str]]:
    """What each component of the graph waits for: an agent for all that its tools refer to, too."""
    called = {tool.component for each in tools.values() for tool in each} - used

    def find(name: str, seen: frozenset[str]) -> frozenset[str]:
        inner = (tool.component for tool in tools.get(name, ()) if tool.component not in seen)
        return refers_to[name].union(*(find(tool, seen | {tool}) for tool in inner))

    return {name: find(name, frozenset((name,))) for name in refers_to if name not in called}


def _check_outputs(flow: Flow, kinds: Mapping[str, type[Component]], problems: Problems) -> None:
    # A component of an unknown type may have been meant as the output.
    if len(kinds) == len(flow.components) and not any(output_kind(kind) for kind in kinds.values()):
        last = list(flow.components.values())[-1]
        problems.add(last.position, "The flow gives no answer: it needs a ChatOutput or a TextOutput")


def _warn_of_unread_files(
    flow: Flow,
    components: Mapping[str, Component],
    connections: Mapping[str, Mapping[str, Text]],
    problems: Problems,
) -> None:
    """Where people may send files, and nothing in the flow looks at them."""
    reads = {
        (part.component, part.output)
        for texts in connections.values()
        for text in texts.values()
        for part in text.references
    }
    for name, component in components.items():
        if flow.chat.accepts and input_kind(component) == "chat" and (name, "files") not in reads:
            says = (
                f"`chat.accepts` takes files, and nothing reads them: `files: ${{{name}.files}}` shows them to a model"
            )
            problems.warn(flow.components[name].position, says, value=name)


def _find_followers(waits_for: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    followers: dict[str, tuple[str, ...]] = {}
    for name, needed in waits_for.items():
        for before in needed:
            followers[before] = (*followers.get(before, ()), name)
    return followers


def _find_streams(
    components: Mapping[str, Component], connections: Mapping[str, Mapping[str, Text]]
) -> dict[str, tuple[str, ...]]:
    targets: dict[str, tuple[str, ...]] = {}
    for name, component in components.items():
        for reference in _list_sources(name, component, connections):
            source = components[reference.component]
            if source.streams and reference.output in (None, next(iter(source.list_outputs()))):
                targets[reference.component] = (*targets.get(reference.component, ()), name)
    return targets


def _find_joins(
    components: Mapping[str, Component], connections: Mapping[str, Mapping[str, Text]]
) -> dict[str, tuple[Reference, ...]]:
    found = {name: _list_sources(name, component, connections) for name, component in components.items()}
    return {name: sources for name, sources in found.items() if len(sources) > 1}


def _find_shown_values(
    components: Mapping[str, Component],
    connections: Mapping[str, Mapping[str, Text]],
    ports: Mapping[str, Mapping[str, ValueKind]],
) -> dict[str, tuple[Reference, ...]]:
    found = {}
    for name, component in components.items():
        text = connections.get(name, {}).get(INPUT) if output_kind(component) else None
        if text and any(_find_kind(ports, reference) != "text" for reference in text.sources):
            found[name] = text.sources
    return found


def _find_kind(ports: Mapping[str, Mapping[str, ValueKind]], reference: Reference) -> ValueKind:
    outputs = ports[reference.component]
    return outputs[next(iter(outputs)) if reference.output is None else reference.output]


def _find_wants(
    kinds: Mapping[str, type[Component]], connections: Mapping[str, Mapping[str, Text]]
) -> dict[str, dict[str, ValueKind]]:
    found: dict[str, dict[str, ValueKind]] = {}
    for name, texts in connections.items():
        types = {key: field for key in texts if (field := find_type(kinds[name], key))}
        wants: dict[str, ValueKind] = {key: field.wants for key, field in types.items() if field.wants != "text"}
        if wants:
            found[name] = wants
    return found


def _list_sources(
    name: str, component: Component, connections: Mapping[str, Mapping[str, Text]]
) -> tuple[Reference, ...]:
    """What a Chat Output shows unchanged, one after the other; nothing where one component comes twice."""
    text = connections.get(name, {}).get(INPUT)
    if output_kind(component) != "chat" or text is None:
        return ()
    is_plain = len({reference.component for reference in text.sources}) == len(text.sources)
    return text.sources if is_plain else ()
