"""The tests of a flow, for its authors: what came of them last, and a button that runs them."""

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.flow.tested import FlowTestOutcome, FlowTestReport
from flowground.flow_tests import pages
from flowground.flow_tests.report import write_differences
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import require_visitor
from flowground.wiring import WiredFlow

_NONE = "No tests yet. Use *Make it a test* under an answer in the playground."

_MOST_FAILED = 20
"""Of which the differences are shown."""


@st.fragment
def draw_tests(wired: WiredFlow) -> None:
    """For who sees the inside of the flow; nothing for others."""
    caller = require_visitor()
    if not caller.sees_inside:
        return
    with st.container(key="tests", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.header("Tests", anchor=False, width="content")
            label = "Run the tests" if len(wired.flow.tests) > 1 else "Run the test"
            is_wanted = bool(wired.flow.tests) and st.button(label, icon=":material/play_arrow:", key="tests:run")
        if not wired.flow.tests:
            st.caption(_NONE)
            return
        with failure.draw_refusals():
            report = _find(caller, wired, is_wanted=is_wanted)
            _draw_report(wired, report)


def _find(caller: Caller, wired: WiredFlow, *, is_wanted: bool) -> FlowTestReport | None:
    running = runtime.get()
    if not is_wanted:
        return bridge.call(pages.find_report(running, caller, wired.id))
    with st.spinner("Running the tests"):
        return bridge.call(pages.run_tests(running, caller, wired.id))


def _draw_report(wired: WiredFlow, report: FlowTestReport | None) -> None:
    if report is None or report.version != wired.version:
        says = "Not run since the server started." if report is None else "The flow has changed since they were run."
        st.caption(f"{words.count(len(wired.flow.tests), 'test')}. {says}")
        st.markdown("\n".join(f"- :gray[{_write_title(test.title)}]" for test in wired.flow.tests))
        return
    failed = [outcome for outcome in report.outcomes if not outcome.is_passed]
    said = f"{words.count(len(failed), 'test')} of {len(report.outcomes)} failed" if failed else "All passed"
    st.markdown(f":{'red' if failed else 'green'}[**{said}**]")
    for outcome in failed[:_MOST_FAILED]:
        draw_outcome(outcome)
    if len(failed) > _MOST_FAILED:
        st.caption(f"And {len(failed) - _MOST_FAILED} more that failed.")
    if passed := [outcome for outcome in report.outcomes if outcome.is_passed]:
        st.markdown("  \n".join(map(_write_outcome, passed)))


def draw_outcome(outcome: FlowTestOutcome) -> None:
    """One test and, where it failed, what was not as expected."""
    st.markdown(_write_outcome(outcome))
    if not outcome.is_passed:
        st.code("\n".join(write_differences(outcome)), language="diff", wrap_lines=True)


def _write_outcome(outcome: FlowTestOutcome) -> str:
    icon = ":green[:material/check:]" if outcome.is_passed else ":red[:material/close:]"
    place = f"line {outcome.line} · " if outcome.line else ""
    return f"{icon} {_write_title(outcome.title)} :gray[· {place}{outcome.seconds:.2f} s]"


def _write_title(title: str) -> str:
    return words.escape(words.cut(" ".join(title.split())))
