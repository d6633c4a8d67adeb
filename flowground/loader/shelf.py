"""Which file serves which address: a file that is broken, or wants an address that another has, stops only itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from flowground.errors import FlowError, Problem
from flowground.loader.folder import FlowFile
from flowground.loader.links import find_doubts, link_flow
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class Shelf:
    """What callers see; replaced as a whole, never changed. `problems` and `warnings` are by file name."""

    flows: Mapping[str, WiredFlow] = field(default_factory=dict)
    addresses: Mapping[str, WiredFlow] = field(default_factory=dict)
    problems: Mapping[str, FlowError] = field(default_factory=dict)
    stale: Mapping[str, FlowError] = field(default_factory=dict)
    warnings: Mapping[str, Sequence[Problem]] = field(default_factory=dict)


def settle(files: Mapping[str, FlowFile]) -> None:
    """Decides what each file serves: an address stays with the file that has it, a newcomer who wants it is refused."""
    taken: dict[str, str] = {}
    newcomers = []
    for name, file in files.items():
        if file.good is None or file.good is file.serving:
            file.conflict = None
            taken.update(dict.fromkeys(list_addresses(file.serving), name))
        else:
            newcomers.append(name)
    for name in newcomers:
        file = files[name]
        file.conflict = _find_conflict(file.good, taken) if file.good else None
        if file.conflict is None:
            file.serving = file.good
        elif any(address in taken for address in list_addresses(file.serving)):
            file.serving = None
        taken.update(dict.fromkeys(list_addresses(file.serving), name))


def list_by_address(flows: Iterable[WiredFlow]) -> dict[str, WiredFlow]:
    """By id and endpoint name, in small letters."""
    return {address: wired for wired in flows for address in list_addresses(wired)}


def list_addresses(wired: WiredFlow | None) -> Iterable[str]:
    if wired is None:
        return ()
    names = (wired.id, wired.flow.api.endpoint_name)
    return [name.lower() for name in names if name is not None]


def _find_conflict(wired: WiredFlow, taken: Mapping[str, str]) -> FlowError | None:
    flow = wired.flow
    claims = (("id", flow.id), ("api.endpoint_name", flow.api.endpoint_name))
    problems = []
    for key, address in claims:
        if address is not None and (other := taken.get(address.lower())):
            place = flow.places[key].value
            message = f"{address!r} is the address of two flows: {other} has it, so {flow.file} needs another one."
            problems.append(Problem(flow.file, place.line, place.column, message, address))
    return FlowError(problems) if problems else None


def make_shelf(files: Mapping[str, FlowFile]) -> Shelf:
    """What callers see of the files, once `settle` has decided what each of them serves."""
    alone = [file.serving for file in files.values() if file.serving]
    called = list_by_address(alone)
    linked = sorted((link_flow(wired, called) for wired in alone), key=lambda wired: (wired.name.casefold(), wired.id))
    errors = {wired.flow.file: error for wired in linked if (error := _find_refusal(wired))}
    serving = [wired for wired in linked if wired.flow.file not in errors]
    errors |= {name: file.error for name, file in files.items() if file.error}
    return Shelf(
        flows=MappingProxyType({wired.id: wired for wired in serving}),
        addresses=list_by_address(serving),
        problems=MappingProxyType(dict(sorted(errors.items()))),
        stale={file.serving.id: file.error for file in files.values() if file.serving and file.error},
        warnings=_list_warnings(files, serving),
    )


def _find_refusal(wired: WiredFlow) -> FlowError | None:
    """What is wrong with it for what the flows that it runs are."""
    problems = [doubt for doubt in find_doubts(wired, ()) if not doubt.is_warning] if wired.runs else []
    return FlowError(problems) if problems else None


def _list_warnings(files: Mapping[str, FlowFile], serving: Sequence[WiredFlow]) -> Mapping[str, Sequence[Problem]]:
    known = list_by_address(serving)
    doubts = {wired.flow.file: tuple(find_doubts(wired, known)) for wired in serving if wired.runs}
    found = {name: (*file.warnings, *doubts.get(name, ())) for name, file in sorted(files.items())}
    return MappingProxyType({name: warnings for name, warnings in found.items() if warnings})
