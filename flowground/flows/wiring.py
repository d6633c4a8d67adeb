"""Validates and connects the components of a flow: `wire` does once what no run should repeat.

It also finds what likely is a mistake although the flow loads: branches that never run or always do. And it reads the
fallbacks of components that may fail without ending the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from flowground.components import COMPONENTS
from flowground.components.base import INPUT, STORE_MESSAGE, Component
from flowground.components.models import spread_value
from flowground.core.caller import InputType, OutputType
from flowground.core.errors import RunError
from flowground.core.values import Value, ValueKind, convert, explain_mismatch
from flowground.core.words import show
from flowground.core.yaml_file import Problems
from flowground.flows.field_values import FlowPolicy
from flowground.flows.fields import check_overridable, find_type
from flowground.flows.flow import WHEN, ComponentSpec, Flow
from flowground.flows.graph import FlowParts, Reference, Text, find_circle, run_order
from flowground.flows.tested import check_tests
from flowground.flows.tools import Tools, WiredTool, find_tool_names, list_arguments
from flowground.flows.wired_component import Servers as Servers
from flowground.flows.wired_component import check_servers, wire_component

_Port = tuple[str, str]
"""A component that gives only some of its outputs, and one of those outputs."""
_EMPTY: Mapping[ValueKind, Value] = {"text": "", "data": None, "records": (), "files": ()}
_WORDS: Mapping[ValueKind, str] = {
    "text": "text",
    "data": "a value",
    "records": "a list of mappings",
    "files": "a file",
}


@dataclass(frozen=True, slots=True)
class WiredFlow:
    """Everything a run needs, worked out once and shared by all runs of this version.

    `components` are validated; their connected fields hold a placeholder. `connections` maps a component and a field to
    the text with references that fills it. `ports` are each component's outputs and their kinds. `waits_for` has direct
    dependencies only; `followers` is its inverse, `waits` the number of dependencies; `begins` are components without
    any. In `order` each component comes after all it waits for, among equals in the file's order. `outputs` are Chat
    and Text Outputs in that order, `chat_input_id` is the first Chat Input, which takes the files of a message; None
    where people fill in a text instead of chatting. `streams_to` maps a streaming component to the Chat Outputs that
    show its text unchanged, `joins` maps such an output to the references it joins, in order. `may_skip`: a run may
    leave components out. `wants` has the connected fields that take no text, and the kind they take; `fallbacks` the
    values of components that may fail; `shows` the references that an output shows unchanged, where these may be no
    text.

    `runs` are the flows that components name; `inner_flows` are these and all that they run in turn, by the names they
    are called by, as far as they are loaded. `version` is 12 hex digits: of the file, or of all files that a run may
    use. `tools` are those of agents; a tool that nothing refers to is not in `order`. `policy` decides who may set
    which field, by the author's values, whatever a request has changed in `components`.
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
        """The references in the component's fields."""
        return [reference for text in self.connections.get(name, {}).values() for reference in text.references]

    def find_port(self, reference: Reference) -> str:
        """The output that a reference means: the first one where it names none."""
        return reference.output if reference.output is not None else next(iter(self.ports[reference.component]))

    @property
    def asks_people(self) -> bool:
        """Whether an agent of this flow, or of a flow that it runs, may ask a person to allow a call."""
        flows = (self, *self.inner_flows.values())
        return any(tool.confirms for wired in flows for tools in wired.tools.values() for tool in tools)

    @property
    def shows_tools(self) -> bool:
        """Whether everybody who may run the flow sees the arguments and results of its tools."""
        return self.flow.chat.show_tools

    @property
    def id(self) -> str:
        return self.flow.id

    @property
    def name(self) -> str:
        return self.flow.name

    def list_models(self) -> Iterator[tuple[str, str | None]]:
        """Pairs of a component and a model that it may ask, including the flows that are run; None is the default
        model.
        """
        for wired in (self, *self.inner_flows.values()):
            for name, component in wired.components.items():
                for model in component.list_models():
                    yield name, model


def keeps_messages(wired: WiredFlow, changes: Mapping[str, Mapping[str, Any]] | None = None) -> bool:
    """Whether the messages of a turn are stored, when the fields in `changes` have those values."""
    changed = changes or {}
    return all(
        changed.get(name, {}).get(STORE_MESSAGE, getattr(component, STORE_MESSAGE, True))
        for name, component in wired.components.items()
    )


def replace_components(wired: WiredFlow, components: Mapping[str, Component]) -> WiredFlow:
    """The flow with some components replaced by others of the same ids and types; `writes` of tools follows them."""
    if not components:
        return wired
    changed = {name: one for name, one in components.items() if one != wired.components[name]}
    tools = {name: tuple(tool.renew(changed) for tool in used) for name, used in wired.tools.items()}
    return replace(wired, components={**wired.components, **components}, tools=tools)


def wire(flow: Flow, *, types: Mapping[str, type[Component]] = COMPONENTS, servers: Servers | None = None) -> WiredFlow:
    """The flow, ready to run; MCP servers are checked where `servers` are known. Raises FlowError with every mistake
    and its position.
    """
    problems = Problems(flow.file, flow.mistakes)
    kinds = {name: types[spec.type] for name, spec in flow.components.items() if spec.type in types}
    made = _wire_components(flow, types, problems)
    connections = {name: texts for name, (_, texts) in made.items() if texts}
    components = {name: component for name, (component, _) in made.items() if component is not None}
    parts = FlowParts(flow, kinds, components, connections, problems)
    refers_to = _check_references(parts)
    used = frozenset(name for names in refers_to.values() for name in names)
    tools = Tools(parts, used).wire()
    waits_for = _find_waits(refers_to, tools, used)
    order = run_order(waits_for)
    if len(order) < len(waits_for):
        _note_circle(parts, waits_for)
    _check_outputs(parts)
    check_overridable(parts)
    fallbacks = _read_fallbacks(parts)
    check_tests(parts)
    check_servers(parts, tools, servers)
    if problems:
        problems.refuse()
    _Branches(parts).check_all(order)
    _warn_of_unread_files(parts)
    if problems.warnings:
        flow = replace(flow, warnings=(*flow.warnings, *problems.warnings))
    ports = {name: component.list_outputs() for name, component in components.items()}
    names = {name: spec.display_name or components[name].title for name, spec in flow.components.items()}
    outputs = {name: _list_shown(parts, name) for name in order if components[name].output_kind}
    plain = {name: shown for name, shown in outputs.items() if _shows_unchanged(components[name], shown)}
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
        outputs=tuple(outputs),
        chat_input_id=next((name for name, one in components.items() if one.input_kind == "chat"), None),
        streams_to=_find_streams(parts, plain),
        joins={name: shown for name, shown in plain.items() if len(shown) > 1},
        may_skip=any(component.may_leave_outputs for component in components.values())
        or any(ports[name].keys() > spread_value(components[name], value).keys() for name, value in fallbacks.items()),
        wants=_find_wants(parts),
        fallbacks=fallbacks,
        shows={name: shown for name, shown in outputs.items() if any(_is_value(ports, one) for one in shown)},
        runs=tuple(dict.fromkeys(name for component in components.values() for name in component.list_flows())),
        tools=tools,
        version=flow.version,
        policy=FlowPolicy(parts, names),
    )


def find_types(wired: WiredFlow) -> tuple[InputType, OutputType]:
    """`input_type` and `output_type` of a call to this flow: "text" where it has only such a component, else "chat"."""
    takes = {item.input_kind for item in wired.components.values()}
    gives = {item.output_kind for item in wired.components.values()}
    return (
        "text" if "text" in takes and "chat" not in takes else "chat",
        "text" if "text" in gives and "chat" not in gives else "chat",
    )


def split_references(texts: Mapping[str, Text]) -> tuple[Sequence[Reference], Sequence[Reference]]:
    """The references in a component's fields, and those in its `step.when`: the component runs where both allow it."""
    when = texts.get(WHEN)
    fields = [part for field, text in texts.items() if field != WHEN for part in text.references]
    return fields, when.references if when else ()


@dataclass(slots=True)
class _Branches:
    """Warns of a component that can never run, and of one that always runs and is joined with others that may not."""

    parts: FlowParts
    _needs: dict[str, frozenset[_Port]] = field(default_factory=dict)
    """The ports without which each checked component does not run."""
    _may_skip: set[str] = field(default_factory=set)

    def check_all(self, order: Sequence[str]) -> None:
        """Checks the components, in an order where each follows all that it refers to."""
        for name in order:
            self._check(name)

    def _check(self, name: str) -> None:
        texts = self.parts.connections.get(name, {})
        groups = split_references(texts)
        needed = [reference for group in groups for reference in group if not reference.is_optional]
        needs = frozenset(port for reference in needed for port in self._list_needs(reference))
        others = {component for component, _ in needs}
        if len(others) < len(needs):
            self._warn_never(name, needs)
        if needs or any(map(self._may_skip_by, groups)):
            self._may_skip.add(name)
        self._needs[name] = needs
        for key, text in texts.items():
            if len(text.sources) > 1 and key != WHEN:
                self._check_join(name, key, text)

    def _list_needs(self, reference: Reference) -> Iterator[_Port]:
        yield from self._needs.get(reference.component, ())
        if self.parts.components[reference.component].branches and reference.output:
            yield reference.component, reference.output

    def _may_skip_by(self, references: Sequence[Reference]) -> bool:
        """Whether a component may be skipped because of these references."""
        needed = [reference for reference in references if not reference.is_optional]
        if needed:
            return any(map(self._may_leave, needed))
        return bool(references) and all(map(self._may_leave, references))

    def _may_leave(self, reference: Reference) -> bool:
        source = self.parts.components[reference.component]
        return source.may_leave_outputs or reference.component in self._may_skip

    def _check_join(self, name: str, key: str, text: Text) -> None:
        left = [reference for reference in text.sources if self._may_leave(reference)]
        if left and len(left) < len(text.sources):
            always = next(reference for reference in text.sources if reference not in left)
            says = (
                f"`{always.component}` runs always, since it refers to nothing that may be skipped: its text stands in "
                f"`{key}` beside that of the branch. A fixed text of a branch has `step: {{when: …}}`"
            )
            spec = self.parts.flow.components[name]
            self.parts.problems.warn(spec.find_place(key, always.offset), says, value=key)

    def _warn_never(self, name: str, needs: frozenset[_Port]) -> None:
        first = next(component for component, _ in sorted(needs) if sum(component == other for other, _ in needs) > 1)
        ports = " and ".join(f"`${{{component}.{port}}}`" for component, port in sorted(needs) if component == first)
        says = f"`{name}` never runs: it needs {ports}, of which only one is given. Optional references end with `?`"
        self.parts.problems.warn(self.parts.flow.components[name].position, says, value=name)


def _read_fallbacks(parts: FlowParts) -> dict[str, Value]:
    """The fallback values of components whose failure does not end the run; notes wrong entries in `step:`."""
    specs = {name: parts.flow.components[name] for name in parts.components}
    read = {
        name: _read_fallback(spec, parts.components[name], parts.problems)
        for name, spec in specs.items()
        if spec.step.model_fields_set & {"on_error", "fallback"}
    }
    return {name: value for name, value in read.items() if specs[name].step.goes_on}


def _read_fallback(spec: ComponentSpec, component: Component, problems: Problems) -> Value:
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
    fallback = spec.step.fallback
    if isinstance(fallback, str) and "${" in fallback:
        problems.add(place.value, "`step.fallback` is written in the file: no reference can fill it", value=fallback)
    if kind == "data" or (kind == "text" and isinstance(fallback, str)):
        return fallback
    with suppress(RunError):
        if kind == "records":
            return convert(fallback, "text" if isinstance(fallback, str) else "data", kind)
    says = f"`step.fallback` of {spec.type} is {_WORDS[kind]}, not {show(fallback)}"
    problems.add(place.value, says, value=fallback if isinstance(fallback, str) else None)
    return _EMPTY[kind]


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


def _note_circle(parts: FlowParts, waits_for: Mapping[str, frozenset[str]]) -> None:
    circle = find_circle(waits_for)
    first, second = circle[0], circle[1] if len(circle) > 1 else circle[0]
    spec, problems = parts.flow.components[first], parts.problems
    places = (
        spec.find_place(field, reference.offset)
        for field, text in parts.connections.get(first, {}).items()
        for reference in text.references
        if reference.component == second
    )
    at = next(places, spec.position)  # a circle may lead through a tool of an agent
    if len(circle) == 1:
        says = f"A tool of `{first}` refers to `{first}`" if at == spec.position else f"`{first}` refers to itself"
        problems.add(at, says, value=first)
    else:
        # Text flows from the component that is referred to, against the direction of `waits_for`.
        names = (*circle, first)[::-1]
        path = " → ".join(names if len(names) <= 20 else (*names[:19], "…", first))
        problems.add(at, f"These components feed each other in a circle: {path}", value=second)


def _find_waits(
    refers_to: Mapping[str, frozenset[str]], tools: Mapping[str, tuple[WiredTool, ...]], used: frozenset[str]
) -> dict[str, frozenset[str]]:
    """What each component of the graph waits for: an agent also waits for all that its tools refer to."""
    called = {tool.component for each in tools.values() for tool in each} - used

    def find(name: str, seen: frozenset[str]) -> frozenset[str]:
        inner = (tool.component for tool in tools.get(name, ()) if tool.component not in seen)
        return refers_to[name].union(*(find(tool, seen | {tool}) for tool in inner))

    return {name: find(name, frozenset((name,))) for name in refers_to if name not in called}


def _check_references(parts: FlowParts) -> dict[str, frozenset[str]]:
    """The components that each component refers to; notes wrong references."""
    return {name: frozenset(_check_component(parts, name)) for name in parts.flow.components}


def _check_component(parts: FlowParts, name: str) -> Iterator[str]:
    """The components that the fields of this one wait for."""
    known, spec = parts.flow.components, parts.flow.components[name]
    for key, text in parts.connections.get(name, {}).items():
        kind = find_type(parts.kinds[name], key)
        wanted = kind.wants if kind is not None and text.sources else "text"
        for reference in text.references:
            note = partial(_note_reference, parts, name, key, reference)
            if reference.component not in known:
                says, otherwise = f"`{reference}` names no component of this flow", "; a plain `${` is written `$${`"
                note(says, value=reference.component, choices=known, otherwise=otherwise)
                continue
            yield reference.component
            if reference.component in parts.kinds:
                _check_reference(parts, reference, wanted, f"`{key}` of {spec.type}", note)


def _check_reference(
    parts: FlowParts, reference: Reference, wanted: ValueKind, target: str, note: Callable[..., None]
) -> None:
    name, port = reference.component, reference.output
    source = parts.components.get(name)
    ports = source.list_outputs() if source else parts.kinds[name].outputs
    if port is not None and port not in ports:
        says = f"`{name}` ({parts.flow.components[name].type}) has no output {port!r}"
        note(says, value=port, choices=ports, otherwise=f"; it has {', '.join(ports)}")
    elif source and port is None and source.branches:
        names = " or ".join(f"`${{{name}.{each}}}`" for each in ports)
        note(f"`{name}` gives one of its outputs: say which, {names}")
    elif source and (why := explain_mismatch(given := ports[port or next(iter(ports))], wanted)):
        note(f"`{reference}` is {given}, and {target} takes {wanted}: {why}")


def _note_reference(parts: FlowParts, name: str, key: str, reference: Reference, says: str, **more: Any) -> None:
    at = parts.flow.components[name].find_place(key, reference.offset)
    parts.problems.add(at, says, **{"value": str(reference), **more})


def _check_outputs(parts: FlowParts) -> None:
    specs = parts.flow.components
    # Components of unknown types are left out of `kinds`: one of them may have been meant as the output.
    if len(parts.kinds) == len(specs) and not any(kind.output_kind for kind in parts.kinds.values()):
        last = list(specs.values())[-1]
        parts.problems.add(last.position, "The flow gives no answer: it needs a ChatOutput or a TextOutput")


def _warn_of_unread_files(parts: FlowParts) -> None:
    """Warns where people may send files that no component reads."""
    texts = (text for texts in parts.connections.values() for text in texts.values())
    reads = {(part.component, part.output) for text in texts for part in text.references}
    for name, component in parts.components.items():
        if parts.flow.chat.accepts and component.input_kind == "chat" and (name, "files") not in reads:
            advice = f"`files: ${{{name}.files}}` shows them to a model"
            says = f"`chat.accepts` takes files, and nothing reads them: {advice}"
            parts.problems.warn(parts.flow.components[name].position, says, value=name)


def _find_followers(waits_for: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    followers: dict[str, tuple[str, ...]] = {}
    for name, needed in waits_for.items():
        for before in needed:
            followers[before] = (*followers.get(before, ()), name)
    return followers


def _list_shown(parts: FlowParts, output: str) -> tuple[Reference, ...]:
    """The references that an output shows and nothing beside them, in order."""
    text = parts.connections.get(output, {}).get(INPUT)
    return text.sources if text else ()


def _shows_unchanged(output: Component, shown: Sequence[Reference]) -> bool:
    """Whether what an output shows may reach it in pieces; it may not where one component comes twice."""
    return output.output_kind == "chat" and len({reference.component for reference in shown}) == len(shown)


def _find_streams(parts: FlowParts, plain: Mapping[str, Sequence[Reference]]) -> dict[str, tuple[str, ...]]:
    targets: dict[str, tuple[str, ...]] = {}
    for name in parts.components:
        for reference in plain.get(name, ()):
            source = parts.components[reference.component]
            if source.streams and reference.output in (None, next(iter(source.list_outputs()))):
                targets[reference.component] = (*targets.get(reference.component, ()), name)
    return targets


def _is_value(ports: Mapping[str, Mapping[str, ValueKind]], reference: Reference) -> bool:
    outputs = ports[reference.component]
    return outputs[reference.output or next(iter(outputs))] != "text"


def _find_wants(parts: FlowParts) -> dict[str, dict[str, ValueKind]]:
    found: dict[str, dict[str, ValueKind]] = {}
    for name, texts in parts.connections.items():
        types = {key: field for key in texts if (field := find_type(parts.kinds[name], key))}
        wants: dict[str, ValueKind] = {key: field.wants for key, field in types.items() if field.wants != "text"}
        if wants:
            found[name] = wants
    return found
