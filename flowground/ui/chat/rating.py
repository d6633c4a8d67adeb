"""The dialog in which a person says why an answer was good or bad, and what the flow's authors may read."""

import streamlit as st

from flowground.access.feedback import RatedPlace, explain, find_rating
from flowground.store.runs.feedback import REASON_CHARS, Rating, RatingLabel
from flowground.ui.page import bridge
from flowground.ui.page.bridge import require_caller

LABELS: dict[RatingLabel, str] = {
    "wrong": "Wrong",
    "incomplete": "Incomplete",
    "off_topic": "Off topic",
    "unsafe": "Unsafe",
    "slow": "Too slow",
}
_EXPLAINED = "rating:explained"
SHARES = "Let the flow's authors read this conversation up to here"
_NOTICE = (
    "The flow's authors read your rating and what you write here. "
    "Only if you tick this do they also see your name, the conversation, and how the answer was made."
)


def open_reason(place: RatedPlace) -> None:
    """Opens the dialog for an answer that is rated."""
    with bridge.render_refusals():
        found = bridge.ask(find_rating, require_caller(), place)
        if found is not None:  # else the rating was taken back meanwhile
            title = "What was good about this answer?" if found.value == "good" else "What was wrong with this answer?"
            st.dialog(title)(_render_reason)(place, found)


def _render_reason(place: RatedPlace, found: Rating) -> None:
    key = f"rating:{place.message_id}"
    with st.form(f"{key}:form", border=False):
        chosen: list[RatingLabel] = []
        if found.value == "bad":
            chosen = st.pills(
                "What fits?",
                list(LABELS),
                selection_mode="multi",
                default=list(found.labels),
                format_func=LABELS.__getitem__,
                key=f"{key}:labels",
            )
        reason = st.text_area(
            "In your own words",
            value=found.reason,
            max_chars=REASON_CHARS,
            placeholder="Optional",
            key=f"{key}:reason",
        )
        shares = st.checkbox(SHARES, value=found.shares_conversation, key=f"{key}:shares")
        st.caption(_NOTICE)
        is_sent = st.form_submit_button("Send", type="primary")
    if is_sent:
        caller = require_caller()
        with bridge.render_refusals():
            bridge.ask(explain, caller, place, labels=chosen, reason=reason or "", shares_conversation=shares)
            st.toast("Thank you.", icon=":material/check:", duration=2)
            if chosen or reason:
                st.session_state[_EXPLAINED] = place.message_id
            st.rerun()


def take_explained() -> str:
    """The id of the answer whose rating just got a reason, once; else ""."""
    return str(st.session_state.pop(_EXPLAINED, ""))
