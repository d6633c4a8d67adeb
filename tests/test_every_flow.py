"""Every shipped flow loads, runs, and gives an answer, on the scripted model."""

from typing import Any

import pytest

from flowground.components.base import LookedUp, LookUp, Outside
from flowground.core.caller import RunRequest
from flowground.core.events import RunFinished
from flowground.core.values import PastMessage
from flowground.flows.folder import Catalogue
from flowground.flows.tweaks import apply_tweaks
from flowground.flows.wiring import WiredFlow
from flowground.providers.base import Provider
from flowground.providers.scripted import Scripted
from flowground.runs.runner import run_flow
from tests.flow_runs import SaidBefore
from tests.servers import SHIPPED_FLOWS

NAMES = sorted(path.stem for path in SHIPPED_FLOWS.glob("*.yaml"))


class Told:
    """Whatever model a flow names, the answer is what the model was told."""

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        return Scripted(), "json"


HISTORY = SaidBefore(PastMessage("user", "My name is Ada."), PastMessage("assistant", "Hi Ada."))


def find_leave(_: str) -> LookUp:
    """Every question finds this passage."""

    async def look_up(*_: str, **__: Any) -> LookedUp:
        found = {"text": "Thirty days of leave.", "source": "knowledge/leave.md", "start": 0, "end": 21, "score": 1.0}
        return LookedUp([found])

    return look_up


def shipped(name: str) -> WiredFlow:
    flow = Catalogue(SHIPPED_FLOWS).find(name)
    assert flow is not None
    return flow


async def answer(flow: WiredFlow, request: RunRequest) -> str:
    tweaked = apply_tweaks(flow, request, unknown="refuse").wired
    run = run_flow(tweaked, request, history=HISTORY, models=Told(), outside=Outside(find_leave))
    [end] = [event async for event in run if isinstance(event, RunFinished)]
    return end.outputs[0].text


def test_the_folder_has_no_mistake() -> None:
    catalogue = Catalogue(SHIPPED_FLOWS)
    assert catalogue.list_problems() == {}
    assert list(catalogue.list_flows()) == NAMES
    assert len(NAMES) == 15
    assert catalogue.list_warnings() == {}


@pytest.mark.parametrize("name", NAMES)
def test_each_is_short_and_says_what_it_is(name: str) -> None:
    text = (SHIPPED_FLOWS / f"{name}.yaml").read_text("utf-8")
    assert len(text.splitlines()) <= 65
    assert shipped(name).flow.description
    assert len(shipped(name).flow.tests) >= 2
    assert {model for part in shipped(name).components.values() for model in part.list_models()} <= {None}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stream", [False, True])
async def test_each_runs_with_and_without_an_input(name: str, stream: bool) -> None:
    for said in ("hello", None):
        assert await answer(shipped(name), RunRequest(said, input_type="any", output_type="any", stream=stream))
