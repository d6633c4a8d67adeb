"""*Try it*: makes the pane's request here and now, as a new token of who looks would, and shows what would come back.

Nothing is sent over the network: it is the API's own code on the same loop, from body to bytes. Its conversations
belong to the person's trials, not to their playground, as those of a token do.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus

import streamlit as st

from flowground import doors, runtime
from flowground.api.errors import answer_error, log_unexpected
from flowground.api.incoming import ApiRequest, RunBody
from flowground.api.stream import Frames
from flowground.api.wire import write_body
from flowground.asking import PersonTrying
from flowground.caller import Shape
from flowground.errors import ComponentFailed, FlowgroundError, explain_failure
from flowground.events import Event, Token, TurnFinished
from flowground.files import FileGone
from flowground.files.taken import take_files
from flowground.runtime import NumberedEvent
from flowground.shims.page_scripts import redraw_part
from flowground.snippets.request import SnippetRequest
from flowground.store.runs import files as stored_files
from flowground.ui.api_access.tokens import SEES_INSIDE
from flowground.ui.page import words
from flowground.ui.page.caller import bind_to_caller
from flowground.ui.page.keys import make_key
from flowground.values import FileReference
from flowground.wiring import WiredFlow
from flowground.words import cut

_LOOK = 0.25
"""Seconds between two looks at a growing answer; one that is there within the first is drawn at once."""
_HEIGHT = 320
_MOST = 60_000
"""Characters of an answer that are shown."""
_SAMPLE = 200
"""Characters of the sample message that are shown in its field."""

_bring_into_sight = st.components.v2.component(
    "flowground_in_sight",
    js='export default ({ parentElement }) => parentElement.scrollIntoView({ block: "nearest" });\n',
    isolate_styles=False,
)


@dataclass(slots=True)
class Trial:
    """One try of the pane's request, with a message of its own or the request's.

    `files` are of a message that the person sent at a page; a try has copies of its own. `said` is the body, or the
    stream as far as it came, and `text` the answer in it; written on the loop, read by pages.
    """

    request: SnippetRequest
    asker: PersonTrying
    message: str
    files: Sequence[FileReference] = ()
    status: int = 200
    said: str = ""
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


def draw_try(
    asker: PersonTrying, wired: WiredFlow, request: SnippetRequest, *, files: Sequence[FileReference] = ()
) -> None:
    """The message, the button, and below them the last try of this very request with the same rights.

    The try runs on the loop and a small part of the page looks at it: in a drawer, a script that waited for it could
    not be stopped. One that is no longer what the pane asks is stopped, and that is said.
    """
    key = f"try:{wired.id}"

    def draw() -> None:
        trial: Trial | None = st.session_state.get(key)
        is_this = trial is not None and (trial.request, trial.asker) == (request, asker)
        if trial and not is_this:
            _stop(trial)
        is_running = trial is not None and not trial.over.is_set()
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            sample = cut(" ".join(request.message.split()), _SAMPLE)
            st.text_input("Message to try", key=f"{key}:message", placeholder=sample)
            if trial and is_running:
                st.button("Stop", icon=":material/stop_circle:", key=f"{key}:stop", on_click=_stop, args=(trial,))
            else:
                begin = partial(_begin, asker, wired.id, request, files, key)
                said = "Runs this request here, as your new token would."
                st.button("Try it", icon=":material/play_arrow:", key=f"{key}:run", help=said, on_click=begin)
        if trial and is_running:
            st.fragment(partial(_watch, trial, key), run_every=_LOOK)()
        elif trial and is_this:
            with st.container(key=f"{key}:answer"):
                _draw_end(trial)
        elif trial and trial.is_stopped:
            st.caption("Stopped: the request was changed.")
        if trial and is_this:
            _bring_into_sight(key=make_key(f"{key}:sight"), data=[trial.begun, is_running])

    st.fragment(draw, key=key)()


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
    trial.over.wait(_LOOK)


def _stop(trial: Trial) -> None:
    if trial.task and not trial.over.is_set():
        runtime.get().loop.call_soon_threadsafe(trial.task.cancel)
        trial.over.wait(_LOOK)


def _watch(trial: Trial, key: str) -> None:
    if trial.over.is_set():
        redraw_part(key)
    st.markdown(f":shimmer[Running] :gray[:small[{time.perf_counter() - trial.begun:.0f} s]]")
    _draw_text(trial.text)


def _draw_text(text: str, language: str | None = None) -> None:
    """As it is, in no markup: a picture in an answer would ask another server for it."""
    is_tall = text.count("\n") > 14 or len(text) > 1_200
    if text:
        st.code(text, language=language, wrap_lines=True, height=_HEIGHT if is_tall else "content")


def _draw_end(trial: Trial) -> None:
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
    _draw_text(trial.text)
    if trial.said:
        with st.expander("Raw answer", type="compact") if trial.text else st.container():
            _draw_text(trial.said, "json" if trial.said.startswith("{\n") else None)


async def _run(flow_id: str, trial: Trial) -> None:
    """Fills the trial in, as the request goes on."""
    try:
        async with aclosing(_write_pieces(flow_id, trial)) as pieces:
            async for piece in pieces:
                trial.said = (trial.said + piece)[:_MOST]
    except FlowgroundError as error:
        _refuse(trial, error)
    except Exception as error:  # noqa: BLE001 - this is a door: the person is told that it ended
        _refuse(trial, log_unexpected(error))
    finally:
        trial.seconds = time.perf_counter() - trial.begun


def _refuse(trial: Trial, error: FlowgroundError) -> None:
    refusal = answer_error(error)
    trial.error, trial.status = error, refusal.status_code
    trial.said = _indent(json.loads(bytes(refusal.body)))


async def _write_pieces(flow_id: str, trial: Trial) -> AsyncGenerator[str, None]:
    """What the API would send, as text. Raises what it would answer with an error status."""
    request = trial.request
    body = RunBody.model_validate(request.write_body(trial.message))
    is_stream = request.mode == "stream"
    shape: Shape = "langflow" if request.mode == "langflow" else "simple"
    asked = body.make_request(framing="sse" if is_stream else None, shape=shape)
    ask = partial(_send_again, trial, flow_id, asked)
    answer = await doors.answer(runtime.get(), trial.asker, address=flow_id, ask=ask)
    finished = None if is_stream else await answer.finish()
    if isinstance(finished, TurnFinished):
        _note_answer(trial, finished)
        body_sent = write_body(answer.wired, asked, finished, sees_inside=answer.caller.sees_inside)
        yield _indent(body_sent)
        return
    frames = Frames(answer.wired, asked, answer.caller.sees_inside)
    stream = answer.follow(lambda events: frames.encode_numbered(_number(events, trial)), cut_off=frames.cut_off)
    async with aclosing(stream) as sent:
        async for frame in sent:
            yield frame.decode()


async def _send_again(trial: Trial, flow_id: str, asked: ApiRequest) -> ApiRequest:
    """The request with the person's files. Raises FileGone where one was deleted, and what `take_files` raises."""
    if not trial.files:
        return asked
    person, at = trial.asker.caller, runtime.get()
    present = await at.store.read(stored_files.find_present, keys=[file.id for file in trial.files])
    if gone := next((file for file in trial.files if file.id not in present), None):
        raise FileGone(gone.name)
    wired = await at.access.open_flow(person, flow_id)
    named = replace(asked, files=tuple(file.id for file in trial.files))
    most = at.settings.limits.message_files
    taken = await take_files(at.store, wired, named, caller=person, owners=[str(person.owner)], most=most)
    return replace(asked, tweaks=taken.tweaks, taken_files=taken.taken_files, sent_files=taken.sent_files)


async def _number(events: AsyncGenerator[Event, None], trial: Trial) -> AsyncGenerator[NumberedEvent, None]:
    """The events, counted; what they say and cost, and why they ended, is noted."""
    first, number = "", 0
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Token):
                    first = first or event.component_id
                    trial.text = (trial.text + event.text * (event.component_id == first))[:_MOST]
                elif isinstance(event, TurnFinished):
                    _note_answer(trial, event)
                number += 1
                yield NumberedEvent(number, event)
    except FlowgroundError as error:
        trial.error = error
        raise


def _note_answer(trial: Trial, finished: TurnFinished) -> None:
    trial.tokens = words.write_tokens(finished.usage)
    trial.text = "\n\n".join(output.text for output in finished.outputs)[:_MOST]


def _indent(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
