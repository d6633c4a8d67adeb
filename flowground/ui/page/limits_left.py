"""What is left of one's limits, said before they are reached."""

import streamlit as st

from flowground import runtime
from flowground.caller import Caller
from flowground.limits.meter import Remaining
from flowground.limits.refusals import write_bytes, write_reset
from flowground.limits.table import LimitedUse
from flowground.ui.page import bridge, words
from flowground.wiring import WiredFlow

_WORDS: dict[LimitedUse, str] = {
    "runs_per_minute": "runs this minute",
    "page_runs_per_minute": "messages this minute",
    "visitor_runs_per_day": "visitors' messages today",
    "runs_at_once": "runs at once",
    "tokens_per_day": "tokens today",
    "money_per_day": "{currency} today",
    "stored_bytes": "for the text of conversations",
}


def draw_left(caller: Caller) -> None:
    """A block for the account page; nothing where nothing is limited but how fast somebody types."""
    found = bridge.call(runtime.get().run_limits.look(caller, at_page=True))
    if not any(row.used or row.limit.what != "page_runs_per_minute" for row in found):
        return
    st.header("What is left", anchor=False)
    with st.container(key="account:left"):
        for row in found:
            again = f", all of it again {write_reset(row)}" if row.used and row.resets_in else ""
            st.progress(min(row.left / row.limit.most, 1.0), text=f"{_write(row)}{again}")
    st.caption("Pages and all your tokens count together.")


def draw_left_for_tokens(caller: Caller, wired: WiredFlow) -> None:
    """A line for the API access pane; nothing where nothing is limited."""
    found = bridge.call(runtime.get().run_limits.look(caller, [wired.id]))
    own = [_write(row) for row in found if not row.flow_id and caller.person]  # others' tokens count each for itself
    of_flow = [_write(row) for row in found if row.flow_id]
    said = [f"Left for you: {words.join(own)}."] if own else []
    said += [f"For this flow: {words.join(of_flow)}."] if of_flow else []
    if said:
        st.caption(f":material/speed: {' '.join(said)}")


def _write(row: Remaining) -> str:
    """ "57 of 60 runs this minute", "1.20 of 5.00 EUR today", "3 MB of 10 MB for the text of conversations"."""
    name = _WORDS[row.limit.what].format(currency=words.escape(runtime.get().run_limits.currency))
    if row.limit.what == "stored_bytes":
        return f"{write_bytes(row.left)} of {write_bytes(row.limit.most)} {name}"
    if row.limit.what == "money_per_day":
        return f"{row.left:,.2f} of {row.limit.most:,.2f} {name}"
    return f"{int(row.left):,} of {int(row.limit.most):,} {name}"
