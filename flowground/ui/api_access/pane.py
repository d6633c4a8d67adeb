"""The API access pane: where a flow answers programs, code that asks it, overrides for it, tokens to ask with."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.overrides import FieldValues
from flowground.snippets import (
    DEFAULT_MESSAGE,
    LANGUAGES,
    Shell,
    SnippetRequest,
    write_export_line,
    write_markdown,
    write_snippets,
)
from flowground.store.runs import numbers
from flowground.store.runs.numbers import RunNumbers
from flowground.ui.api_access import tokens, try_it
from flowground.ui.overrides import tab
from flowground.ui.overrides.state import find_overrides_state, write_count
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.shell import opening
from flowground.wiring import WiredFlow

Mode = Literal["plain", "stream", "simple"]
Option = TypeVar("Option", bound=str)

_WIDTH = 680
_CODE_HEIGHT = 360
_SHOWN = 60
_FRESH = 10
"""Seconds for which the last day's runs are not counted again."""
_MODES: Mapping[Mode, str] = {
    "plain": "The whole answer in one body, in Langflow's shape.",
    "stream": "The answer as it is written, piece by piece.",
    "simple": "The whole answer in one short body: text, session, usage.",
}
_SHELLS: Mapping[Shell, str] = {"bash": "bash", "powershell": "PowerShell"}
_TITLES = {"python": "Python", "javascript": "JavaScript", "curl": "cURL"}


@dataclass(frozen=True, slots=True)
class PastCall:
    """The call behind one message of a chat; `overrides` as `overrides.drop_inputs` gives them."""

    message: str
    session_id: str
    overrides: FieldValues = field(default_factory=dict)


def draw_choice(caller: Caller) -> None:
    """For who comes without a flow: those that they may run over the API. Ends the page where there is none."""
    names = {wired.id: wired.name for wired in bridge.ask(_list_runnable, caller)}
    opening.require_allowed(bool(names))
    st.header("API access", anchor=False)
    chosen = st.selectbox(
        "Flow", list(names), index=None, format_func=lambda key: names[key], key="api:flow", placeholder="Choose a flow"
    )
    if chosen:
        st.query_params["flow"] = chosen
        st.rerun()


async def _list_runnable(access: Access, caller: Caller) -> list[WiredFlow]:
    return [wired for wired in await access.list_flows(caller) if await access.may_run_api(caller, wired)]


def open_drawer(wired: WiredFlow, call: PastCall | None = None) -> None:
    """The pane beside the chat; `call` shows the one behind a message."""
    st.session_state.pop(_make_before_key(wired), None)
    _draw_drawer(wired.id, call)


@st.dialog("API access", width=_WIDTH, position="right", icon=":material/code:", on_dismiss="rerun")
def _draw_drawer(flow_id: str, call: PastCall | None) -> None:
    """A drawer runs without its page: who looks, and what they may see, is asked again here."""
    caller = require_visitor()
    wired = None
    with suppress(FlowNotFound):
        wired = bridge.ask(Access.open_flow, caller, flow_id)
    if wired is None or not bridge.ask(Access.may_run_api, caller, wired):
        st.rerun(scope="app")  # who may not have it any more meets the page's own answer
        return
    draw_pane(caller, wired, call=call)


def draw_pane(caller: Caller, wired: WiredFlow, *, call: PastCall | None = None) -> None:
    """The pane's content, in the drawer and on the page of its own. For somebody who may run the flow over the API."""
    values = call.overrides if call else find_overrides_state(caller, wired).good
    mode, corner = _draw_endpoint(caller, wired)
    if call:
        _draw_past_call(call)
    token, shell = _draw_token(wired)
    # The author's own example is a part of the inside.
    message = call.message if call else None if caller.sees_inside else DEFAULT_MESSAGE
    request = SnippetRequest(
        browser.find_base_url(),
        wired.id,
        session_id=call.session_id if call else None,
        tweaks=values,
        stream=mode == "stream",
        shape="simple" if mode == "simple" else "langflow",
        token=token,
    ).fit(wired, message)
    with corner:
        _draw_markdown(request, title=wired.name)
    tabs = _draw_tabs(wired, None if call else values)
    for name, place in zip(_TITLES, tabs, strict=False):
        with place:
            _draw_code(request, "powershell" if name == "curl" and shell == "powershell" else name)
    if not call:
        with tabs[-1]:
            tab.draw_overrides(caller, wired, sent=request.tweaks)
    try_it.draw_try(caller, wired, request)
    st.divider()
    tokens.draw_tokens(caller, wired)


def _draw_endpoint(caller: Caller, wired: WiredFlow) -> tuple[Mode, DeltaGenerator]:
    """Where the flow answers, how its last runs went, which kind of answer is wanted; and a free corner beside that."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge("POST", color="primary")
        st.markdown(f"`/api/v1/run/{wired.id}`")
        st.space("stretch")
        mode = _choose("Answer", {mode: mode.capitalize() for mode in _MODES}, key=f"api:mode:{wired.id}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_MODES[mode])
        st.space("stretch")
        corner = st.container(width="content")
    if caller.sees_inside:
        _draw_numbers(_read_last_day(wired.id))
    return mode, corner


def _choose(label: str, titles: Mapping[Option, str], *, key: str) -> Option:
    """One of a few side by side, the first when nobody chose."""
    names = list(titles)
    chosen: Option = st.segmented_control(
        label,
        names,
        default=names[0],
        required=True,
        format_func=lambda name: titles[name],
        key=key,
        label_visibility="collapsed",
    )
    return chosen


@st.cache_data(ttl=_FRESH, show_spinner=False, max_entries=256)
def _read_last_day(flow_id: str) -> RunNumbers:
    since = datetime.now(UTC) - timedelta(days=1)
    return bridge.read(numbers.sum_up, flow_id=flow_id, since=since)


def _draw_numbers(found: RunNumbers) -> None:
    """The flow's last day, for its authors: runs, how long they took, how many failed, what failed last."""
    if not found.runs:
        st.caption("No runs in the last 24 hours.")
        return
    p50 = "" if found.p50 is None else f"p50 {words.write_seconds(found.p50)}"
    p95 = "" if found.p95 is None else f"p95 {words.write_seconds(found.p95)}"
    count = words.count(found.runs, "run")
    rate = found.error_rate
    failed = "none failed" if not rate else "under 0.1 % failed" if rate < 0.001 else f"{rate * 100:.3g} % failed"
    last = ""
    if found.last_failure_at is not None:
        minutes = int((datetime.now(UTC) - found.last_failure_at).total_seconds() // 60)
        when = "just now" if minutes < 1 else f"{minutes} min ago" if minutes < 60 else f"{minutes // 60} h ago"
        last = f"last failure `{found.last_failure}` {when}"
    st.caption(words.join((f"Last 24 hours: {count}", p50, p95, failed, last)))


def _draw_past_call(call: PastCall) -> None:
    said = f" with {write_count(call.overrides)}" if call.overrides else ""
    text = words.escape(words.cut(call.message, _SHOWN))
    st.caption(f"The call behind “{text}”{said}, in the conversation it was said in.")


def _draw_token(wired: WiredFlow) -> tuple[str | None, Shell]:
    """A token that was made here just now, as a line that puts it into the environment of the shell chosen beside it.

    Returns that shell, and the token where the code itself is to hold it and needs no such line.
    """
    secret, is_written = tokens.find_fresh_secret(wired), False
    if secret:
        st.success("Your new token, shown this once. Keep it where you keep passwords.", icon=":material/key:")
        is_written = st.toggle("Write the token into the code", key=f"api:write:{wired.id}")
    said = "Run this line first; the code reads the token from the environment."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("The code holds the token: share it with nobody." if is_written else said)
        st.space("stretch")
        shell = _choose("Shell", _SHELLS, key=f"api:shell:{wired.id}")
    if is_written:
        return secret, shell
    st.code(write_export_line(secret, shell=shell), language=shell)
    return None, shell


def _draw_markdown(request: SnippetRequest, *, title: str) -> None:
    """All texts at once, for a wiki page or a colleague."""
    menu = st.popover(
        "All as Markdown",
        icon=":material/content_copy:",
        type="tertiary",
        key=f"api:markdown:{request.flow_id}",
        on_change="rerun",
    )
    if menu.open:
        with menu:
            text = write_markdown(write_snippets(request), title=title, needs_token=request.token is None)
            st.code(text, language="markdown", height=_CODE_HEIGHT)


def _draw_tabs(wired: WiredFlow, values: FieldValues | None) -> Sequence[DeltaGenerator]:
    """A tab a language, and one for the overrides `values`, where they may be changed."""
    labels = list(_TITLES.values())
    if values is None:
        return st.tabs(labels, key=f"api:tabs:{wired.id}:asked")
    labels.append(tab.write_title(values))
    # A label that changes makes the browser open the default tab: once something was changed here, that is this one.
    before = st.session_state.setdefault(_make_before_key(wired), values)
    return st.tabs(labels, key=f"api:tabs:{wired.id}", default=labels[0] if before == values else labels[-1])


def _make_before_key(wired: WiredFlow) -> str:
    return f"api:before:{wired.id}"


def _draw_code(request: SnippetRequest, language: str) -> None:
    text = LANGUAGES[language].write(request)
    is_tall = text.count("\n") * 20 > _CODE_HEIGHT
    st.code(text, language=LANGUAGES[language].highlight, height=_CODE_HEIGHT if is_tall else "content")
    st.caption(f"Saved as {words.escape(LANGUAGES[language].file_name)}, it runs as `{LANGUAGES[language].command}`")
