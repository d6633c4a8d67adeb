"""`POST /api/v1/run/{flow_id}`: one turn of a flow, plain or streamed, in Langflow's shapes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from flowground.api.errors import write_limits
from flowground.api.incoming import STREAM_SCHEMA, RunBody, read_request, read_token
from flowground.api.stream import Frames, write_wait
from flowground.api.wire import write_body, write_pieces
from flowground.app import endpoint
from flowground.app.authorize import AuthorizedRequest, TokenHolder
from flowground.app.live_turns import LiveTurn
from flowground.app.runtime import Runtime
from flowground.core.events import ToolWaits

_TEXT = {"type": "string"}
_WARNINGS = {"type": "array", "items": _TEXT, "description": "What was sent and ignored; only where there is such"}
_OUTPUT = {
    "type": "object",
    "description": "One output; the text stands in each of the five but `logs`",
    "properties": {
        **{name: {"type": "object"} for name in ("results", "artifacts", "outputs", "logs")},
        "messages": {"type": "array", "items": {"type": "object", "properties": {"message": _TEXT}}},
        "component_id": _TEXT,
        "component_display_name": _TEXT,
    },
}
_OUTPUTS = {
    "type": "object",
    "properties": {"inputs": {"type": "object"}, "outputs": {"type": "array", "items": _OUTPUT}},
}
_LANGFLOW = {
    "title": "Langflow's body",
    "type": "object",
    "required": ["session_id", "outputs"],
    "properties": {"session_id": _TEXT, "outputs": {"type": "array", "items": _OUTPUTS}, "warnings": _WARNINGS},
}
_COUNTED = {name: {"type": "integer"} for name in ("input_tokens", "output_tokens", "total_tokens")}
_SIMPLE = {
    "title": "With `?shape=simple`",
    "type": "object",
    "required": ["text", "run_id", "session_id", "flow_id", "version", "usage"],
    "properties": {
        **dict.fromkeys(("text", "run_id", "session_id", "flow_id", "version"), _TEXT),
        "usage": {"type": ["object", "null"], "properties": _COUNTED},
        "warnings": _WARNINGS,
    },
}
_OPERATION: dict[str, Any] = {
    "tags": ["run"],
    "summary": "Run a flow by id or endpoint name",
    "operationId": "run",
    "requestBody": {"content": {"application/json": {"schema": RunBody.model_json_schema()}}},
    "parameters": [
        {"name": "flow_id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "stream", "in": "query", "schema": STREAM_SCHEMA},
        {"name": "shape", "in": "query", "schema": {"enum": ["langflow", "simple"], "default": "langflow"}},
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
            "description": "Your name for this request: sent again within a day, it gets the first one's answer",
        },
    ],
    "responses": {
        "200": {
            "description": "The answer, its text in Langflow's five places; or a stream of events.",
            "content": {
                "application/json": {"schema": {"oneOf": [_LANGFLOW, _SIMPLE]}},
                "text/event-stream": {"schema": _TEXT},
            },
        },
        "202": {"description": "A call waits for a person, who decides by `/api/v1/runs/{run_id}/decisions`."},
        "400": {"description": "The input is given twice."},
        "403": {"description": "No valid application token, or one that sees answers only where more is asked for."},
        "404": {"description": "No such flow for this token."},
        "409": {"description": "The run was stopped, or the first request with this key has no end yet."},
        "410": {"description": "The first request with this key was answered, and the answer is not kept."},
        "415": {"description": "The body is compressed, or a form."},
        "422": {"description": "The body or a tweak does not fit, or the token may not set what it names."},
        "429": {"description": "The token's limit is reached, or the model's server asks to come back later."},
        "500": {"description": "The flow failed, or what nobody foresaw."},
        "502": {"description": "The model's server failed, or said more than an answer may hold."},
        "503": {
            "description": "An admin switched the flow or its model off, the built-in model is being fetched, "
            "the server has as many runs as it takes, the database is in trouble, or the server stops."
        },
        "504": {"description": "The model's server did not answer in time, or the run took longer than it may."},
    },
}
RUN_ID = "flowground-run-id"
"""The header of every authorized request's answer, failures too; `GET /api/v1/runs/{run_id}` takes the value."""
REPLAYED = "idempotency-replayed"
"""The header of an answer that repeats the one to an earlier request with the same Idempotency-Key."""
PATHS = {"/api/v1/run/{flow_id}": {"post": _OPERATION}}
"""The part of the OpenAPI document for the run endpoint."""


async def run(request: Request) -> Response:
    """Runs a flow by id or endpoint name."""
    runtime: Runtime = request.app.state.runtime()
    headers: dict[str, str] = {}
    request.state.run_limit = headers
    left = partial(_wait_for_leaving, request)
    answer = await endpoint.answer(
        runtime,
        TokenHolder(read_token(request, runtime), lambda allowance: headers.update(write_limits(allowance)), left),
        address=request.path_params["flow_id"],
        ask=partial(read_request, request, runtime.settings.limits),
    )
    headers[RUN_ID] = answer.run_id
    if answer.is_repeat:
        headers[REPLAYED] = "true"
    if not answer.request.stream:
        if answer.turn is None and answer.wired.asks_people:
            answer = answer.start_apart()
        finished = await answer.finish(left=left)
        if finished is None:
            if isinstance(answer.turn, LiveTurn) and not answer.request.idempotency_key:
                answer.turn.stop()
            raise ClientDisconnect
        if isinstance(finished, ToolWaits):
            calls = [write_wait(waits) for waits in runtime.running.list_waiting(answer.run_id)]
            body = to_json({"status": "waiting", "run_id": answer.run_id, "waiting": calls})
            return Response(body, 202, media_type="application/json", headers=headers)
        written = write_body(answer.shown, answer.request, finished, sees_inside=answer.caller.sees_inside)
        body = b"".join(write_pieces(written, (output.text for output in finished.outputs), to_json))
        return Response(body, media_type="application/json", headers=headers)
    frames = Frames(answer.shown, answer.request, answer.caller.sees_inside)
    if answer.request.framing == "sse":
        turn = answer.turn or answer.start_for_stream()
        if isinstance(turn, LiveTurn) and (error := await turn.wait_for_begin()) and not turn.started:
            raise error  # it failed before anything ran: answered like a plain run
        pieces = endpoint.follow(runtime, turn.follow(), frames.encode_numbered, cut_off=frames.cut_off)
        return FrameStream(pieces, headers)
    events, place = answer.stream_events(), answer.place
    pieces = endpoint.follow(runtime, events, frames.encode, cut_off=frames.cut_off, place=place)
    return FrameStream(pieces, headers, place)


class FrameStream(StreamingResponse):
    """A response that sends frames as they come and asks proxies not to buffer them.

    It closes its pieces also where it is cancelled, and then releases the run's place, even where no frame was read.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], headers: dict[str, str], place: AuthorizedRequest | None = None
    ) -> None:
        unkept = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(pieces, headers=unkept | headers, media_type="text/event-stream")
        self._pieces, self._place = pieces, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._pieces):
                await super().__call__(scope, receive, send)
        finally:
            if self._place:
                self._place.release()


async def _wait_for_leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# Plain Starlette routes: FastAPI's work before an endpoint would cost a sixth of a run, and is not needed here.
ROUTES = [
    Route("/api/v1/run/{flow_id}", run, methods=["POST"]),
    Route("/lf/{tenant}/api/v1/run/{flow_id}", run, methods=["POST"]),  # the hosted edition's path, any tenant
]
