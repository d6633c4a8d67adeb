"""Flows that run other flows: each gets all that a run of it may use, and its version is the digest of all those."""

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace

from flowground.components.base import INPUT
from flowground.components.flows import ForEach
from flowground.components.io import input_kind
from flowground.errors import Problem
from flowground.loader.inner_names import find_unknown_names
from flowground.values import is_blank
from flowground.wiring import WiredFlow
from flowground.words import find_nearest

_SHOWN = 20
"""Flows of a circle that are named."""


def link_flow(wired: WiredFlow, addresses: Mapping[str, WiredFlow]) -> WiredFlow:
    """The flow with those that it runs, directly or through others, as far as they are there."""
    if not wired.runs:
        return wired
    inner: dict[str, WiredFlow] = {}
    wanted = [*wired.runs]
    while wanted:
        name = wanted.pop()
        if name not in inner and (found := addresses.get(name.lower())):
            inner[name] = found
            wanted += found.runs
    digest = hashlib.sha256(wired.flow.version.encode())
    for name in sorted(inner):
        digest.update(f" {name}:{inner[name].flow.version}".encode())
    return replace(wired, inner_flows=inner, version=digest.hexdigest()[:12])


def find_doubts(wired: WiredFlow, known: Iterable[str]) -> Iterator[Problem]:
    """What is likely a mistake about the flows that a linked flow runs; another file may yet mend it.

    `known` are the addresses of all flows.
    """
    for name, component in wired.components.items():
        for called in component.list_flows():
            place = wired.flow.components[name].places["flow"].value
            if isinstance(component, ForEach) and (asking := _find_asking(wired, called)):
                says = (
                    f"{component.type_name} asks nobody, and `{asking}` has a tool that a person allows: run it with a "
                    "RunFlow, or say `confirm: false` at the tool"
                )
                yield Problem(wired.flow.file, place.line, place.column, f"{says}.", called)
            message = _find_doubt(wired, called)
            if message:
                word = None if called in wired.inner_flows else find_nearest(called, known)
                yield Problem(wired.flow.file, place.line, place.column, message, called, word, is_warning=True)
            else:
                given = component.model_extra or {}
                yield from _find_unknown_inputs(wired, name, wired.inner_flows[called], given)
                yield from _find_missing_inputs(wired, name, wired.inner_flows[called], given)
    yield from find_unknown_names(wired)


def _find_doubt(wired: WiredFlow, called: str) -> str | None:
    if called not in wired.inner_flows:
        return f"There is no flow `{called}` yet: a run that comes here fails."
    if way := _find_way(wired, called):
        names = way if len(way) <= _SHOWN else [*way[:_SHOWN], "…", way[-1]]
        return f"This flow can run itself: {' → '.join(names)}. A run ends at the eighth flow within another."
    return None


def _find_asking(wired: WiredFlow, called: str) -> str | None:
    """The id of a flow that asks people, among those that run where this one is called."""
    wanted, seen = [called], set[str]()
    while wanted:
        here = wired.inner_flows.get(wanted.pop())
        if here is None or here.id in seen:
            continue
        if any(tool.confirms for tools in here.tools.values() for tool in tools):
            return here.id
        seen.add(here.id)
        wanted += here.runs
    return None


def _find_way(wired: WiredFlow, called: str) -> list[str] | None:
    """The shortest way from the flow by this name back to the flow itself."""
    ways, seen = [[wired.id, called]], set()
    for way in ways:
        here = wired.inner_flows.get(way[-1])
        if here is None or way[-1] in seen:
            continue
        if here.id == wired.id:
            return [*way[:-1], wired.id]
        seen.add(way[-1])
        ways += [[*way, name] for name in here.runs]
    return None


def _find_unknown_inputs(wired: WiredFlow, name: str, found: WiredFlow, given: Iterable[str]) -> Iterator[Problem]:
    known = [key for key, component in found.components.items() if input_kind(component)]
    for key in given:
        if key not in known:
            spec = wired.flow.components[name]
            word = find_nearest(key, [*known, *(field for field in type(wired.components[name]).model_fields)])
            place = spec.places[key].key
            message = f"The flow `{found.id}` has no input `{key}`: a run that comes here fails."
            yield Problem(wired.flow.file, place.line, place.column, message, key, word, is_warning=True)


def _find_missing_inputs(wired: WiredFlow, name: str, found: WiredFlow, given: Container[str]) -> Iterator[Problem]:
    for option in found.policy.required:
        is_given = option.name == INPUT and option.component in given
        if not is_given and is_blank(getattr(found.components[option.component], option.name)):
            place = wired.flow.components[name].places["flow"].value
            says = f"The flow `{found.id}` needs `{option.component}`, which is not given: a run that comes here fails."
            yield Problem(wired.flow.file, place.line, place.column, says, option.component, is_warning=True)
