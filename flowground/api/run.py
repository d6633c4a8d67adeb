"""`POST /api/v1/run/{flow_id}`: one turn of a flow, plain or streamed, in Langflow's shapes."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from flowground.api.body import STREAM_SCHEMA, Asked, RunBody, read_request
from flowground.api.caller import api_caller
from flowground.api.errors import limit_headers
from flowground.api.simple import simple_result
from flowground.api.stream import langflow_frames, last_frame, say, sse_frames
from flowground.api.wire import Wire
from flowground.api.write_json import holds_long, write_long
from flowground.caller import Caller
from flowground.errors import RunError, ShuttingDown
from flowground.events import TurnFinished, TurnStarted
from flowground.runtime import Runtime
from flowground.wiring import WiredFlow

_OPERATION: dict[str, Any] = {
    "tags": ["run"],
    "summary": "Run a flow by id or endpoint name",
    "operationId": "run",
    "requestBody": {"content": {"application/json": {"schema": RunBody.model_json_schema()}}},
    "parameters": [
        {"name": "flow_id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "stream", "in": "query", "schema": STREAM_SCHEMA},
        {"name": "shape", "in": "query", "schema": {"enum": ["langflow", "simple"], "default": "langflow"}},
        {"name": "x-api-key", "in": "header", "schema": {"type": "string"}, "description": "Application token"},
    ],
    "responses": {
        "200": {"description": "The answer, its text in Langflow's five places; or a stream of events."},
        "403": {"description": "No valid application token."},
        "404": {"description": "No such flow for this token."},
        "408": {"description": "The body stopped halfway."},
        "413": {"description": "The body is over the limit."},
        "415": {"description": "The body is compressed."},
        "422": {"description": "The body or a tweak does not fit."},
        "429": {"description": "The token's limit is reached, or the model's server asks to come back later."},
        "502": {"description": "The model's server failed, or said more than an answer may hold."},
        "503": {"description": "The built-in model is being fetched, the database is in trouble, or the server stops."},
        "504": {"description": "The model's server did not answer in time, or the run took longer than it may."},
    },
}


_CLIENT_LEFT = 499
"""Nobody reads it; the access log shows it, as nginx's does."""


async def run(request: Request) -> Response:
    """Runs a flow by id or endpoint name."""
    runtime: Runtime = request.app.state.runtime()
    runtime.refuse_when_ending()
    caller = await api_caller(request, runtime)
    limits = runtime.settings.limits
    told: dict[str, str] = {}
    if allowance := runtime.limits.take_token(caller):
        told = request.state.run_limit = limit_headers(allowance)
    flow = await runtime.access.open_flow(caller, request.path_params["flow_id"])
    try:
        asked = await read_request(request, limit=limits.body_bytes, patience=limits.request_seconds)
    except ClientDisconnect:
        return Response(status_code=_CLIENT_LEFT)
    if asked.framing is None:
        return await _while_connected(request, runtime, _plain(runtime, caller, flow, asked), headers=told)
    runtime.require_ready(caller, flow)
    return StreamingResponse(
        _streamed(runtime, caller, flow, asked),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no", **told},
    )


# Plain routes: what FastAPI does for a request before its endpoint costs a sixth of a run, and is not used here.
ROUTES = [
    Route("/api/v1/run/{flow_id}", run, methods=["POST"]),
    Route("/lf/{tenant}/api/v1/run/{flow_id}", run, methods=["POST"]),  # the hosted edition's path, any tenant
]
_STOPPING = "The server is stopping."
PATHS = {"/api/v1/run/{flow_id}": {"post": _OPERATION}}
"""The OpenAPI document's part for them."""


async def _plain(runtime: Runtime, caller: Caller, flow: WiredFlow, asked: Asked) -> bytes:
    started: TurnStarted | None = None
    async with aclosing(runtime.take_turn(caller, flow, asked.request)) as events:
        async for event in events:
            if isinstance(event, TurnStarted):
                started = event
            elif isinstance(event, TurnFinished) and started is not None:
                if asked.shape == "simple":
                    body = simple_result(flow, started, event)
                else:
                    body = Wire(flow, asked.request, started).result(event)
                is_long = holds_long(output.text for output in event.outputs)
                return write_long(body, to_json) if is_long else to_json(body)
    raise RunError("The run ended without an answer.")


async def _streamed(runtime: Runtime, caller: Caller, flow: WiredFlow, asked: Asked) -> AsyncGenerator[bytes, None]:
    framed = sse_frames if asked.framing == "sse" else langflow_frames
    with runtime.running():
        async with (
            aclosing(runtime.take_turn(caller, flow, asked.request)) as events,
            aclosing(framed(say(events, flow, asked.request, shape=asked.shape))) as frames,
        ):
            try:
                async for piece in frames:
                    yield piece
            except asyncio.CancelledError:
                if not runtime.stopping:
                    raise
                task = asyncio.current_task()
                assert task is not None  # noqa: S101 - a request handler always runs in a task
                task.uncancel()
                yield last_frame(ShuttingDown(_STOPPING), sse=asked.framing == "sse")


async def _while_connected(
    request: Request, runtime: Runtime, work: Coroutine[Any, Any, bytes], *, headers: dict[str, str]
) -> Response:
    """The response of `work`, which is cancelled when the client leaves or the server stops."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a request handler always runs in a task
    working = True
    leaving = asyncio.create_task(_client_left(request))
    leaving.add_done_callback(lambda _: task.cancel() if working and not leaving.cancelled() else None)
    with runtime.running():
        try:
            return Response(await work, media_type="application/json", headers=headers)
        except asyncio.CancelledError:
            task.uncancel()
            if leaving.done():
                return Response(status_code=_CLIENT_LEFT)
            raise ShuttingDown(_STOPPING) from None
        finally:
            working = False
            leaving.cancel()


async def _client_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
