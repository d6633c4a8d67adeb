"""`/api/v1/monitor/messages`: the messages of a token's sessions, in Langflow's shape.

A person's token sees the messages of all their programs, in the flows that the token reaches; messages of their pages,
and of other people, are never seen.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from flowground.access import account
from flowground.api.incoming import TheCaller, TheRuntime
from flowground.api.wire import name_source, write_citations, write_properties, write_reason, write_steps, write_time
from flowground.app.runtime import Runtime
from flowground.core.errors import hide_component
from flowground.core.events import ComponentFinished
from flowground.core.messages import SENDERS
from flowground.flows.wiring import WiredFlow
from flowground.runs.files import write_sent_path
from flowground.store.runs import transcripts
from flowground.store.runs.transcripts import PlacedMessage

_READ_AT_ONCE = 50
"""Messages that are read at once; each may have some 200,000 characters."""
_PIECE = 65_536
"""Bytes that are sent at once."""
router = APIRouter(prefix="/api/v1/monitor/messages", tags=["messages"])


@router.get("", response_model=list[dict[str, Any]])
async def messages(
    runtime: TheRuntime,
    caller: TheCaller,
    flow_id: str | None = None,
    session_id: str | None = None,
    order: Annotated[str, Query(pattern="^([Aa][Ss][Cc]|[Dd][Ee][Ss][Cc])$")] = "ASC",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    after: Annotated[str | None, Query(description="The id of the message that came last, for those behind it")] = None,
) -> Response:
    """The caller's own messages, in the order they were said; read, encoded and sent in pieces."""
    mine = [str(caller.owner)]
    places = await runtime.store.read(
        transcripts.list_places,
        owners=mine,
        flow_id=flow_id,
        session_id=session_id,
        flows=await runtime.access.list_reach(caller),
        newest_first=order.upper() == "DESC",
        after=after,
        limit=limit,
    )
    flows = {wired.id: wired for wired in await runtime.access.list_flows(caller)}
    pieces = _write_messages(runtime, mine, places, flows, sees_inside=caller.sees_inside)
    first = await anext(pieces)  # so that an error before the first piece still sets the status
    return StreamingResponse(_chain(first, pieces), media_type="application/json")


@router.get("/sessions")
async def sessions(runtime: TheRuntime, caller: TheCaller, flow_id: str | None = None) -> list[str]:
    """Ids of the caller's own sessions, the one used last first."""
    mine, reached = [str(caller.owner)], await runtime.access.list_reach(caller)
    return await runtime.store.read(transcripts.list_session_ids, owners=mine, flow_id=flow_id, flows=reached)


@router.delete("/session/{session_id}", status_code=204)
async def delete_session(runtime: TheRuntime, caller: TheCaller, session_id: str) -> Response:
    """Deletes a session of the caller's own, in the flows of the token's scope; 204 also when there is none."""
    mine = [str(caller.owner)]
    await account.delete_session(runtime.access, owners=mine, session_id=session_id, flows=caller.flows)
    return Response(status_code=204)


async def _chain(first: bytes, others: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(others):
        yield first
        async for piece in others:
            yield piece


async def _write_messages(
    runtime: Runtime,
    mine: Sequence[str],
    places: Sequence[Any],
    flows: Mapping[str, WiredFlow],
    *,
    sees_inside: bool,
) -> AsyncGenerator[bytes, None]:
    """A JSON array in pieces; between the pieces the event loop serves others. `flows` are the loaded ones."""
    written, comma = bytearray(b"["), b""
    for positions in _make_batches(places):
        found = await runtime.store.read(transcripts.read_messages, owners=mine, positions=positions)
        steps = {item.message.run_id: item.message.trace for item in found if item.message.trace}
        for item in found:
            trace = () if item.message.role == "user" else steps.get(item.message.run_id, ())
            written += comma + to_json(_write_message(item, trace, flows.get(item.flow_id), sees_inside=sees_inside))
            comma = b","
            if len(written) > _PIECE:
                yield bytes(written)
                written.clear()
                await asyncio.sleep(0)
    yield bytes(written + b"]")


def _make_batches(places: Sequence[Any]) -> Iterator[list[int]]:
    """Batches of positions; messages of one run stay in one batch, since one of them carries the run's trace."""
    batch: list[int] = []
    for _, run in groupby(places, key=lambda place: place.run_id or place.position):
        batch += (place.position for place in run)
        if len(batch) >= _READ_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_message(
    item: PlacedMessage, trace: Sequence[ComponentFinished], flow: WiredFlow | None, *, sees_inside: bool
) -> dict[str, Any]:
    """One message. `trace` is the run's, carried by its first answer. Callers who do not see inside get no component,
    no model, and no reason of a failure."""
    message, failure = item.message, item.message.error
    shown_by, source = None, name_source()
    if sees_inside:
        fits = (step.component_id for step in trace if step.model and message.model in (None, step.model))
        shown_by = next(fits, None)
        name = flow.display_names.get(shown_by, shown_by) if flow and shown_by else shown_by
        source = name_source(shown_by, name, message.model)
    elif failure is not None:
        failure = hide_component(failure)
    blocks = write_steps(message.actions, sees_tools=sees_inside or (flow is not None and flow.shows_tools))
    if failure is not None:
        # As Langflow writes it, but without the traceback that Langflow adds.
        error = {"type": "error", "component": shown_by, "field": None, "reason": failure, "solution": None}
        blocks.append({"title": "Error", "contents": [error], "allow_markdown": True})
    files = message.value if message.role == "user" and message.kind == "files" else ()
    sender, name = SENDERS[message.role]
    sender, name = message.sender or sender, message.sender_name or ("User" if message.sender == "User" else name)
    return {
        "id": message.id,
        "flow_id": item.flow_id,
        "timestamp": write_time(message.created_at),
        "sender": sender,
        "sender_name": name,
        "session_id": item.session_id,
        "context_id": "",
        "text": message.text or failure or "",
        "files": json.dumps([write_sent_path(item.flow_id, file) for file in files]),  # JSON in a text, as Langflow's
        "edit": False,
        "duration": None,
        "properties": write_properties(source, message.state, message.usage)
        | write_reason(message.finish_reason)
        | write_citations(message.citations),
        "category": "error" if message.state == "failed" else "message",
        "content_blocks": blocks,
        "session_metadata": {"graph_run_id": message.run_id},
    }
