"""How a flow is used, as its owners see it: numbers, a bar a day, and what failed."""

from collections.abc import Sequence
from datetime import date, timedelta
from html import escape

import streamlit as st

from flowground.access import feedback
from flowground.caller import Caller
from flowground.store.runs.usage import MOST, FailureCount, FlowUsage, UsedDay
from flowground.ui.page import bridge, browser, failure, words
from flowground.wiring import WiredFlow

_PERIODS = {"Last 7 days": 7, "Last 30 days": 30, "Last 90 days": 90}


def draw_usage(caller: Caller, wired: WiredFlow) -> None:
    """Of the days that are chosen, today being the last."""
    days = _PERIODS[st.selectbox("Time", list(_PERIODS), index=1, key=f"usage:time:{wired.id}", width=160)]
    since = browser.begin_day() - timedelta(days=days - 1)
    with failure.draw_refusals():
        found = bridge.ask(feedback.sum_usage, caller, wired.id, since=since, days=days)
        if not found.runs:
            st.caption("No runs in this period.")
            return
        st.caption("All runs, including yours.")
        _draw_numbers(found)
        st.caption("Includes every run that started. Rejected requests are not counted.")
        _draw_days(found.days, browser.find_day(since))
        _draw_failures(found.failures)
        if found.is_cut:
            st.caption(f"Only the newest {MOST:,} runs are counted.")


def _draw_numbers(found: FlowUsage) -> None:
    numbers = {
        "Runs": f"{found.runs:,}",
        "By programs": f"{found.by_programs:,}",
        "People": f"{found.people:,}",
        "Without signing in": f"{found.visitors:,}" if found.visitors else "",
        "Failed": f"{found.failed / found.runs * 100:.3g} %",
        "Tokens": f"{found.input_tokens + found.output_tokens:,}",
        "Cost": "" if found.cost is None else f"{found.cost:,.2f}",
    }
    with st.container(horizontal=True, gap="medium", key="usage:numbers"):
        for label, value in numbers.items():
            if value:
                st.metric(label, value, width="content")


def _draw_days(days: Sequence[UsedDay], first: date) -> None:
    most = max(day.runs for day in days)
    bars = []
    for number, day in enumerate(days):
        when = browser.spell_day(first + timedelta(days=number))
        said = f"{when}: {words.count(day.runs, 'run')}" + (f", {day.failed:,} failed" if day.failed else "")
        bars.append(
            f'<div role="listitem" title="{escape(said)}"><span class="fg-unseen">{escape(said)}</span>'
            f'<i style="height:{day.runs / most * 100:.4g}%"><b style="height:{_share(day) * 100:.4g}%"></b></i></div>'
        )
    foot = (browser.spell_day(first), f"Most on one day: {most:,}", browser.spell_day(browser.find_today()))
    st.subheader("Runs a day", anchor=False)
    st.html(
        f'<div class="fg-bars" role="list">{"".join(bars)}</div>'
        f'<div class="fg-bars-foot">{"".join(f"<span>{said}</span>" for said in foot)}</div>'
    )


def _share(day: UsedDay) -> float:
    return day.failed / day.runs if day.runs else 0.0


def _draw_failures(failures: Sequence[FailureCount]) -> None:
    if not failures:
        return
    st.subheader("Errors", anchor=False)
    rows = [
        f"| {one.code.replace('_', ' ').capitalize()} | {one.runs:,} | {browser.write_moment(one.last_at)} |"
        for one in failures
    ]
    st.markdown("\n".join(["| Error | Runs | Last |", "| --- | --- | --- |", *rows]))
