"""*Try it*: makes the pane's request here and now, as the person who looks at it, and shows what would come back.

Nothing is sent over the network: it is the API's own code on the same loop, from body to bytes. Its conversations
belong to the person's trials, not to their playground, as those of a token do.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus

import streamlit as st

from flowground import runtime
from flowground.api.body import RunBody
from flowground.api.errors import error_response, unexpected
from flowground.api.simple import simple_result
from flowground.api.stream import langflow_frames, say
from flowground.api.wire import Wire
from flowground.caller import Caller
from flowground.errors import FlowgroundError, NotAllowed
from flowground.events import Event, TurnFinished, TurnStarted
from flowground.snippets import SnippetRequest
from flowground.ui import words
from flowground.ui.caller import for_its_caller
from flowground.wiring import WiredFlow

_LOOK = 0.25
"""Seconds between two looks at a growing answer; one that is there within the first is drawn at once."""
_HEIGHT = 320
_MOST = 60_000
"""Characters of an answer that are shown."""


@dataclass(slots=True)
class Trial:
    """One try. `said` is the body, or the stream as far as it came; written on the loop, read by pages."""

    request: SnippetRequest
    status: int = 200
    said: str = ""
    seconds: float = 0.0
    tokens: str = ""
    error: FlowgroundError | None = None
    stopped: bool = False
    task: asyncio.Task[None] | None = None
    over: threading.Event = field(default_factory=threading.Event)


def draw_try(caller: Caller, flow: WiredFlow, request: SnippetRequest) -> None:
    """The button, and below it the last try of this very request.

    The try runs on the loop and a small part of the page looks at it: in a drawer, a script that waited for it could
    not be stopped.
    """
    key = f"try:{flow.id}"

    def draw() -> None:
        trial: Trial | None = st.session_state.get(key)
        running = trial is not None and not trial.over.is_set()
        if trial is not None and running:
            st.button("Stop", icon=":material/stop_circle:", key=f"{key}:stop", on_click=_stop, args=(trial,))
        else:
            begin = partial(_begin, caller, flow.id, request, key)
            said = "Runs this request here, as you."
            st.button("Try it", icon=":material/play_arrow:", key=f"{key}:run", help=said, on_click=begin)
        if trial is None or trial.request != request:
            return
        if running:
            st.fragment(partial(_watch, trial, key), run_every=_LOOK)()
        else:
            _draw_end(trial)

    st.fragment(draw, key=key)()


@for_its_caller
def _begin(caller: Caller, flow_id: str, request: SnippetRequest, key: str) -> None:
    st.session_state[key] = trial = Trial(request)
    loop = runtime.current().loop

    def start() -> None:
        trial.task = loop.create_task(_run(caller, flow_id, trial))
        trial.task.add_done_callback(lambda _: trial.over.set())

    loop.call_soon_threadsafe(start)
    trial.over.wait(_LOOK)


def _stop(trial: Trial) -> None:
    if trial.task:
        runtime.current().loop.call_soon_threadsafe(trial.task.cancel)
        trial.over.wait(_LOOK)


def _watch(trial: Trial, key: str) -> None:
    if trial.over.is_set():
        st.rerun(scope=key)
    st.markdown(":shimmer[Running]")
    if trial.said:
        st.code(trial.said, language=None, wrap_lines=True, height=_HEIGHT)


def _draw_end(trial: Trial) -> None:
    color = "gray" if trial.stopped else "green" if trial.error is None else "red"
    phrase = "Stopped" if trial.stopped else f"{trial.status} {HTTPStatus(trial.status).phrase}"
    facts = words.line((words.seconds(trial.seconds), trial.tokens))
    st.markdown(f":{color}-badge[{phrase}] :gray[:small[{facts}]]")
    if trial.error:
        hint = f"  \n{words.plain(trial.error.hint)}" if trial.error.hint else ""
        st.error(words.sentence(trial.error.message) + hint, icon=":material/error:")
    if trial.said:
        language = None if trial.request.stream and not trial.said.startswith("{\n") else "json"
        tall = trial.said.count("\n") > 14 or len(trial.said) > 1_200
        st.code(trial.said, language=language, wrap_lines=True, height=_HEIGHT if tall else "content")


async def _run(caller: Caller, flow_id: str, trial: Trial) -> None:
    """Fills the trial in, as the request goes on."""
    begun = time.perf_counter()
    try:
        async with aclosing(_pieces(caller, flow_id, trial)) as pieces:
            async for piece in pieces:
                trial.said = (trial.said + piece)[:_MOST]
    except asyncio.CancelledError:
        trial.stopped = True
        raise
    except FlowgroundError as error:
        _refuse(trial, error)
    except Exception as error:  # noqa: BLE001 - this is a door: the person is told that it ended
        _refuse(trial, unexpected(error))
    finally:
        trial.seconds = time.perf_counter() - begun


def _refuse(trial: Trial, error: FlowgroundError) -> None:
    refusal = error_response(error)
    trial.error, trial.status = error, refusal.status_code
    trial.said = _pretty(json.loads(bytes(refusal.body)))


async def _pieces(caller: Caller, flow_id: str, trial: Trial) -> AsyncGenerator[str, None]:
    """What the API would send, as text. Raises what it would answer with an error status."""
    app = runtime.current()
    caller = await app.access.recheck(caller)
    flow = await app.access.open_flow(caller, flow_id)
    if not await app.access.may_run_api(caller, flow):
        raise NotAllowed(f"{flow.name} is shared for its playground, not for its API.", hint="Ask its author.")
    request = trial.request
    asked = RunBody.model_validate(request.body(request.message)).to_request(stream=request.stream)
    app.limits.take(caller, flow_id=flow.id)
    as_token = replace(caller, kind="token", name=f"try:{caller.name}", owner=caller.person)
    started: TurnStarted | None = None
    with app.running():
        if request.stream:
            app.require_ready(caller, flow)
            events = _noted(app.take_turn(as_token, flow, asked), trial)
            async with aclosing(langflow_frames(say(events, flow, asked, shape=request.shape))) as frames:
                async for frame in frames:
                    yield frame.decode()
            return
        async with aclosing(_noted(app.take_turn(as_token, flow, asked), trial)) as events:
            async for event in events:
                if isinstance(event, TurnStarted):
                    started = event
                elif isinstance(event, TurnFinished) and started is not None:
                    simple = request.shape == "simple"
                    wire = Wire(flow, asked, started)
                    yield _pretty(simple_result(flow, started, event) if simple else wire.result(event))


async def _noted(events: AsyncGenerator[Event, None], trial: Trial) -> AsyncGenerator[Event, None]:
    """The events as they are; what they cost, and why they ended, is noted."""
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, TurnFinished):
                    trial.tokens = words.tokens(event.usage)
                yield event
    except FlowgroundError as error:
        trial.error = error
        raise


def _pretty(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
