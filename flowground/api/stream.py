"""Streams a turn's events: encodes them as (event, JSON text) pairs, and frames these in two ways."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, assert_never

from flowground.api.errors import find_run_id, find_status, find_wait, log_unexpected, write_detail
from flowground.api.incoming import ApiRequest
from flowground.api.wire import LONG, Wire, write_pieces, write_simple, write_time
from flowground.app.live_turns import ReplayedFlow
from flowground.core.errors import ComponentFailed, FlowgroundError, TweaksRefused
from flowground.core.events import (
    ActionLog,
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
)
from flowground.flows.wiring import WiredFlow
from flowground.runs.journal import count_numbers

FrameId = tuple[int, int]
"""A frame in a run's stream: the number of its event (`runs.journal`), and of the frame among the event's frames, from
0."""
_ANSWER_BEGINS = 9
"""The second part of the id of a frame with which an answer begins; the first part is the number before its text."""
_PIECE = 1_000_000
"""Characters of a long frame that are encoded at once."""


EncodedEvent = tuple[str, Sequence[str]]
"""An event's name, and its data as JSON text: whole, or in pieces that are never joined, since the last event holds an
answer ten times."""
NumberedFrame = tuple[FrameId, EncodedEvent]
"""A frame's place in its run's stream, and what it holds."""


@dataclass(slots=True)
class Frames:
    """One turn's stream in the framing and shape of its request.

    Langflow's shape sends `add_message`, `token`…, `add_message`, `end`; or `error` last, with the code of a plain
    call. The simple shape sends `token` ({"text", "id"}), `end` (the simple body) and `error` only. Server-sent events
    begin with `start`, which names the run.
    """

    wired: WiredFlow | ReplayedFlow
    request: ApiRequest
    sees_inside: bool
    is_reopened: bool = False
    """Whether the `request` is not the run's own, so that the message is only known once the turn begins."""
    _run_id: str = ""
    """Empty until the turn begins."""
    _wire: Wire = field(init=False)
    _tails: dict[str, str] = field(default_factory=dict)
    """The JSON at the end of every token of an answer, by component, encoded once."""
    _actions: ActionLog = field(default_factory=ActionLog)
    _first: str | None = None
    _texts: list[str] = field(default_factory=list)
    """Pieces of the `_first` answer, whose message carries the agent's steps."""

    async def encode(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
        """All frames in Langflow 1.13's framing: one JSON object a line and a blank line, though the type says
        text/event-stream. A failure of the turn is the last one. The caller closes `events`."""
        async with aclosing(self._encode_all(events)) as encoded:
            async for _, (event, data) in encoded:
                if isinstance(data, str) and len(data) <= LONG:
                    yield _write_langflow_frame(event, data)
                    continue
                async for piece in _cut(f'{{"event": "{event}", "data": ', data, "}\n\n"):
                    yield piece

    def encode_numbered(
        self, events: AsyncGenerator[Event, None], *, after: FrameId = (0, 0)
    ) -> AsyncGenerator[bytes, None]:
        """All frames after this one as server-sent events. `events` begin with the first, since frames depend on
        earlier ones."""
        return write_sse(self._encode_all(events, after), self._write_id)

    def cut_off(self, error: FlowgroundError) -> bytes:
        """The `error` frame of a stream that is cut off."""
        event, data = _write_error(error)
        if self.request.framing == "sse":
            return f"event: {event}\ndata: {data}\n\n".encode()
        return _write_langflow_frame(event, data)

    async def _encode_all(
        self, events: AsyncGenerator[Event, None], after: FrameId = (0, 0)
    ) -> AsyncGenerator[NumberedFrame, None]:
        number = unpaused = 0
        try:
            async for event in events:
                for piece in _split(event, after[0] - number):
                    for frame, encoded in self._encode(piece, number):
                        if encoded and frame > after:
                            yield frame, encoded
                        if (unpaused := unpaused + (len(encoded[1]) if encoded else 1)) > LONG:
                            unpaused = 0
                            await asyncio.sleep(0)  # also where frames are only skipped
                    number += count_numbers(piece)
        except Exception as error:  # noqa: BLE001 - status 200 is sent: the stream must report how it ended
            for part, told in enumerate(self._fail(error)):
                if (frame := (number + 1, part)) > after:
                    yield frame, told

    def _write_id(self, frame: FrameId) -> str:
        """A frame's id on the wire: `run/number`, or `run/number.part`; empty where the run has not begun."""
        number, part = frame
        return self._run_id and f"{self._run_id}/{number}.{part}".removesuffix(".0")

    def _encode(self, event: Event, before: int) -> Iterator[tuple[FrameId, EncodedEvent | None]]:
        """The frames of an event after the number `before`; None stands for a frame that only the other shape has, so
        that ids are the same in both."""
        if isinstance(event, Token):
            *begin, text = self._write_token(event)
            yield from (((before, _ANSWER_BEGINS), partial) for partial in begin)
            yield (before + len(event.text), 0), text
            return
        yield from (((before + 1, part), encoded) for part, encoded in enumerate(self._encode_other(event)))

    def _encode_other(self, event: Event) -> Iterable[EncodedEvent | None]:
        match event:
            case TurnStarted():
                return self._begin(event)
            case TurnFinished():
                return self._finish(event)
            case ToolCalled() | ToolReturned():
                return self._write_call(event)
            case ToolWaits():
                return self._write_wait(event)
            case ComponentStarted() | ComponentFinished() | ModelProgress() | PassagesFound():
                return ()
            case ThinkingBegan() | ModelThought() | Token():
                return ()
            case _:
                assert_never(event)

    @property
    def _is_simple(self) -> bool:
        return self.request.shape == "simple"

    def _begin(self, event: TurnStarted) -> Iterator[EncodedEvent | None]:
        asked = replace(self.request, input_value=event.input_value) if self.is_reopened else self.request
        self._run_id, self._wire = event.run_id, Wire(self.wired, asked, event, self.sees_inside)
        self._first = self._wire.find_first()
        if self.request.framing == "sse":
            named = {"run_id": event.run_id, "session_id": event.session_id, "flow_id": event.flow_id}
            yield _write_event("start", named | {"version": self.wired.version})
        if event.input_value is not None:
            is_shown = not self._is_simple
            yield _write_message(self._wire.write_question(), event.input_value) if is_shown else None

    def _write_call(self, event: ToolCalled | ToolReturned) -> Iterable[EncodedEvent | None]:
        """The whole message again with all calls so far, as Langflow sends it."""
        if self._actions.add(event) is None or self._first is None:
            return ()
        return (None if self._is_simple else self._write_partial(self._first),)

    def _write_wait(self, event: ToolWaits) -> Iterable[EncodedEvent | None]:
        self._actions.add(event)
        if event.is_decided:
            return ()
        return (_write_event("waiting", {"run_id": self._run_id, "waiting": [write_wait(event)]}),)

    def _write_partial(self, component_id: str) -> EncodedEvent:
        is_first = component_id == self._first
        text, found = "".join(self._texts) if is_first else "", self._actions.found.values() if is_first else ()
        return _write_message(self._wire.write_answer(component_id, text, state="partial", actions=found), text)

    def _write_token(self, event: Token) -> Iterable[EncodedEvent | None]:
        name = event.component_id
        partial: tuple[EncodedEvent | None, ...] = ()
        if name not in self._tails:
            self._tails[name] = f', "id": "{self._wire.turn.answer_ids[name]}"}}'
            partial = (None if self._is_simple else self._write_partial(name),)
        if name == self._first:
            self._texts.append(event.text)
        key = "text" if self._is_simple else "chunk"
        return (*partial, ("token", f'{{"{key}": {json.dumps(event.text)}{self._tails[name]}'))

    def _finish(self, event: TurnFinished) -> Iterator[EncodedEvent | None]:
        wire = self._wire
        answered = [name for name in wire.turn.answer_ids if name in event.results]
        chats = [name for name in answered if self.wired.components[name].output_kind == "chat"]
        if self._is_simple:
            yield from (None for _ in chats)
            yield _write_event("end", write_simple(self.wired, event))
            return
        texts = [result.text for result in event.results.values()]
        for name in chats:
            result = event.results[name]
            actions = event.actions if name == wire.find_first(event) else ()
            yield _write_message(wire.write_answer(name, result.text, result=result, actions=actions), *texts)
        yield _write_event("end", {"result": wire.write_result(event)}, *texts)

    def _fail(self, failure: Exception) -> Iterable[EncodedEvent]:
        """The error frames: for a failed component Langflow's message-shaped error first, and always `{"error": …}`
        last."""
        error = failure if isinstance(failure, FlowgroundError) else log_unexpected(failure)
        last = _write_error(error)
        if self._is_simple or not self._run_id or not isinstance(error, ComponentFailed):
            return (last,)
        return (_write_message(self._wire.write_failure(error.component_id, error.message), event="error"), last)


def _split(event: Event, left: int) -> tuple[Event, ...]:
    """A text in two where a client was sent `left` of its characters, so that it is sent only the rest."""
    if isinstance(event, Token) and 0 < left < len(event.text):
        return Token(event.component_id, event.text[:left]), Token(event.component_id, event.text[left:])
    return (event,)


def write_wait(waits: ToolWaits) -> dict[str, Any]:
    """A call that waits for a person: `POST /api/v1/runs/{run_id}/decisions` takes `call` and `digest` back."""
    until = write_time(datetime.fromtimestamp(waits.until, UTC))
    named = {"call": waits.called.number, "name": waits.called.name, "arguments": json.loads(waits.takes or "null")}
    if waits.sends is not None:
        named["sends"] = waits.sends
    return named | {"digest": waits.digest, "until": until}


async def write_sse(
    encoded: AsyncGenerator[NumberedFrame, None], write_id: Callable[[FrameId], str], *, heartbeat: float = 15.0
) -> AsyncGenerator[bytes, None]:
    """Server-sent events, with a comment after `heartbeat` seconds of silence so that proxies keep the connection."""
    upcoming = asyncio.ensure_future(anext(encoded, None))
    try:
        while True:
            done, _ = await asyncio.wait([upcoming], timeout=heartbeat)
            if not done:
                yield b": still here\n\n"
                continue
            if (item := upcoming.result()) is None:
                return
            frame, (event, data) = item
            head = f"id: {frame_id}\n" if (frame_id := write_id(frame)) else ""
            if isinstance(data, str) and len(data) <= LONG:
                yield f"{head}event: {event}\ndata: {data}\n\n".encode()
            else:
                async for piece in _cut(f"{head}event: {event}\ndata: ", data, "\n\n"):
                    yield piece
            upcoming = asyncio.ensure_future(anext(encoded, None))
    finally:
        await _end(upcoming)
        await encoded.aclose()


async def _cut(head: str, data: Sequence[str], tail: str) -> AsyncGenerator[bytes, None]:
    """A long frame in pieces, between which the event loop serves others."""
    yield head.encode()
    for text in (data,) if isinstance(data, str) else data:
        for start in range(0, len(text), _PIECE):
            yield text[start : start + _PIECE].encode()
            await asyncio.sleep(0)
    yield tail.encode()


def _write_langflow_frame(event: str, data: str) -> bytes:
    return f'{{"event": "{event}", "data": {data}}}\n\n'.encode()


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancels the task and waits until it is done.

    When a client disconnects, anyio cancels the stream at every turn of the loop. Each cancellation is passed to the
    task, so that it waits no longer for the database than a stream without a task of its own.
    """
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()


def _write_error(error: FlowgroundError) -> tuple[str, str]:
    refused = f"Refused tweak keys {list(error.fields)}: " if isinstance(error, TweaksRefused) else ""
    data: dict[str, Any] = {"error": refused + error.message, "code": error.code, "status": find_status(error)}
    detail = write_detail(error)
    if not isinstance(detail, str):
        data["detail"] = detail
    if error.hint:
        data["hint"] = error.hint
    if (wait := find_wait(error)) is not None:
        data["retry_after"] = wait
    if run_id := find_run_id(error):
        data["run_id"] = run_id
    return "error", json.dumps(data)


def _write_event(event: str, data: dict[str, Any], *texts: str) -> EncodedEvent:
    pieces = write_pieces(data, texts, json.dumps)
    return event, pieces[0] if len(pieces) == 1 else pieces


def _write_message(message: dict[str, Any], *texts: str, event: str = "add_message") -> EncodedEvent:
    """A message, with its id outside of `data` too."""
    return _write_event(event, {**message, "id": message["data"]["id"]}, *texts)
