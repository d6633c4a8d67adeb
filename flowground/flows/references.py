"""Checks references: each must lead to a component of the flow, to one of its outputs, and to a kind of value that
fits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from flowground.core.values import ValueKind, explain_mismatch
from flowground.flows.fields import find_type
from flowground.flows.flow import WHEN
from flowground.flows.graph import FlowParts, Reference, Text


def check_references(parts: FlowParts) -> dict[str, frozenset[str]]:
    """The components that each component refers to; notes wrong references."""
    return {name: frozenset(_check_component(parts, name)) for name in parts.flow.components}


def split_references(texts: Mapping[str, Text]) -> tuple[Sequence[Reference], Sequence[Reference]]:
    """The references in a component's fields, and those in its `step.when`: the component runs where both allow it."""
    when = texts.get(WHEN)
    fields = [part for field, text in texts.items() if field != WHEN for part in text.references]
    return fields, when.references if when else ()


def _check_component(parts: FlowParts, name: str) -> Iterator[str]:
    """The components that the fields of this one wait for."""
    known, spec = parts.flow.components, parts.flow.components[name]
    for field, text in parts.connections.get(name, {}).items():
        kind = find_type(parts.kinds[name], field)
        wanted = kind.wants if kind is not None and text.sources else "text"
        for reference in text.references:
            note = partial(_note, parts, name, field, reference)
            if reference.component not in known:
                says, otherwise = f"`{reference}` names no component of this flow", "; a plain `${` is written `$${`"
                note(says, value=reference.component, choices=known, otherwise=otherwise)
                continue
            yield reference.component
            if reference.component in parts.kinds:
                _check_output(parts, reference, wanted, f"`{field}` of {spec.type}", note)


def _check_output(
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


def _note(parts: FlowParts, name: str, field: str, reference: Reference, says: str, **more: Any) -> None:
    at = parts.flow.components[name].find_place(field, reference.offset)
    parts.problems.add(at, says, **{"value": str(reference), **more})
