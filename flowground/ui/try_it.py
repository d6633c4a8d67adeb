"""*Try it*: makes the pane's request here and now, as the person who looks at it, and shows what would come back.

Nothing is sent over the network: it is the API's own code on the same loop, from body to bytes. Its conversations
belong to the person's trials, not to their playground, as those of a token do.
"""

import json
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import dataclass, replace
from http import HTTPStatus

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from flowground import runtime
from flowground.api.body import RunBody
from flowground.api.errors import error_response
from flowground.api.simple import simple_result
from flowground.api.stream import langflow_frames, say
from flowground.api.wire import Wire
from flowground.caller import Caller
from flowground.errors import FlowgroundError, NotAllowed
from flowground.events import Event, TurnFinished, TurnStarted
from flowground.snippets import SnippetRequest
from flowground.ui import bridge, words
from flowground.wiring import WiredFlow

_PAUSE = 0.05
_HEIGHT = 320
_MOST = 60_000
"""Characters of an answer that are shown."""


@dataclass(slots=True)
class Trial:
    """One try. `said` is the body, or the stream as far as it came."""

    request: SnippetRequest
    status: int = 200
    said: str = ""
    seconds: float = 0.0
    tokens: str = ""
    error: FlowgroundError | None = None


def draw_try(caller: Caller, flow: WiredFlow, request: SnippetRequest, *, place: DeltaGenerator) -> None:
    """The button in its `place`, and below, the last try of this very request."""
    key = f"try:{flow.id}"
    with place.container(horizontal=True, vertical_alignment="center", gap="small"):
        asked = st.button(
            "Try it", icon=":material/play_arrow:", key=f"{key}:run", help="Runs this request here, as you."
        )
        stop = st.empty()
    status, body = st.empty(), st.empty()
    if asked:
        stop.button("Stop", icon=":material/stop_circle:", type="tertiary", key=f"{key}:stop")
        status.markdown(":shimmer[Running]")
        st.session_state[key] = trial = Trial(request)
        for text in _follow(caller, flow, trial):
            body.code(text, language=None, wrap_lines=True, height=_HEIGHT)
        stop.empty()
    shown: Trial | None = st.session_state.get(key)
    if shown is not None and shown.request == request:
        with status.container():
            _draw_status(shown)
        _draw_said(shown, body)


def _draw_said(trial: Trial, slot: DeltaGenerator) -> None:
    if trial.said:
        language = None if trial.request.stream and not trial.said.startswith("{\n") else "json"
        tall = trial.said.count("\n") > 14 or len(trial.said) > 1_200
        slot.code(trial.said, language=language, wrap_lines=True, height=_HEIGHT if tall else "content")


def _draw_status(trial: Trial) -> None:
    color = "green" if trial.error is None else "red"
    phrase = f"{trial.status} {HTTPStatus(trial.status).phrase}"
    st.markdown(f":{color}-badge[{phrase}] :gray[:small[{words.line((words.seconds(trial.seconds), trial.tokens))}]]")
    if trial.error:
        hint = f"  \n{words.plain(trial.error.hint)}" if trial.error.hint else ""
        st.error(words.sentence(trial.error.message) + hint, icon=":material/error:")


def _follow(caller: Caller, flow: WiredFlow, trial: Trial) -> Generator[str, None, None]:
    """The growing answer; fills the trial in."""
    pieces = bridge.batches(_timed(_pieces(caller, flow.id, trial), trial), pause=_PAUSE)
    try:
        for batch in pieces:
            trial.said = (trial.said + "".join(batch))[:_MOST]
            yield trial.said
    except FlowgroundError as error:
        refusal = error_response(error)
        trial.error, trial.status = error, refusal.status_code
        trial.said = _pretty(json.loads(bytes(refusal.body)))
    finally:
        pieces.close()


async def _pieces(caller: Caller, flow_id: str, trial: Trial) -> AsyncGenerator[str, None]:
    """What the API would send, as text. Raises what it would answer with an error status."""
    app = runtime.current()
    caller = await app.access.recheck(caller)
    flow = await app.access.open_flow(caller, flow_id)
    if not await app.access.may_run_api(caller, flow):
        raise NotAllowed(f"{flow.name} is shared for its playground, not for its API.", hint="Ask its author.")
    request = trial.request
    asked = RunBody.model_validate(request.body(request.message)).to_request(stream=request.stream)
    as_token = replace(caller, kind="token", name=f"try:{caller.name}", owner=caller.person)
    started: TurnStarted | None = None
    with app.running():
        if request.stream:
            app.require_ready(flow)
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


async def _timed(pieces: AsyncGenerator[str, None], trial: Trial) -> AsyncGenerator[str, None]:
    """The pieces as they are; how long they took is noted here, where no page's drawing delays them."""
    begun = time.perf_counter()
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
    finally:
        trial.seconds = time.perf_counter() - begun


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
