"""The tests of a flow as its authors run them on a page: each turn counts as a run of theirs, and takes its place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from flowground import doors
from flowground.access.insides import open_inside
from flowground.asking import PersonTrying
from flowground.caller import Caller, RunRequest
from flowground.flow.tested import FlowTestOutcome, FlowTestReport
from flowground.flow.tests import FlowTest
from flowground.flow_tests import open_tester
from flowground.runtime import Runtime
from flowground.turns.terms import TurnTerms
from flowground.wiring import WiredFlow


async def run_tests(runtime: Runtime, caller: Caller, flow_id: str) -> FlowTestReport:
    """Runs all tests of the flow as it is now; `find_report` has the outcomes then. Raises FlowNotFound."""
    _, wired = await open_inside(runtime.access, caller, flow_id)
    outcomes = await _run(runtime, caller, wired)
    report = FlowTestReport(wired.version, outcomes)
    served = runtime.catalogue.list_flows()
    kept = runtime.test_reports
    runtime.test_reports = {key: kept[key] for key in kept if key in served} | {wired.id: report}
    return report


async def try_test(runtime: Runtime, caller: Caller, flow_id: str, test: FlowTest) -> FlowTestOutcome:
    """Runs a test that is in no file yet, and so on no line. Raises FlowNotFound."""
    _, wired = await open_inside(runtime.access, caller, flow_id)
    place = next(iter(wired.flow.components.values())).places["type"]
    flow = replace(wired.flow, tests=(test,), places={**wired.flow.places, "tests.0": place})
    return replace((await _run(runtime, caller, replace(wired, flow=flow)))[0], line=0)


async def find_report(runtime: Runtime, caller: Caller, flow_id: str) -> FlowTestReport | None:
    """What came of the flow's tests when they were run last, since this process began. Raises FlowNotFound."""
    _, wired = await open_inside(runtime.access, caller, flow_id)
    return runtime.test_reports.get(wired.id)


async def _run(runtime: Runtime, caller: Caller, wired: WiredFlow) -> list[FlowTestOutcome]:
    admit = partial(_admit, runtime, caller, wired.id)
    look_ups = partial(runtime.library.make_look_up, words_only=True)
    async with open_tester(runtime.settings, runtime.models, admit=admit, look_ups=look_ups) as tester:
        return await tester.run_tests(wired)


@asynccontextmanager
async def _admit(runtime: Runtime, caller: Caller, flow_id: str, request: RunRequest) -> AsyncIterator[TurnTerms]:
    asker = PersonTrying(caller, "inside", "unprotected")
    answer = await doors.answer(runtime, asker, address=flow_id, ask=request)
    with answer.place, runtime.mark_run():
        yield TurnTerms(runtime.switches.refuse, answer.place.count)
