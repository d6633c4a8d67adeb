"""A flow's last day in figures, for its authors."""

from datetime import UTC, datetime, timedelta

import streamlit as st

from flowground import runtime
from flowground.store.runs import numbers
from flowground.store.runs.numbers import RunNumbers
from flowground.ui.page import bridge, words

_FRESH = 10
"""Seconds for which they are not counted again."""


def draw_numbers(flow_id: str) -> None:
    """One line: runs, how long they took, how many failed, what failed last."""
    found = _last_day(flow_id)
    if not found.runs:
        st.caption("No runs in the last 24 hours.")
        return
    p50 = "" if found.p50 is None else f"p50 {words.seconds(found.p50)}"
    p95 = "" if found.p95 is None else f"p95 {words.seconds(found.p95)}"
    count = "1 run" if found.runs == 1 else f"{found.runs:,} runs"
    failed = f"{_percent(found.error_rate)} failed"
    st.caption(words.line((f"Last 24 hours: {count}", p50, p95, failed, _last_failure(found))))


def _percent(rate: float) -> str:
    if not rate:
        return "none"
    return "under 0.1 %" if rate < 0.001 else f"{rate * 100:.3g} %"


def _last_failure(found: RunNumbers) -> str:
    if found.last_failure_at is None:
        return ""
    ago = datetime.now(UTC) - found.last_failure_at
    minutes = int(ago.total_seconds() // 60)
    when = "just now" if minutes < 1 else f"{minutes} min ago" if minutes < 60 else f"{minutes // 60} h ago"
    return f"last failure `{found.last_failure}` {when}"


@st.cache_data(ttl=_FRESH, show_spinner=False, max_entries=256)
def _last_day(flow_id: str) -> RunNumbers:
    since = datetime.now(UTC) - timedelta(days=1)
    return bridge.call(runtime.current().store.read(numbers.sum_up, flow_id=flow_id, since=since))
