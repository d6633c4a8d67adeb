"""`/api/v1/runs/{run_id}`: what became of a run, its events once more or as they come, and its end. One's own only."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from flowground import doors
from flowground.api.incoming import ApiRequest, let_in
from flowground.api.run import open_stream
from flowground.api.stream import FrameId, Frames
from flowground.api.wire import write_time, write_usage
from flowground.caller import Shape
from flowground.errors import EventsGone, InvalidRequest, RunElsewhere
from flowground.runtime import Runtime
from flowground.store.runs import progress
from flowground.store.runs.records import RunRecord

router = APIRouter(
    prefix="/api/v1/runs/{run_id}",
    tags=["run"],
    responses={403: {"description": "No valid application token."}, 404: {"description": "No such run of this token."}},
)
_PLACE = re.compile(r"(?:(?P<run>.*)/)?(?P<number>\d{1,9})(?:\.(?P<part>\d{1,4}))?")


@router.get("")
async def read_run(request: Request, run_id: str) -> dict[str, Any]:
    """What became of a run: its status, and what it answered, or has answered so far."""
    runtime, caller = await let_in(request)
    return await _describe(runtime, await doors.open_run(runtime, caller, run_id))


@router.get(
    "/events",
    response_class=Response,
    responses={
        200: {"description": "Server-sent events, as of `?stream=sse`.", "content": {"text/event-stream": {}}},
        410: {"description": "The run's events are no longer kept."},
    },
)
async def read_events(
    request: Request,
    run_id: str,
    after: Annotated[str | None, Query(description="The id of the event that came last; without it all come")] = None,
    shape: Shape | None = None,
    last_event_id: Annotated[str | None, Header(description="As `after`, as browsers send it")] = None,
) -> Response:
    """The events of a run of `?stream=sse` that come after one of them, and go on as they come."""
    runtime, caller = await let_in(request)
    run = await doors.open_run(runtime, caller, run_id)
    place = _read_frame_id(run_id, after if after is not None else last_event_id)
    turn = runtime.find_stream_turn(run.id)
    if turn is None or not isinstance(turn.request, ApiRequest):
        raise EventsGone
    frames = Frames(turn.wired, turn.request if shape is None else replace(turn.request, shape=shape))
    pieces = doors.follow_turn(
        runtime,
        turn,
        lambda events: frames.encode_numbered(events, after=place),
        cut_off=frames.cut_off,
        split_after=place[0],
    )
    return open_stream(pieces, {})


@router.post("/stop", responses={409: {"description": "Another process runs it."}})
async def stop_run(request: Request, run_id: str) -> dict[str, Any]:
    """Stops a run; what it said so far is kept. One that has ended stays as it is."""
    runtime, caller = await let_in(request)
    run = await doors.open_run(runtime, caller, run_id)
    is_here = await runtime.running.stop(run.id)
    run = await doors.open_run(runtime, caller, run_id)
    if run.status == "running" and not is_here:
        raise RunElsewhere
    return await _describe(runtime, run)


async def _describe(runtime: Runtime, run: RunRecord) -> dict[str, Any]:
    texts: Mapping[str, str] | None = None
    if run.status == "running":
        texts = runtime.running.read_texts(run.id)
        if texts is None:  # another process runs it, or it has its end by now
            texts = await runtime.store.read(progress.read_texts, run_id=run.id)
            now = await runtime.store.read(progress.find_run, run_id=run.id)
            run = now or run
    if run.status == "running" and texts is not None:
        answers = [{"id": key, "text": text, "state": "running", "error": None} for key, text in texts.items()]
    else:
        said = await runtime.store.read(progress.list_answers, run=run)
        answers = [{"id": m.id, "text": m.text, "state": m.state, "error": m.error} for m in said]
    return {
        "id": run.id,
        "flow_id": run.flow_id,
        "session_id": run.session_id,
        "status": run.status,
        "started_at": write_time(run.started_at),
        "seconds": None if run.status == "running" else run.seconds,
        "usage": write_usage(run.usage),
        "error_code": run.error_code,
        "answers": answers,
    }


def _read_frame_id(run_id: str, given: str | None) -> FrameId:
    """Where to go on. Raises InvalidRequest."""
    if not given:
        return (0, 0)
    found = _PLACE.fullmatch(given)
    if found is None or found["run"] not in (None, run_id):
        raise InvalidRequest(f"{given[:80]!r} is no id of this run's events.", hint=f"They look like {run_id}/12.")
    return int(found["number"]), int(found["part"] or 0)
