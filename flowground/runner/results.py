"""What a run gave at its end: the results of its outputs, and of what its request selected."""

from collections.abc import Mapping

from flowground.caller import RunRequest
from flowground.citations import NumberedPassage, find_cited
from flowground.components.io import OutputComponent
from flowground.events import OutputResult, RunFinished
from flowground.graph import Reference
from flowground.messages import Usage
from flowground.runner.given import Given
from flowground.runner.selection import select_outputs
from flowground.values import Value, ValueKind, check_length, write_text

_NONE: Mapping[int, NumberedPassage] = {}


def finish_run(
    given: Given,
    request: RunRequest,
    seconds: float,
    *,
    sees_inside: bool,
    usage: Usage | None = None,
    passages: Mapping[int, NumberedPassage] = _NONE,
) -> RunFinished:
    """The end of a run: what its outputs gave, and what the request selected, as far as they ran.

    `seconds` is how long it took, `passages` are those that may be cited. Raises RunError where the selected texts are
    too long together.
    """
    wired = given.wired
    selected = select_outputs(wired, request, sees_inside=sees_inside)
    wanted = {*wired.outputs, *selected}
    if wired.may_skip:
        gave = {name for name, output in given.outputs.items() if output.values}
        selected, wanted = tuple(name for name in selected if name in gave), wanted & gave
    results = {name: _make_result(given, name, passages) for name in wanted}
    check_length(sum(len(results[name].text) for name in selected))
    return RunFinished(
        results=results,
        selected=selected,
        seconds=seconds,
        usage=usage,
    )


def _make_result(given: Given, name: str, passages: Mapping[int, NumberedPassage]) -> OutputResult:
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


def _find_value(given: Given, name: str) -> tuple[ValueKind, Value]:
    """What an output shows unchanged where that is no text."""
    shown = [reference for reference in given.wired.shows.get(name, ()) if given.has(reference)]
    if len(shown) != 1:
        return "text", None
    source, port = shown[0].component, given.wired.find_port(shown[0])
    kind = given.wired.ports[source][port]
    return kind, None if kind == "text" else given.outputs[source].values[port]


def _find_source(given: Given, name: str) -> str | None:
    """The component whose text an output shows: the first one it refers to, of those that ran."""
    if not isinstance(given.wired.components[name], OutputComponent):
        return None
    for text in given.wired.connections.get(name, {}).values():
        for part in text.parts:
            if isinstance(part, Reference) and part.component in given.outputs:
                return part.component
    return None
