"""What a flow's owners read of it: ratings with their reasons, newest first, and how much it is used.

What people wrote is shown as plain text, never as Markdown.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from html import escape

import streamlit as st

from flowground.access import feedback
from flowground.access.roster import find_name
from flowground.app import runtime
from flowground.core.caller import Caller, Owner
from flowground.core.errors import explain_failure
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import feedback as ratings
from flowground.store.runs import usage
from flowground.store.runs.feedback import MOST_COUNTED, SHOWN_CHARS, FeedbackFilter, FeedbackItem, RatingValue
from flowground.store.runs.records import StoredMessage
from flowground.store.runs.usage import MOST, FailureCount, FlowUsage, UsedDay
from flowground.store.sql import ListPlace
from flowground.ui.chat.rating import LABELS
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import require_caller
from flowground.ui.page.names import read_names
from flowground.ui.page.parts import open_scheduled, render_action, schedule_dialog
from flowground.ui.shell import opening

_VALUES: dict[str, RatingValue | None] = {"All": None, "Good": "good", "Bad": "bad"}
_PERIODS = {"Last 7 days": 7, "Last 30 days": 30, "All of it": 0}
_ICONS = {"good": ":material/thumb_up: **Good**", "bad": ":material/thumb_down: **Bad**"}
_VERSION_CHARS = 8
_NAMES_CHARS = 200

_USAGE_PERIODS = {"Last 7 days": 7, "Last 30 days": 30, "Last 90 days": 90}


def open_own(title: str) -> tuple[Caller, WiredFlow]:
    """The top of a page for owners of the flow in its address; ends the page for anybody else."""
    caller, wired = opening.open_flow(st.query_params.get("flow", ""))
    opening.require_allowed(feedback.may_read(runtime.get().access, caller, wired))
    st.set_page_config(page_title=f"{title} · {wired.name}")
    label = words.escape(wired.name)
    other, icon = ("Usage", "bar_chart") if title == "Feedback" else ("Feedback", "thumbs_up_down")
    query = {"flow": wired.id}
    with st.container(horizontal=True, horizontal_alignment="distribute", key="owners:ways"):
        st.page_link(browser.PLAYGROUND, label=label, icon=":material/arrow_back:", query_params=query)
        page = str(browser.PAGES / f"{other.lower()}.py")
        st.page_link(page, label=other, icon=f":material/{icon}:", query_params=query)
    st.title(title, anchor=False)
    return caller, wired


def render_feedback(caller: Caller, wired: WiredFlow) -> None:
    """Filters, and one page of ratings."""
    places: list[ListPlace] = st.session_state.setdefault(f"feedback:places:{wired.id}", [])
    only = _render_filters(wired, places)
    with bridge.render_refusals():
        count = bridge.ask(feedback.read_own, caller, wired.id, ratings.count_values, only=only)
        after = places[-1] if places else None
        page = bridge.ask(feedback.read_own, caller, wired.id, ratings.list_page, only=only, after=after)
        values = _write_values(caller, wired, only) if count else ""
        st.caption(f"{words.count(count, 'rating')}{' or more' if count == MOST_COUNTED else ''}{values}")
        names = _find_names([item.shared.owner for item in page.items if item.shared])
        for number, item in enumerate(page.items):
            _render_item(wired, item, names, number)
        with st.container(horizontal=True):
            if page.end:
                render_action("Show older", places.append, page.end, key="feedback:older", icon="expand_more")
            if places:
                render_action("Back to the newest", places.clear, key="feedback:newest", icon="vertical_align_top")
    open_scheduled(wired.id)


def _render_filters(wired: WiredFlow, places: list[ListPlace]) -> FeedbackFilter:
    with st.container(horizontal=True, vertical_alignment="bottom", key="feedback:filters"):
        value = st.selectbox(
            "Rating", list(_VALUES), key=f"feedback:value:{wired.id}", on_change=places.clear, width=140
        )
        period = st.selectbox(
            "Time", list(_PERIODS), key=f"feedback:time:{wired.id}", on_change=places.clear, width=160
        )
        has_reason = st.toggle("With a reason", key=f"feedback:reason:{wired.id}", on_change=places.clear)
    days = _PERIODS[period]
    since = browser.begin_day().timestamp() - (days - 1) * 86_400 if days else 0.0
    return FeedbackFilter(_VALUES[value], is_explained=has_reason, since=min(since, time.time()))


def _write_values(caller: Caller, wired: WiredFlow, only: FeedbackFilter) -> str:
    """How many ratings are good and how many bad; "" if the filter has one kind."""
    if only.value is not None:
        return ""
    kinds = [replace(only, value=value) for value in ("good", "bad")]
    good, bad = (bridge.ask(feedback.read_own, caller, wired.id, ratings.count_values, only=kind) for kind in kinds)
    return f": {_write_count(good)} good, {_write_count(bad)} bad"


def _render_item(wired: WiredFlow, item: FeedbackItem, names: Mapping[str, str], number: int) -> None:
    labels = ", ".join(LABELS[label] for label in item.rating.labels)
    version = f"version {item.flow_version[:_VERSION_CHARS]}" if item.flow_version else ""
    overridden = words.cut(", ".join(item.overrides), _NAMES_CHARS)
    overrides = f"overrides of {overridden}" if overridden else ""
    facts = words.join((browser.write_moment(item.at), item.model or "", version, overrides))
    with st.container(border=True, key=f"feedback:item:{number}"):
        st.markdown(f"{words.join((_ICONS[item.rating.value], labels))}  \n:small[:gray[{words.escape(facts)}]]")
        if item.rating.reason:
            st.text(item.rating.reason)
        if item.shared is None:
            st.caption(":material/lock: The conversation is not shared.")
            return
        st.caption(f"Shared by {words.escape(_name_owner(item.shared.owner, names))}")
        for who, text in (("Question", item.shared.question), ("Answer", item.shared.answer)):
            st.markdown(f":small[**{who}**]")
            st.text(words.cut(text, SHOWN_CHARS))
        act = partial(open_conversation, wired, item.message_id)
        render_action(
            "Open the conversation", schedule_dialog, wired.id, act, key=f"feedback:open:{number}", icon="forum"
        )


@st.dialog("Conversation", width="large")
def open_conversation(wired: WiredFlow, message_id: str) -> None:
    """A dialog with the conversation up to the rated answer, if it is still shared."""
    with bridge.render_refusals():
        read = ratings.read_conversation
        shared = bridge.ask(feedback.read_own, require_caller(), wired.id, read, message_id=message_id)
        if shared is None:
            st.info("This conversation is not shared any more.")
            return
        names = _find_names([shared.owner])
        st.caption(f"Shared by {words.escape(_name_owner(shared.owner, names))}, up to the answer that was rated.")
        if shared.has_earlier:
            st.caption("Earlier messages are left out.")
        for message in shared.messages:
            _render_message(wired, message)


def _render_message(wired: WiredFlow, message: StoredMessage) -> None:
    who = "Question" if message.role == "user" else "Answer"
    st.markdown(f":small[**{who}** · {browser.write_moment(message.created_at)}]")
    st.text(message.text or explain_failure(message.error or "").replace("`", "") or "The answer is empty.")
    for step in message.trace:
        name = wired.display_names.get(step.component_id) or step.component_id
        spent = (words.write_seconds(step.seconds), step.model or "", words.write_tokens(step.usage))
        facts = "skipped" if step.status == "skipped" else words.join(spent)
        st.markdown(f":small[:gray[{words.escape(words.join(('Step', name, facts)))}]]")
        if step.text:
            st.code(step.text, language=None, wrap_lines=True)


def _find_names(owners: Collection[str]) -> Mapping[str, str]:
    """Display names of those owners that are members."""
    return read_names({owner.id for owner in map(Owner.read, owners) if owner.kind == "member"})


def _name_owner(text: str, names: Mapping[str, str]) -> str:
    owner = Owner.read(text)
    if owner.kind == "member":
        return find_name(names, owner.id)
    return "a visitor" if owner.kind == "visitor" else "the owner of this computer"


def _write_count(count: int) -> str:
    return f"{count:,}+" if count == MOST_COUNTED else f"{count:,}"


def render_usage(caller: Caller, wired: WiredFlow) -> None:
    """Numbers, bars and errors of the chosen days, today being the last."""
    days = _USAGE_PERIODS[st.selectbox("Time", list(_USAGE_PERIODS), index=1, key=f"usage:time:{wired.id}", width=160)]
    since = browser.begin_day() - timedelta(days=days - 1)
    with bridge.render_refusals():
        found = bridge.ask(feedback.read_own, caller, wired.id, usage.sum_usage, since=since, days=days)
        if not found.runs:
            st.caption("No runs in this period.")
            return
        st.caption("All runs, including yours.")
        _render_numbers(found)
        st.caption("Includes every run that started. Rejected requests are not counted.")
        _render_days(found.days, browser.find_day(since))
        _render_failures(found.failures)
        if found.is_cut:
            st.caption(f"Only the newest {MOST:,} runs are counted.")


def _render_numbers(found: FlowUsage) -> None:
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


def _render_days(days: Sequence[UsedDay], first: date) -> None:
    most = max(day.runs for day in days)
    bars = []
    for number, day in enumerate(days):
        when = browser.spell_day(first + timedelta(days=number))
        failed = day.failed / max(day.runs, 1) * 100
        label = f"{when}: {words.count(day.runs, 'run')}" + (f", {day.failed:,} failed" if day.failed else "")
        bars.append(
            f'<div role="listitem" title="{escape(label)}"><span class="fg-unseen">{escape(label)}</span>'
            f'<i style="height:{day.runs / most * 100:.4g}%"><b style="height:{failed:.4g}%"></b></i></div>'
        )
    foot = (browser.spell_day(first), f"Most on one day: {most:,}", browser.spell_day(browser.find_today()))
    st.subheader("Runs a day", anchor=False)
    st.html(
        f'<div class="fg-bars" role="list">{"".join(bars)}</div>'
        f'<div class="fg-bars-foot">{"".join(f"<span>{text}</span>" for text in foot)}</div>'
    )


def _render_failures(failures: Sequence[FailureCount]) -> None:
    if not failures:
        return
    st.subheader("Errors", anchor=False)
    rows = [
        f"| {one.code.replace('_', ' ').capitalize()} | {one.runs:,} | {browser.write_moment(one.last_at)} |"
        for one in failures
    ]
    st.markdown("\n".join(["| Error | Runs | Last |", "| --- | --- | --- |", *rows]))
