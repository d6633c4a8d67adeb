"""Outputs of a run: what components gave, what a request selects, results at the end, and calls of tools."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic import ValidationError

from flowground.components.base import INPUT, Component, DynamicTool, Output, Outside, ToolComponent
from flowground.components.connectors import MCP
from flowground.components.template import VariablesTool
from flowground.core.caller import Caller, RunRequest
from flowground.core.citations import NumberedPassage, find_cited
from flowground.core.errors import InvalidRequest, NotAllowed, RunError, ToolNotCalled
from flowground.core.events import OutputResult, RunFinished
from flowground.core.messages import Usage
from flowground.core.values import Value, ValueKind, check_length, convert, write_text
from flowground.core.words import list_names
from flowground.flows.field_values import change_component, describe_misfit, find_misfits
from flowground.flows.fields import find_type, read_variable
from flowground.flows.flow import WHEN
from flowground.flows.graph import Reference, Text
from flowground.flows.tools import WiredTool
from flowground.flows.wiring import WiredFlow, split_references

LONGEST_RESULT = 20_000
"""Characters of a tool's result that a model is shown."""
NO_RESULT = "Nothing was found."
"""The result that a model is shown for a tool that gave an empty text."""
_NONE: Mapping[int, NumberedPassage] = {}


@dataclass(slots=True)
class ComponentOutputs:
    """`outputs` of the components that ran so far; references to them are read here."""

    wired: WiredFlow
    outputs: dict[str, Output] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    """Values as text, by component and port, cached when they are first read."""

    def has(self, reference: Reference) -> bool:
        """Whether the reference has a value: its component ran, and gave that output."""
        output = self.outputs.get(reference.component)
        return output is not None and self.wired.find_port(reference) in output.values

    def is_skipped(self, name: str) -> bool:
        """Whether the component is skipped, since something it needs has no value."""
        return any(map(self._is_without, split_references(self.wired.connections.get(name, {}))))

    def _is_without(self, references: Sequence[Reference]) -> bool:
        """Whether a required reference has no value; where all are optional, whether none has one."""
        is_given = [self.has(reference) for reference in references]
        if any(not given and not reference.is_optional for reference, given in zip(references, is_given, strict=True)):
            return True
        return bool(references) and all(reference.is_optional for reference in references) and not any(is_given)

    def fill(self, name: str) -> Component:
        """The component with its connected fields filled. Raises RunError for a value that does not fit."""
        component, connected = self.wired.components[name], self.wired.connections.get(name)
        if not connected:
            return component
        if WHEN in connected:
            connected = {key: text for key, text in connected.items() if key != WHEN}
        if wants := self.wired.wants.get(name):
            component = self._fill_values(component, {key: (connected[key], kind) for key, kind in wants.items()})
            connected = {key: text for key, text in connected.items() if key not in wants}
        return component.model_copy(update={key: text.fill(self.read_text) for key, text in connected.items()})

    def _fill_values(self, component: Component, connected: Mapping[str, tuple[Text, ValueKind]]) -> Component:
        values = {}
        for key, (text, kind) in connected.items():
            found = [reference for reference in text.sources if self.has(reference)]
            if len(found) > 1:
                raise RunError(f"`{key}` joins branches of which one may run, and several did.")
            for reference in found:
                port = self.wired.find_port(reference)
                given = self.outputs[reference.component].values[port]
                values[key] = convert(given, self.wired.ports[reference.component][port], kind)
        try:
            return change_component(component, values)
        except ValidationError as error:
            raise _misfit_error(error, type(component), values) from None

    def read_text(self, reference: Reference) -> str:
        """The value of a reference as text; "" where its component was skipped.

        Raises RunError for a value that JSON cannot represent.
        """
        output = self.outputs.get(reference.component)
        if output is None:
            return ""
        port = self.wired.find_port(reference)
        kind = self.wired.ports[reference.component][port]
        if kind == "text":
            return str(output.values.get(port, ""))
        if port not in output.values:
            return ""
        place = reference.component, port
        if place not in self.texts:
            self.texts[place] = write_text(output.values[port], kind)
        return self.texts[place]


def select_outputs(wired: WiredFlow, request: RunRequest, *, sees_inside: bool = True) -> tuple[str, ...]:
    """Ids of the components whose results the request selects, by Langflow's rules.

    `output_component` (id or display name) comes first; an unknown one selects nothing. Else `output_type` selects
    "chat" or "text" outputs, "any" all outputs, "debug" every component; no match means all outputs. The
    component's type decides, where Langflow looks for the word in its id: ids are free here. Without `sees_inside` only
    the flow's outputs can be selected: other texts are prompts.
    """
    there = wired.order if sees_inside else wired.outputs
    if wanted := request.output_component:
        if wanted in there:
            return (wanted,)
        return tuple(name for name in there if wired.display_names[name] == wanted)
    if request.output_type == "debug":
        return there
    kind = request.output_type
    matching = tuple(name for name in wired.outputs if wired.components[name].output_kind == kind)
    return matching or wired.outputs


def refuse_unseen_outputs(caller: Caller, wired: WiredFlow, request: RunRequest) -> None:
    """Raises NotAllowed where the token may not see what is asked for: more than the flow's outputs; InvalidRequest
    where an output is required that does not exist.

    Hidden and unknown components get the same error.
    """
    if not request.output_component and request.output_type != "debug":
        return
    is_hidden = caller.opens_every_flow and not caller.sees_inside
    hint = caller.name_better_token("sees") if is_hidden else None
    is_there = finds_output(wired, request, sees_inside=caller.sees_inside)
    if request.must_find_output and not is_there:
        says = "`output_component` names no output of this flow."
        place = {"type": "output_unknown", "loc": ["body", "output_component"], "msg": says}
        raise InvalidRequest(says, problems=[place], hint=hint or f"Its outputs: {list_names(wired.outputs)}.")
    if hint and not (is_there and (request.output_component or request.output_type != "debug")):
        says = "This token sees what the outputs of a flow say, and nothing before them."
        raise NotAllowed(says, code="token_may_not_see", hint=hint)


def finds_output(wired: WiredFlow, request: RunRequest, *, sees_inside: bool) -> bool:
    """Whether the output that is asked for by name exists; True where none is."""
    return not request.output_component or bool(select_outputs(wired, request, sees_inside=sees_inside))


def read_input(wired: WiredFlow, request: RunRequest) -> str | None:
    """The person's message for the session's history: the request's text, else the Chat Input's own."""
    if wired.chat_input_id is None:
        return request.input_value
    given, own = request.find_message("chat"), getattr(wired.components[wired.chat_input_id], INPUT)
    return str(own) if given is None else given


def finish_run(
    given: ComponentOutputs,
    request: RunRequest,
    seconds: float,
    *,
    sees_inside: bool,
    usage: Usage | None = None,
    passages: Mapping[int, NumberedPassage] = _NONE,
) -> RunFinished:
    """The end of a run: the results of its outputs and of selected components, as far as they ran.

    `seconds` is how long the run took, `passages` are those that may be cited. Raises RunError where the selected texts
    are too long together.
    """
    wired = given.wired
    selected = select_outputs(wired, request, sees_inside=sees_inside)
    wanted = {*wired.outputs, *selected}
    if wired.may_skip:
        gave = {name for name, output in given.outputs.items() if output.values}
        selected, wanted = tuple(name for name in selected if name in gave), wanted & gave
    results = {name: _make_result(given, name, passages) for name in wanted}
    check_length(sum(len(results[name].text) for name in selected))
    return RunFinished(results, selected, seconds, usage)


def _make_result(given: ComponentOutputs, name: str, passages: Mapping[int, NumberedPassage]) -> OutputResult:
    wired, output = given.wired, given.outputs[name]
    source = _find_source(given, name)
    origin = given.outputs.get(source or name, output)
    ports = wired.ports[name]
    port = next(port for port in ports if port in output.values)
    kind, value = _find_value(given, name)
    text = write_text(output.values[port], ports[port])
    return OutputResult(
        component_id=name,
        type=wired.components[name].type_name,
        display_name=wired.display_names[name],
        text=text,
        source_id=source,
        source_name=wired.display_names[source] if source else None,
        model=origin.model,
        usage=origin.usage,
        finish_reason=origin.finish_reason,
        value=value,
        kind=kind,
        citations=find_cited(text, passages) if passages and kind == "text" else (),
    )


def _find_value(given: ComponentOutputs, name: str) -> tuple[ValueKind, Value]:
    """The kind and value that an output passes on unchanged; "text" and None where it shows text."""
    shown = [reference for reference in given.wired.shows.get(name, ()) if given.has(reference)]
    if len(shown) != 1:
        return "text", None
    source, port = shown[0].component, given.wired.find_port(shown[0])
    kind = given.wired.ports[source][port]
    return kind, None if kind == "text" else given.outputs[source].values[port]


def _find_source(given: ComponentOutputs, name: str) -> str | None:
    """The component whose text an output shows: the first that ran of those that the output refers to."""
    if given.wired.components[name].output_kind is None:
        return None
    for text in given.wired.connections.get(name, {}).values():
        for part in text.parts:
            if isinstance(part, Reference) and part.component in given.outputs:
                return part.component
    return None


async def describe_tools(tools: Iterable[WiredTool], given: ComponentOutputs, outside: Outside) -> list[WiredTool]:
    """The tools with the descriptions for a model, read concurrently. Raises RunError for a tool that does not
    exist."""
    return await asyncio.gather(*(_describe(tool, given, outside) for tool in tools))


async def _describe(tool: WiredTool, given: ComponentOutputs, outside: Outside) -> WiredTool:
    if not isinstance(given.wired.components[tool.component], DynamicTool):
        return tool
    component = _choose(cast(DynamicTool, given.fill(tool.component)), tool)
    spec, writes = await component.describe(tool.spec, outside, is_described=tool.is_described)
    return replace(tool, spec=spec, writes=writes)


def _choose(component: DynamicTool, tool: WiredTool) -> DynamicTool:
    return component.choose(tool.offered) if isinstance(component, MCP) and tool.offered else component


async def prepare_call(
    component: Component, tool: WiredTool, given: Mapping[str, Any], outside: Outside
) -> tuple[ToolComponent, str | None]:
    """As `set_arguments`; for a call that a person must allow also what it sends, as `ToolComponent.preview_call`.

    Raises ToolNotCalled.
    """
    try:
        taken = set_arguments(component, tool, given)
        return taken, await taken.preview_call(outside) if tool.confirms else None
    except RunError as error:
        raise ToolNotCalled(error.message) from error


def set_arguments(component: Component, tool: WiredTool, given: Mapping[str, Any]) -> ToolComponent:
    """The component with the arguments of a call. Raises RunError with a sentence for the model."""
    kind, name = type(component), tool.spec.name
    if isinstance(component, DynamicTool):
        return _choose(component, tool).take_arguments(given)
    if unknown := next((key for key in given if key not in tool.arguments), None):
        takes = ", ".join(f"`{key}`" for key in tool.arguments) or "nothing"
        raise RunError(f"`{name}` takes {takes}, and no `{unknown}`.")
    if missing := next((key for key in tool.spec.parameters["required"] if given.get(key) in (None, "")), None):
        raise RunError(f"`{name}` needs `{missing}`.")
    try:
        read = {key: value for key, value in given.items() if value is not None}
        if isinstance(component, VariablesTool):
            read = dict(component.read_arguments(read))
        taken = {key: _take(kind, key, value) for key, value in read.items()}
        return cast(ToolComponent, change_component(component, taken))
    except ValidationError as error:
        raise _misfit_error(error, kind, given) from None


def _misfit_error(error: ValidationError, kind: type[Component], given: Mapping[str, Any]) -> RunError:
    """The error for the first value that does not fit its field."""
    key, limits = next(iter(find_misfits(error).items()))
    field = find_type(kind, key) or read_variable(key)
    return RunError(f"{describe_misfit(f'`{key}`', field, given.get(key), limits)}.")


def _write(value: Value, kind: ValueKind) -> str:
    """The value as text; records that have a source are written with it, so that a model can name the source."""
    if kind != "records" or not all(isinstance(record.get("source"), str) for record in value):
        return write_text(value, kind)
    return "\n\n".join(f"[{record['source']}]\n{record.get('text', '')}" for record in value)


def _take(kind: type[Component], key: str, value: Any) -> Any:
    """An argument as a field's value; a model's text for a template is escaped, so that it holds no variables."""
    field = find_type(kind, key)
    is_template = field is not None and field.is_template and isinstance(value, str)
    return value.replace("{", "{{").replace("}", "}}") if is_template else value


def write_result(output: Output, ports: Mapping[str, ValueKind]) -> str:
    """The tool's first output as text; a long text is cut."""
    port = next((port for port in ports if port in output.values), None)
    text = "" if port is None else _write(output.values[port], ports[port])
    if len(text) <= LONGEST_RESULT:
        return text or NO_RESULT
    return f"{text[:LONGEST_RESULT]}\n[Cut: these are the first {LONGEST_RESULT:,} of {len(text):,} characters.]"
