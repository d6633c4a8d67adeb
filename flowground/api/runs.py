"""`/api/v1/runs`: the caller's own runs: their facts, answers and events, a stop, and decisions about waiting calls."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowground.api.incoming import ApiRequest, TheCaller, TheRuntime, read_body, refuse_body, verify_caller
from flowground.api.run import RUN_ID, FrameStream
from flowground.api.stream import FrameId, Frames, write_wait
from flowground.api.wire import write_citations, write_time, write_usage
from flowground.app import endpoint, own_runs
from flowground.app.live_turns import ReplayedFlow
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Shape
from flowground.core.errors import InvalidRequest, NotAllowed, hide_component
from flowground.core.messages import Decision
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import chunks, progress
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.requests import PassedDecision

router = APIRouter(prefix="/api/v1/runs", tags=["run"], responses={404: {"description": "No such run of this token."}})
_PLACE = re.compile(r"(?:(?P<run>.*)/)?(?P<number>\d{1,9})(?:\.(?P<part>\d{1,4}))?")


@router.get("")
async def list_runs(
    runtime: TheRuntime,
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(description="`next` of the page before: the id of its last run")] = None,
) -> dict[str, Any]:
    """The caller's own runs, the newest first, none of a person's pages: their facts without their answers.

    `next` is null on the last page.
    """
    mine = [str(caller.owner)]
    found = await own_runs.list_runs(runtime, caller, owners=mine, after=after, limit=limit + 1)
    page = found[:limit]
    return {"runs": [_write_facts(run) for run in page], "next": page[-1].id if len(found) > limit else None}


@router.get("/{run_id}")
async def read_run(runtime: TheRuntime, caller: TheCaller, run_id: str) -> dict[str, Any]:
    """What became of a run: its status, and what it answered, or has answered so far."""
    return await _describe(runtime, caller, await own_runs.open_run(runtime, caller, run_id))


@router.get(
    "/{run_id}/events",
    response_class=Response,
    responses={
        200: {"description": "Server-sent events, as of `?stream=sse`.", "content": {"text/event-stream": {}}},
        410: {"description": "The run's events are no longer kept."},
    },
)
async def read_events(
    runtime: TheRuntime,
    caller: TheCaller,
    run_id: str,
    after: Annotated[str | None, Query(description="The id of the event that came last; without it all come")] = None,
    shape: Shape | None = None,
    last_event_id: Annotated[str | None, Header(description="As `after`, as browsers send it")] = None,
) -> Response:
    """The events of a streamed run that come after one of them, and go on as they come.

    Without `shape` it is the run's own; where its process did not keep it, Langflow's.
    """
    run = await own_runs.open_run(runtime, caller, run_id)
    place = _read_frame_id(run_id, after if after is not None else last_event_id)
    turn = runtime.find_stream_turn(run.id)
    wired: WiredFlow | ReplayedFlow
    asked = turn.request if turn else None
    if not isinstance(asked, ApiRequest):
        asked, turn = ApiRequest(stream=True, framing="sse"), None
    if turn:
        wired, events, shows_inside = turn.wired, turn.follow(), turn.caller.sees_inside
    else:
        wired, events, shows_inside = await endpoint.reopen(runtime, caller, run)
    if shows_inside and not caller.sees_inside:  # events hold what that caller may see
        raise NotAllowed(
            "The run was made by a token that sees the inside, and this one sees answers only.",
            code="token_may_not_see",
            hint="Follow it with that token, or ask for the run itself.",
        )
    request_now = asked if shape is None else replace(asked, shape=shape)
    frames = Frames(wired, request_now, caller.sees_inside, is_reopened=turn is None)
    encode = partial(frames.encode_numbered, after=place)
    pieces = endpoint.follow(runtime, events, encode, cut_off=frames.cut_off)
    return FrameStream(pieces, {RUN_ID: run.id})


@router.post("/{run_id}/stop", responses={409: {"description": "The process that runs it has not stopped it yet."}})
async def stop_run(runtime: TheRuntime, caller: TheCaller, run_id: str) -> dict[str, Any]:
    """Stops a run; what it said so far is kept. One that has ended stays as it is."""
    return await _describe(runtime, caller, await own_runs.stop_run(runtime, caller, run_id))


class DecisionBody(BaseModel):
    """What a person says of a call that waits."""

    model_config = ConfigDict(extra="forbid")

    call: int = Field(ge=1, description="The call's number, as it was told")
    digest: str = Field(max_length=64, description="Of the call and its arguments, as it was told")
    decision: Decision = Field(description="`once`; `chat`: this tool is not asked about again in this chat; `refuse`")


_DECIDE: dict[str, Any] = {"content": {"application/json": {"schema": DecisionBody.model_json_schema()}}}


@router.post(
    "/{run_id}/decisions",
    responses={
        409: {"description": "Nothing waits for it, or its process is slow to take it."},
        422: {"description": "The body does not fit."},
    },
    openapi_extra={"requestBody": _DECIDE | {"required": True}},
)
async def decide(request: Request, runtime: TheRuntime, run_id: str) -> dict[str, Any]:
    """Allows or refuses a call of a tool that waits, in any process. What the run is at then; it goes on by itself."""
    body = await read_body(request, runtime.settings.limits)
    caller = await verify_caller(request, runtime)  # again: it may have been revoked while the body arrived
    try:
        decided = DecisionBody.model_validate(body)
    except ValidationError as error:
        raise refuse_body(error, "body") from None
    call = PassedDecision(run_id, decided.call, decided.digest, decided.decision)
    return await _describe(runtime, caller, await own_runs.decide(runtime, caller, call))


async def _describe(runtime: Runtime, caller: Caller, run: RunRecord) -> dict[str, Any]:
    texts: Mapping[str, str] | None = None
    if run.status == "running":
        texts = runtime.running.read_texts(run.id)
        if texts is None:  # another process runs it, or it has just ended
            texts = progress.read_texts(await runtime.store.read(chunks.read, run_id=run.id))
            now = await runtime.store.read(progress.find_run, run_id=run.id)
            run = now or run
    data: dict[str, Any] = {}
    if run.status == "running" and texts is not None:
        answers = [{"id": key, "text": text, "state": "running", "error": None} for key, text in texts.items()]
    else:
        messages = await runtime.store.read(progress.list_answers, run=run)
        answers = [_write_answer(caller, message) for message in messages]
        if shown := [message for message in messages if message.kind in ("data", "records")]:
            data = {"data": shown[0].value}
    calls = await own_runs.list_waiting(runtime, run) if run.status == "running" else ()
    facts = _write_facts(run) | {"answers": answers} | data
    if waiting := [write_wait(waits) for waits in calls]:
        facts |= {"status": "waiting", "waiting": waiting}
    return facts


def _write_facts(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id,
        "flow_id": run.flow_id,
        "version": run.flow_version,
        "session_id": run.session_id,
        "status": run.status,
        "started_at": write_time(run.started_at),
        "seconds": None if run.status == "running" else run.seconds,
        "usage": write_usage(run.usage),
        "error_code": run.error_code,
    }


def _write_answer(caller: Caller, message: StoredMessage) -> dict[str, Any]:
    error = message.error if caller.sees_inside or message.error is None else hide_component(message.error)
    answer = {"id": message.id, "text": message.text, "state": message.state, "error": error}
    return answer | write_citations(message.citations)


def _read_frame_id(run_id: str, given: str | None) -> FrameId:
    """The frame after which the stream continues. Raises InvalidRequest."""
    if not given:
        return (0, 0)
    found = _PLACE.fullmatch(given)
    if found is None or found["run"] not in (None, run_id):
        raise InvalidRequest(
            f"{given[:80]!r} is not the id of one of this run's events.", hint=f"They look like {run_id}/12."
        )
    return int(found["number"]), int(found["part"] or 0)
