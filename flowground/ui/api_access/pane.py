"""The API access pane: where a flow answers programs, a token, code that calls it, overrides, and *Try it*.

*Try it* makes the pane's request here and now, as a new token of the person would, and shows what would come back.
Nothing is sent over the network: the API's own code runs on the same loop, from body to bytes. Conversations of tries
are kept apart from the person's playground, as those of a token are.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from flowground.access import Access, feedback
from flowground.api.errors import answer_error, log_unexpected
from flowground.api.incoming import ApiRequest, RunBody
from flowground.api.snippets import (
    CONVERSATION,
    DESCRIPTION,
    LANGUAGES,
    UPLOADS,
    Mode,
    Shell,
    SnippetRequest,
    find_starter,
    remembers,
    write_answer,
    write_export_line,
    write_markdown,
)
from flowground.api.stream import Frames
from flowground.api.wire import write_body
from flowground.app import endpoint, runtime
from flowground.app.authorize import PersonTrying
from flowground.core.caller import Caller, Shape
from flowground.core.errors import ComponentFailed, FlowgroundError, FlowNotFound, explain_failure
from flowground.core.events import Event, Token, TurnFinished
from flowground.core.values import FileReference
from flowground.core.words import cut, fold, has_words
from flowground.flows.tweaks import FieldValues
from flowground.flows.wiring import WiredFlow, keeps_messages
from flowground.runs.files import FileGone
from flowground.runs.request_files import take_files
from flowground.store.runs import files as stored_files
from flowground.store.runs import usage
from flowground.store.runs.usage import RunNumbers
from flowground.ui.api_access import tokens
from flowground.ui.api_access.tokens import SEES_INSIDE
from flowground.ui.overrides import tab
from flowground.ui.overrides.tab import find_overrides_state, write_count
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller, require_caller
from flowground.ui.page.parts import make_key
from flowground.ui.shell import opening
from flowground.ui.shims.streamlit_process import redraw_part

_LOOK_SECONDS = 0.25
"""Seconds between two looks at a growing answer; an answer that is there before the first is rendered at once."""
_ANSWER_HEIGHT = 320
_ANSWER_CHARS = 60_000
"""Most characters of an answer that are shown."""
_SAMPLE_CHARS = 200
"""Characters of the sample message that are shown in its field."""

_scroll_into_view = st.components.v2.component(
    "flowground_in_sight",
    js='export default ({ parentElement }) => { parentElement.scrollIntoView({ block: "nearest" }); };\n',
    isolate_styles=False,
)

Option = TypeVar("Option", bound=str)

_DRAWER = 680
_CODE_HEIGHT = 360
_MESSAGE_CHARS = 60
_MOST_UNSEARCHED = 6
"""Flows that are listed without a search field."""
_MOST_FLOWS = 30
"""Flows that are listed at once."""
_NUMBERS_TTL_SECONDS = 10
"""Seconds for which the numbers of the last day are cached."""
_MODES: Mapping[Mode, str] = {"simple": "Simple", "stream": "Stream", "langflow": "Langflow"}
_ABOUT: Mapping[Mode, str] = {
    "simple": "One flat object.",
    "stream": "Server-sent events: pieces as they are written, then the whole.",
    "langflow": "The body that Langflow sends, for clients written for it.",
}
_SHELLS: Mapping[Shell, str] = {"bash": "bash", "powershell": "PowerShell"}


@dataclass(frozen=True, slots=True)
class PastCall:
    """The call behind one message of a chat: its text, its conversation, its overrides and its files."""

    message: str
    session_id: str
    overrides: FieldValues = field(default_factory=dict)
    files: Sequence[FileReference] = ()


def render_choice(caller: Caller) -> None:
    """Without a flow in the address: the flows that the caller may run over the API. Ends the page if there is none."""
    found = bridge.ask(_list_runnable, caller)
    opening.require_allowed(bool(found))
    st.title("API access", anchor=False)
    st.caption("Choose the flow that your program will call.")
    wanted = ""
    if len(found) > _MOST_UNSEARCHED:
        wanted = parts.render_search("api", "Search flows", width="stretch")
    asked = fold(wanted).split()
    shown = [wired for wired in found if has_words(f"{wired.name} {wired.id}", asked)]
    for wired in shown[:_MOST_FLOWS]:
        with st.container(border=True, gap=None, key=f"api:flow:{wired.id}"):
            query = {"flow": wired.id}
            st.page_link(browser.API_ACCESS, label=words.escape(wired.name), query_params=query, width="stretch")
            st.caption(f"`POST /api/v1/run/{wired.id}`")
    if len(shown) > _MOST_FLOWS:
        st.caption(f"{words.count(len(shown) - _MOST_FLOWS, 'more flow')}: search for a part of the name.")
    if not shown:
        st.caption(f"No flow has “{words.escape(wanted)}” in its name.")


async def _list_runnable(access: Access, caller: Caller) -> list[WiredFlow]:
    return [wired for wired in await access.list_flows(caller) if await access.may_run_api(caller, wired)]


def open_drawer(wired: WiredFlow, call: PastCall | None = None) -> None:
    """Opens the pane beside the chat; with `call`, for the call behind a message."""
    st.session_state.pop(_make_before_key(wired), None)
    title = f"API access · {words.escape(wired.name)}"
    render = st.dialog(title, width=_DRAWER, position="right", icon=":material/code:", on_dismiss="rerun")(
        _render_drawer
    )
    render(wired.id, call)


def _render_drawer(flow_id: str, call: PastCall | None) -> None:
    """Renders the pane in a drawer, which runs without its page: rights are checked again here."""
    caller = require_caller()
    wired = None
    with suppress(FlowNotFound):
        wired = bridge.ask(Access.open_flow, caller, flow_id)
    if wired is None or not bridge.ask(Access.may_run_api, caller, wired):
        st.rerun(scope="app")  # then the page says that the flow is closed
        return
    render_pane(caller, wired, call=call)


def render_pane(caller: Caller, wired: WiredFlow, *, call: PastCall | None = None) -> None:
    """The pane's content, in the drawer and on its own page, for somebody who may run the flow over the API.

    First the flow's address, then two steps (a token, the code), then what is needed less often.
    """
    values = call.overrides if call else find_overrides_state(caller, wired).good
    if off := parts.find_sentence(caller, wired, values):
        st.info(words.escape(off), icon=":material/power_settings_new:")
    address = st.container()
    _render_call(wired, call)
    # The author's own example is shown only to who sees the inside.
    message = call.message if call else None if caller.sees_inside else find_starter(wired)
    asked = SnippetRequest(
        browser.find_base_url(),
        wired.id,
        session_id=call.session_id if call else CONVERSATION if _goes_on(wired) else None,
        tweaks=values,
        mode=st.session_state.get(f"api:mode:{wired.id}") or "simple",
        files=[file.name for file in call.files] if call else (),
    ).fit(wired, message)
    fresh = tokens.find_fresh(wired)
    with address:
        _render_address(asked)
    st.header("1 · Token", anchor=False)
    tokens.follow_overrides(caller, wired, asked.tweaks)
    caller = tokens.render_step(caller, wired, fresh)
    first_line = st.container()
    st.header("2 · Code", anchor=False)
    request = _render_options(wired, asked, fresh, is_past=call is not None)
    with first_line:
        _render_first_line(request, fresh)
    tabs = _render_codes(wired, request, None if call else values)
    _render_answer(request)
    if not call:
        with tabs[-1]:
            tab.render_overrides(caller, wired, sent=request.tweaks)
    tokens.render_lacking(caller, wired, fresh, request.tweaks)
    _render_notes(caller, wired, asked)
    person = PersonTrying(caller, *tokens.choose_rights(caller, wired, fresh))
    render_try(person, wired, asked, files=call.files if call else ())
    tokens.render_tokens(caller, wired)
    _render_foot(caller, wired, request)


def _render_notes(caller: Caller, wired: WiredFlow, request: SnippetRequest) -> None:
    """Notes on calls that wait: for the built-in model to be fetched, or for a person's approval."""
    if note := parts.announce_fetch(wired, sees_inside=caller.sees_inside, on="call"):
        st.caption(f":material/download: {note}")
    if wired.asks_people:
        says = (
            "Before it calls some of its tools, this flow asks the person whose token it is. Such a run waits: a plain "
            "answer is 202, and a stream says `waiting`, with `call` and `digest`. "
            f"`POST {request.find_url('/api/v1/runs')}/{{run_id}}/decisions` takes them with "
            '`"decision": "once"` or `"refuse"`, and the run goes on. '
            "*Try it* asks nobody, so such a call is refused there: try it in the chat."
        )
        st.caption(f":material/front_hand: {says}")


def _render_codes(wired: WiredFlow, request: SnippetRequest, values: FieldValues | None) -> Sequence[DeltaGenerator]:
    """The code in each tab; returns all tabs. With `values`, the last tab is for the overrides and still empty."""
    labels, key = [language.title for language in LANGUAGES.values()], f"api:tabs:{wired.id}"
    if values is None:
        tabs = st.tabs(labels, key=f"{key}:asked")
    else:
        labels.append(tab.write_title(values))
        # When a label changes, the browser opens the default tab: after a change here, the tab of overrides.
        before = st.session_state.setdefault(_make_before_key(wired), values)
        tabs = st.tabs(labels, key=key, default=labels[0] if before == values else labels[-1])
    for name, place in zip(LANGUAGES, tabs, strict=False):
        with place:
            _render_code(request, name)
    return tabs


def _render_answer(request: SnippetRequest) -> None:
    """An example of the answer, below the code."""
    session = "What is sent with one `session_id` is one conversation."
    st.caption(f"**Answer.** {_ABOUT[request.mode]} {session} An error has a `detail`, mostly a `code` and a `hint`.")
    st.code(write_answer(request), language=None if request.mode == "stream" else "json", wrap_lines=True)


def _render_address(request: SnippetRequest) -> None:
    """The flow's whole address, which the code below calls."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key="api:address"):
        st.badge("POST", color="blue")
        st.markdown(f"`{request.url}`")
        st.space("stretch")
        parts.render_copy(request.url, what="the address", key=f"address:{request.flow_id}")


def _goes_on(wired: WiredFlow) -> bool:
    """Whether the code continues a conversation: as chosen, by default if the flow reads earlier messages."""
    return bool(st.session_state.get(f"api:session:{wired.id}", remembers(wired))) and keeps_messages(wired)


def _render_options(
    wired: WiredFlow, asked: SnippetRequest, fresh: tokens.FreshToken | None, *, is_past: bool
) -> SnippetRequest:
    """Options of the code, such as the kind of answer; returns the request for which code is written."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _choose("Answer", _MODES, key=f"api:mode:{wired.id}")
        st.space("stretch")
        if not is_past and keeps_messages(wired):
            st.toggle("Continue a conversation", value=remembers(wired), key=f"api:session:{wired.id}")
        is_written = fresh and st.toggle("Write the token into the code", key=f"api:write:{wired.id}")
    if is_written:
        st.caption("The code holds the token: share it with nobody.")
    if asked.takes_files and not asked.files:
        says = (
            "This flow takes files: `--file NAME` in Python, the name behind the message in JavaScript. For cURL, "
            f"upload one with `--form file=@NAME` to `{asked.find_url(UPLOADS)}`, and send its `id` as "
            '`"files": ["ID"]`.'
        )
        st.caption(f":material/attach_file: {says}")
    # No text for PowerShell uploads files.
    shell: Shell = "bash" if asked.files else st.session_state.get(f"api:shell:{wired.id}") or "bash"
    return replace(asked, token=fresh.secret if fresh and is_written else None, shell=shell)


def _choose(label: str, titles: Mapping[Option, str], *, key: str) -> Option:
    """A segmented control; returns the chosen name, at first the first one."""
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


@st.cache_data(ttl=_NUMBERS_TTL_SECONDS, show_spinner=False, max_entries=256)
def _read_last_day(flow_id: str) -> RunNumbers:
    since = datetime.now(UTC) - timedelta(days=1)
    return bridge.read(usage.sum_up, flow_id=flow_id, since=since)


def _render_numbers(found: RunNumbers) -> None:
    """The flow's last day, for who sees its inside: runs, their times, how many failed, and the last failure."""
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
        last = f"last failure `{found.last_failure}` {browser.write_since(found.last_failure_at)}"
    st.caption(words.join((f"Last 24 hours: {count}", p50, p95, failed, last)))


def _render_call(wired: WiredFlow, call: PastCall | None) -> None:
    """Which call the code makes: the one behind a message, if it is one."""
    if call is None:
        if wired.policy.asked:
            st.caption("To get code with a chat's options, use *Copy as code* under an answer.")
        return
    overrides = f" with {write_count(call.overrides)}" if call.overrides else ""
    text = words.escape(words.cut(call.message, _MESSAGE_CHARS))
    st.caption(f"The call behind “{text or 'files alone'}”{overrides}, in the conversation it was said in.")
    if call.files:
        names = words.escape(", ".join(file.name for file in call.files))
        says = f"The code uploads {names} from the folder that it runs in; *Try it* sends what the message had."
        st.caption(f":material/attach_file: {says}")


def _render_first_line(request: SnippetRequest, fresh: tokens.FreshToken | None) -> None:
    """The line that sets the token in the environment of the chosen shell, unless the code holds the token."""
    if request.token:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("**Set your API key**: run this first.")
        st.space("stretch")
        shell = _choose("Shell", _SHELLS, key=f"api:shell:{request.flow_id}")
        line = write_export_line(fresh.secret if fresh else None, shell=shell)
        parts.render_copy(line, what="the line", key=f"first:{request.flow_id}")
    with parts.hide_other_button(f"first:{request.flow_id}"):
        st.code(line, language=shell, wrap_lines=True)


def _render_foot(caller: Caller, wired: WiredFlow, request: SnippetRequest) -> None:
    """The numbers of the last day, and all snippets as one Markdown text."""
    if caller.sees_inside:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _render_numbers(_read_last_day(wired.id))
            if feedback.may_read(runtime.get().access, caller, wired):
                st.page_link(browser.USAGE, label="Usage", query_params={"flow": wired.id}, width="content")
    described = request.find_url(DESCRIPTION)
    # Keep this sentence in step with docs/api.md.
    st.caption(f"[OpenAPI spec]({described}). OpenAI-compatible endpoints are not available yet.")
    key = f"api:markdown:{wired.id}"
    every = st.expander("All as Markdown", icon=":material/article:", type="compact", key=key, on_change="rerun")
    if every.open:
        with every:
            text = write_markdown(request, title=wired.name)
            parts.render_copy(text, what="the Markdown", key=f"markdown:{wired.id}")
            with parts.hide_other_button(f"markdown:{wired.id}"):
                st.code(text, language="markdown", height=_CODE_HEIGHT, wrap_lines=True)


def _make_before_key(wired: WiredFlow) -> str:
    return f"api:before:{wired.id}"


def _render_code(request: SnippetRequest, name: str) -> None:
    """The code of one language: a script to save and run, or a command to paste."""
    language = LANGUAGES[name]
    is_script = language.argument is not None
    with parts.hide_other_button(f"{name}:{request.flow_id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.caption(words.escape(language.file_name) if is_script else f"Paste it into {_SHELLS[request.shell]}")
            st.space("stretch")
            parts.render_copy(text := language.write(request), what=f"the {language.title} code", key=f"code:{name}")
        st.code(text, language=language.highlight if is_script else request.shell, wrap_lines=True)
        if is_script:
            command = language.write_command(request.message)
            with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
                st.caption(f"Saved under that name, it runs as `{command}`")
                parts.render_copy(command, what=f"the {language.title} command", key=f"command:{name}")


@dataclass(slots=True)
class Trial:
    """One try of the pane's request, with a message of its own or the request's.

    `files` are those of a message that the person sent at a page; a try gets copies. `body` is the response's body, or
    as much of its stream as came, and `text` the answer in it. The loop writes these, pages read them.
    """

    request: SnippetRequest
    asker: PersonTrying
    message: str
    files: Sequence[FileReference] = ()
    status: int = 200
    body: str = ""
    text: str = ""
    begun: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    tokens: str = ""
    error: FlowgroundError | None = None
    task: asyncio.Task[None] | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def is_stopped(self) -> bool:
        return self.task is not None and self.task.cancelled()


def render_try(
    asker: PersonTrying, wired: WiredFlow, request: SnippetRequest, *, files: Sequence[FileReference] = ()
) -> None:
    """The message, the button, and below them the last try of this request with the same rights.

    The try runs on the loop, and a fragment looks at it: in a drawer, a script that waited for it could not be stopped.
    If the request changes, a running try of the earlier one is stopped, and a caption says so.
    """
    key = f"try:{wired.id}"

    def render() -> None:
        trial: Trial | None = st.session_state.get(key)
        is_this = trial is not None and (trial.request, trial.asker) == (request, asker)
        if trial and not is_this:
            _stop(trial)
        is_running = trial is not None and not trial.over.is_set()
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            sample = cut(" ".join(request.message.split()), _SAMPLE_CHARS)
            st.text_input("Message to try", key=f"{key}:message", placeholder=sample)
            if trial and is_running:
                st.button("Stop", icon=":material/stop_circle:", key=f"{key}:stop", on_click=_stop, args=(trial,))
            else:
                begin = partial(_begin, asker, wired.id, request, files, key)
                says = "Runs this request here, as your new token would."
                st.button("Try it", icon=":material/play_arrow:", key=f"{key}:run", help=says, on_click=begin)
        if trial and is_running:
            st.fragment(partial(_watch, trial, key), run_every=_LOOK_SECONDS)()
        elif trial and is_this:
            with st.container(key=f"{key}:answer"):
                _render_end(trial)
        elif trial and trial.is_stopped:
            st.caption("Stopped: the request was changed.")
        if trial and is_this:
            _scroll_into_view(key=make_key(f"{key}:sight"), data=[trial.begun, is_running])

    st.fragment(render, key=key)()


@bind_to_caller
def _begin(
    asker: PersonTrying, flow_id: str, request: SnippetRequest, files: Sequence[FileReference], key: str
) -> None:
    typed: str | None = st.session_state.get(f"{key}:message")
    st.session_state[key] = trial = Trial(request, asker, (typed or "").strip() or request.message, files)
    loop = runtime.get().loop

    def start() -> None:
        trial.task = loop.create_task(_run(flow_id, trial))
        trial.task.add_done_callback(lambda _: trial.over.set())

    loop.call_soon_threadsafe(start)
    trial.over.wait(_LOOK_SECONDS)


def _stop(trial: Trial) -> None:
    if trial.task and not trial.over.is_set():
        runtime.get().loop.call_soon_threadsafe(trial.task.cancel)
        trial.over.wait(_LOOK_SECONDS)


def _watch(trial: Trial, key: str) -> None:
    if trial.over.is_set():
        redraw_part(key)
    st.markdown(f":shimmer[Running] :gray[:small[{time.perf_counter() - trial.begun:.0f} s]]")
    _render_text(trial.text)


def _render_text(text: str, language: str | None = None) -> None:
    """The text as it is, without markup: a picture in an answer would be fetched from another server."""
    is_tall = text.count("\n") > 14 or len(text) > 1_200
    if text:
        st.code(text, language=language, wrap_lines=True, height=_ANSWER_HEIGHT if is_tall else "content")


def _render_end(trial: Trial) -> None:
    color = "gray" if trial.is_stopped else "green" if trial.error is None else "red"
    phrase = "Stopped" if trial.is_stopped else f"{trial.status} {HTTPStatus(trial.status).phrase}"
    facts = words.join((words.write_seconds(trial.seconds), trial.tokens))
    st.markdown(f":{color}-badge[{phrase}] :gray[:small[{facts}]]")
    if trial.error:
        hint = trial.error.hint
        if (
            isinstance(trial.error, ComponentFailed)
            and trial.asker.sees == "answers"
            and trial.asker.caller.sees_inside
        ):
            hint = f"Only tokens that see the inside are told why: tick “{SEES_INSIDE}” in step 1, and try again."
        says = words.write_sentence(explain_failure(trial.error.message))
        st.error(f"{says}  \n{words.write_sentence(hint)}" if hint else says, icon=":material/error:")
    _render_text(trial.text)
    if trial.body:
        with st.expander("Raw answer", type="compact") if trial.text else st.container():
            _render_text(trial.body, "json" if trial.body.startswith("{\n") else None)


async def _run(flow_id: str, trial: Trial) -> None:
    """Makes the request and fills in the trial as it goes on."""
    try:
        async with aclosing(_write_pieces(flow_id, trial)) as pieces:
            async for piece in pieces:
                trial.body = (trial.body + piece)[:_ANSWER_CHARS]
    except FlowgroundError as error:
        _refuse(trial, error)
    except Exception as error:  # noqa: BLE001 - as at an endpoint: whatever fails, the person reads that it did
        _refuse(trial, log_unexpected(error))
    finally:
        trial.seconds = time.perf_counter() - trial.begun


def _refuse(trial: Trial, error: FlowgroundError) -> None:
    refusal = answer_error(error)
    trial.error, trial.status = error, refusal.status_code
    trial.body = _indent(json.loads(bytes(refusal.body)))


async def _write_pieces(flow_id: str, trial: Trial) -> AsyncGenerator[str, None]:
    """What the API would send, as text. Raises the errors that the API would answer with a status."""
    request = trial.request
    body = RunBody.model_validate(request.write_body(trial.message))
    is_stream = request.mode == "stream"
    shape: Shape = "langflow" if request.mode == "langflow" else "simple"
    asked = body.make_request(framing="sse" if is_stream else None, shape=shape)
    ask = partial(_send_again, trial, flow_id, asked)
    answer = await endpoint.answer(runtime.get(), trial.asker, address=flow_id, ask=ask)
    finished = None if is_stream else await answer.finish()
    if isinstance(finished, TurnFinished):
        _record_answer(trial, finished)
        body_sent = write_body(answer.wired, asked, finished, sees_inside=answer.caller.sees_inside)
        yield _indent(body_sent)
        return
    frames = Frames(answer.wired, asked, answer.caller.sees_inside)
    events, place = _note(answer.stream_events(), trial), answer.place
    stream = endpoint.follow(runtime.get(), events, frames.encode_numbered, cut_off=frames.cut_off, place=place)
    async with aclosing(stream) as sent:
        async for frame in sent:
            yield frame.decode()


async def _send_again(trial: Trial, flow_id: str, asked: ApiRequest) -> ApiRequest:
    """The request with copies of the person's files. Raises FileGone if one was deleted, and what `take_files`
    raises."""
    if not trial.files:
        return asked
    person, at = trial.asker.caller, runtime.get()
    present = await at.store.read(stored_files.find_present, keys=[file.id for file in trial.files])
    if gone := next((file for file in trial.files if file.id not in present), None):
        raise FileGone(gone.name)
    wired = await at.access.open_flow(person, flow_id)
    named = replace(asked, files=tuple(file.id for file in trial.files))
    most = at.settings.limits.message_files
    taken = await take_files(at.store, wired, named, caller=person, most=most)
    return replace(asked, tweaks=taken.tweaks, taken_files=taken.taken_files, sent_files=taken.sent_files)


async def _note(events: AsyncGenerator[Event, None], trial: Trial) -> AsyncGenerator[Event, None]:
    """The same events; fills in the trial's text, tokens and error."""
    first = ""
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Token):
                    first = first or event.component_id
                    trial.text = (trial.text + event.text * (event.component_id == first))[:_ANSWER_CHARS]
                elif isinstance(event, TurnFinished):
                    _record_answer(trial, event)
                yield event
    except FlowgroundError as error:
        trial.error = error
        raise


def _record_answer(trial: Trial, finished: TurnFinished) -> None:
    trial.tokens = words.write_tokens(finished.usage)
    trial.text = "\n\n".join(output.text for output in finished.outputs)[:_ANSWER_CHARS]


def _indent(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
