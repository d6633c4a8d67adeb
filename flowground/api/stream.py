"""A turn's events in Langflow's stream framing (research: bare JSON lines under text/event-stream)."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from flowground.api.errors import detail_of, status_of
from flowground.api.wire import Wire, frame
from flowground.errors import ComponentFailed, FlowgroundError, TweaksRefused
from flowground.events import Event, Token, TurnFinished, TurnStarted
from flowground.request import RunRequest
from flowground.wiring import WiredFlow


async def langflow_frames(
    events: AsyncGenerator[Event, None], flow: WiredFlow, request: RunRequest
) -> AsyncGenerator[bytes, None]:
    """Frames `add_message`, `token`…, `add_message`, `end`; or `error` last, with the code of the plain call."""
    encoder = _Encoder(flow, request)
    try:
        async for event in events:
            for piece in encoder.frames(event):
                yield piece
    except FlowgroundError as error:
        for piece in encoder.failure(error):
            yield piece


class _Encoder:
    def __init__(self, flow: WiredFlow, request: RunRequest) -> None:
        self.flow, self.request = flow, request
        self.wire: Wire | None = None
        self.begun: dict[str, tuple[str, str]] = {}

    def frames(self, event: Event) -> list[bytes]:
        match event:
            case TurnStarted():
                self.wire = Wire(self.flow, self.request, event)
                return [] if event.input_value is None else [frame("add_message", self.wire.user_message())]
            case Token():
                return self._token(event)
            case TurnFinished():
                return self._finished(event)
            case _:
                return []

    def _token(self, event: Token) -> list[bytes]:
        head, tail = self.begun.get(event.component_id, ("", ""))
        if head:
            return [f"{head}{json.dumps(event.text)}{tail}".encode()]
        if self.wire is None:
            return []
        message_id = self.wire.turn.answer_ids[event.component_id]
        # A token's frame is the same but for its text: the id's part is written once an answer.
        self.begun[event.component_id] = ('{"event": "token", "data": {"chunk": ', f', "id": "{message_id}"}}}}\n\n')
        partial = frame("add_message", self.wire.answer(event.component_id, "", state="partial"))
        return [partial, *self._token(event)]

    def _finished(self, event: TurnFinished) -> list[bytes]:
        if self.wire is None:
            return []
        complete = [
            frame("add_message", self.wire.answer(name, event.results[name].text, state="complete", result=result))
            for name in self.wire.turn.answer_ids
            if (result := event.results[name]) and self.flow.components[name].gives_output == "chat"
        ]
        return [*complete, frame("end", {"result": self.wire.result(event)})]

    def failure(self, error: FlowgroundError) -> list[bytes]:
        """Langflow sends a message-shaped error for a failed component, and `{"error": …}` last in every case."""
        data: dict[str, Any] = {"error": _sentence(error), "code": error.code, "status": status_of(error)}
        detail = detail_of(error)
        if isinstance(detail, dict):
            data["detail"] = detail
        if error.hint:
            data["hint"] = error.hint
        last = frame("error", data)
        if self.wire is None or not isinstance(error, ComponentFailed):
            return [last]
        return [frame("error", self.wire.failure(error.component_id, error.message)), last]


def _sentence(error: FlowgroundError) -> str:
    if isinstance(error, TweaksRefused):
        return f"Refused tweak keys {list(error.fields)}: {error.message}"
    return error.message
