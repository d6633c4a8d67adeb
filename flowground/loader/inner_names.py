"""Components of flows that a flow runs, as its tests name them: `flow.Component`."""

from collections.abc import Iterator

from flowground.errors import Problem
from flowground.wiring import WiredFlow
from flowground.wiring.tested import may_be_replied
from flowground.words import find_nearest
from flowground.yaml_file.document import Position

_REPLIED = "that a test replies to"
_ASKING = "that asks a model"
_ANY = "among the components"


def list_components(wired: WiredFlow) -> list[str]:
    """The flow's own components, and those of all flows that it runs, but for tools of agents there."""
    inner = (f"{flow.id}.{key}" for flow in wired.inner_flows.values() for key in flow.order)
    return [*wired.components, *inner]


def list_asking(wired: WiredFlow) -> list[str]:
    """Components that ask a model, the flow's own and those of all flows that it runs."""
    return [
        f"{within}{key}"
        for flow, within in _list_flows(wired)
        for key, component in flow.components.items()
        if component.list_models()
    ]


def list_replied(wired: WiredFlow) -> list[str]:
    """Components to which a test may reply, as `list_asking` names them."""
    return [
        f"{within}{key}"
        for flow, within in _list_flows(wired)
        for key, component in flow.components.items()
        if may_be_replied(component)
    ]


def find_unknown_names(wired: WiredFlow) -> Iterator[Problem]:
    """What the tests of a linked flow name in other flows and is not there, as far as those flows are."""
    known_as = {
        _REPLIED: list_replied(wired),
        _ASKING: list_asking(wired),
        _ANY: list_components(wired),
    }
    for position, name, words in _list_named(wired):
        known = known_as[words]
        if name not in known and _is_there(wired, name.rpartition(".")[0]):
            says = f"There is no `{name}` {words}: the test fails."
            word = find_nearest(name, known)
            yield Problem(wired.flow.file, position.line, position.column, says, name, word, is_warning=True)


def _list_flows(wired: WiredFlow) -> Iterator[tuple[WiredFlow, str]]:
    """Each with what stands before the names of its components."""
    yield wired, ""
    yield from ((inner, f"{inner.id}.") for inner in wired.inner_flows.values())


def _list_named(wired: WiredFlow) -> Iterator[tuple[Position, str, str]]:
    """Each name of another flow's component in the tests: where it stands, and which components it may name."""
    places = wired.flow.places
    for index, test in enumerate(wired.flow.tests):
        for number, turn in enumerate(test.list_turns()):
            path = f"tests.{index}.turns.{number}" if test.turns else f"tests.{index}"
            for word, asking, among in (
                ("replies", turn.replies, _REPLIED),
                ("expect.calls", turn.expect.calls, _ASKING),
            ):
                yield from ((places[f"{path}.{word}.{name}"].key, name, among) for name in asking if "." in name)
            for word, taken in (("expect.takes", turn.expect.takes), ("expect.skips", turn.expect.skips)):
                for at, name in enumerate(taken):
                    place = places.get(f"{path}.{word}.{at}")  # a text may stand by itself
                    if "." in name:
                        yield (place or places[f"{path}.{word}"]).value, name, _ANY


def _is_there(wired: WiredFlow, flow: str) -> bool:
    """Whether all that may be meant by a flow's name is known: that flow, or every one that is run."""
    inner = wired.inner_flows.values()
    return flow in {found.id for found in inner} or all(
        name in wired.inner_flows for found in (wired, *inner) for name in found.runs
    )
