"""What became of a run, its events once more, and its end: by whose token made it, and by nobody else's."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowground import doors
from flowground.api.incoming import ApiRequest
from flowground.api.stream import FrameId, Frames
from flowground.caller import LOCAL_OWNER, Shape
from flowground.doors import Answer
from flowground.runtime import LiveTurn, stream_turns
from flowground.store.runs import progress
from tests.api.calls import Api
from tests.api.serving import serving
from tests.running import chat_flow
from tests.stored import list_running

pytestmark = pytest.mark.anyio
EVENT = re.compile(
    r"id: (?P<run>[^/]*)/(?P<number>\d+)(?:\.(?P<part>\d+))?\nevent: (?P<event>\w+)\ndata: (?P<data>.*)\n"
)


async def run_id(api: Api, flow: str = "spoken", body: Any = None) -> str:
    """Of a plain run that has ended."""
    response = await api.run(flow, body or {"input_value": "hi"})
    assert response.status_code == 200
    [sessions] = (await api.client.get("/api/v1/monitor/messages")).json()[-1:]
    found: str = sessions["session_metadata"]["graph_run_id"]
    return found


async def test_a_run_says_what_became_of_it(api: Api) -> None:
    run = await run_id(api, body={"input_value": "hi", "session_id": "s"})
    told = (await api.client.get(f"/api/v1/runs/{run}")).json()
    assert told.pop("seconds") > 0
    assert told.pop("started_at").endswith("UTC")
    [answer] = told.pop("answers")
    assert answer.pop("id")
    assert answer == {"text": "You said: hi", "state": "complete", "error": None}
    assert told.pop("usage").keys() == {"input_tokens", "output_tokens", "total_tokens"}
    assert told == {"id": run, "flow_id": "spoken", "session_id": "s", "status": "complete", "error_code": None}


async def test_a_failed_run_says_why(api: Api) -> None:
    assert (await api.run("failing", {"input_value": "hi"})).status_code == 502
    *_, message = (await api.client.get("/api/v1/monitor/messages")).json()
    told = (await api.client.get(f"/api/v1/runs/{message['session_metadata']['graph_run_id']}")).json()
    assert (told["status"], told["error_code"]) == ("failed", "model_failed")
    assert "The scripted model fails." in told["answers"][0]["error"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/events"), ("POST", "/stop")])
async def test_somebody_elses_run_looks_like_none(api: Api, method: str, path: str) -> None:
    run = await run_id(api)
    _, other = await api.token()
    mine, theirs, none = [
        await api.client.request(method, f"/api/v1/runs/{name}{path}", headers=headers)
        for name, headers in ((run, {}), (run, other), ("none", other))
    ]
    assert mine.status_code == {"": 200, "/events": 410, "/stop": 200}[path]
    assert (theirs.status_code, none.status_code) == (404, 404)
    assert theirs.text.replace(run, "ID") == none.text.replace("none", "ID")
    no_key = await api.client.request(method, f"/api/v1/runs/{run}{path}", headers={"x-api-key": ""})
    assert no_key.status_code == 403


async def test_a_run_of_a_flow_that_is_gone_is_not_told(api: Api) -> None:
    made, headers = await api.token(flows=("echo",))
    response = await api.client.post("/api/v1/run/echo", json={"input_value": "x"}, headers=headers)
    assert response.status_code == 200
    *_, message = (await api.client.get("/api/v1/monitor/messages", headers=headers)).json()
    address = f"/api/v1/runs/{message['session_metadata']['graph_run_id']}"
    assert (await api.client.get(address, headers=headers)).status_code == 200
    (Path(api.runtime.settings.flows) / "echo.yaml").unlink()
    for _ in range(100):
        if (await api.client.get(address, headers=headers)).status_code == 404:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"still told to {made.name}")


async def test_events_of_a_plain_run_are_not_kept(api: Api) -> None:
    response = await api.client.get(f"/api/v1/runs/{await run_id(api)}/events")
    assert (response.status_code, response.json()["code"]) == (410, "events_gone")


@pytest.mark.parametrize("after", ["x", "1.x", "other/1", "-1", "1.2.3", "9" * 20])
async def test_what_is_no_place_is_refused(api: Api, after: str) -> None:
    found = list(read((await api.run("spoken", {"input_value": "hi"}, query="?stream=sse")).text))
    response = await api.client.get(f"/api/v1/runs/{found[0]['run']}/events", params={"after": after})
    assert response.status_code == 422
    assert "is not the id of one of this run's events" in response.text


async def test_events_are_told_again_from_any_place(api: Api) -> None:
    whole = (await api.run("two", {"input_value": "one two three"}, query="?stream=sse")).text
    found = list(read(whole))
    run = found[0]["run"]
    assert len(found) > 5
    for number, event in enumerate(found):
        place = event["number"] + (f".{event['part']}" if event["part"] else "")
        for query, headers in ((f"?after={place}", {}), ("", {"last-event-id": f"{run}/{place}"})):
            rest = (await api.client.get(f"/api/v1/runs/{run}/events{query}", headers=headers)).text
            assert join(read(rest)) == join(found[number + 1 :])
    simple = (await api.client.get(f"/api/v1/runs/{run}/events?shape=simple")).text
    assert {event["event"] for event in read(simple)} == {"token", "end"}


def read(text: str) -> list[dict[str, str]]:
    """The parts of each event."""
    return [found.groupdict() for found in EVENT.finditer(text)]


def find_text(data: Any) -> str:
    """A piece's, in either shape."""
    text: str = data.get("chunk", data.get("text"))
    return text


def join(events: list[dict[str, str]]) -> list[Any]:
    """Events with neighbouring texts of one answer joined: how they are cut is chance."""
    told: list[Any] = []
    for event in events:
        data = json.loads(event["data"])
        if event["event"] != "token":
            told.append((event["event"], data))
        elif told and told[-1][0] == ("token", data["id"]):
            told[-1] = (told[-1][0], told[-1][1] + find_text(data))
        else:
            told.append((("token", data["id"]), find_text(data)))
    return told


async def follow(
    answer: Answer[ApiRequest], turn: LiveTurn, *, after: FrameId = (0, 0), split_after: int = 0
) -> list[Any]:
    frames = Frames(answer.wired, answer.request, answer.caller.sees_inside)
    pieces = doors.follow_turn(
        answer.runtime,
        turn,
        lambda events: frames.encode_numbered(events, after=after),
        cut_off=frames.cut_off,
        split_after=split_after,
    )
    async with aclosing(pieces):
        return read(b"".join([piece async for piece in pieces]).decode())


@pytest.mark.parametrize("flow", ["two", "both", "spoken", "failing", "tweaked"])
@pytest.mark.parametrize("shape", ["langflow", "simple"])
async def test_a_stream_cut_after_any_frame_goes_on_with_the_same(api: Api, flow: str, shape: Shape) -> None:
    """What came one by one was read to there; whoever comes again is told what waits as one."""
    request = ApiRequest(input_value="a b c d e f", stream=True, framing="sse", shape=shape)
    wired = await api.runtime.access.open_flow(LOCAL_OWNER, flow)
    answer = Answer(api.runtime, LOCAL_OWNER, wired, request)
    turn = answer.start_for_stream()
    told = await follow(answer, turn)  # as it comes
    assert len(told) >= (1 if flow == "failing" else 2 if shape == "simple" else 4)
    for number, event in enumerate(told):
        read_to = (int(event["number"]), int(event["part"] or 0))
        rest = await follow(answer, turn, after=read_to, split_after=read_to[0])
        assert join(told[: number + 1] + rest) == join(told)


async def test_a_stream_that_began_in_one_shape_goes_on_in_the_other(api: Api) -> None:
    wired = await api.runtime.access.open_flow(LOCAL_OWNER, "spoken")
    request = ApiRequest(input_value="a b c", stream=True, framing="sse")
    answer = Answer(api.runtime, LOCAL_OWNER, wired, request)
    turn = answer.start_for_stream()
    simply = replace(answer, request=replace(request, shape="simple"))
    for event in await follow(answer, turn):
        read_to = (int(event["number"]), int(event["part"] or 0))
        rest = await follow(simply, turn, after=read_to, split_after=read_to[0])
        before = [e for e in await follow(simply, turn) if (int(e["number"]), int(e["part"] or 0)) <= read_to]
        texts = [json.loads(e["data"])["text"] for e in [*before, *rest] if e["event"] == "token"]
        assert "".join(texts).endswith("You said: a b c"[-len("".join(texts)) :])
        if event["event"] != "end":
            assert rest[-1]["event"] == "end"


async def test_one_token_pushes_out_its_own_runs_and_nobody_elses(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_turns, "_MOST_OF_ONE_CALLER", 3)
    _, other = await api.token()
    run = "/api/v1/run/echo?stream=sse"
    theirs = read((await api.client.post(run, json={"input_value": "x"}, headers=other)).text)[0]["run"]
    mine = [read((await api.run("echo", {"input_value": "x"}, query="?stream=sse")).text)[0]["run"] for _ in range(5)]

    async def status(name: str, headers: dict[str, str]) -> int:
        return (await api.client.get(f"/api/v1/runs/{name}/events", headers=headers)).status_code

    assert [await status(name, {}) for name in mine] == [410, 410, 200, 200, 200]
    assert await status(theirs, other) == 200


async def test_what_ended_turns_keep_is_bounded_by_its_length(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_turns, "_MOST_CHARS", 5_000)
    body = {"input_value": "x" * 1_000}
    runs = [read((await api.run("echo", body, query="?stream=sse")).text)[0]["run"] for _ in range(2)]
    kept = [(await api.client.get(f"/api/v1/runs/{run}/events")).status_code for run in runs]
    assert kept == [410, 200]


async def test_long_answers_push_out_those_of_who_keeps_most(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_turns, "_MOST_CHARS", 10_000)
    _, other = await api.token()
    run, said = "/api/v1/run/echo?stream=sse", {"input_value": "x"}
    theirs = read((await api.client.post(run, json=said, headers=other)).text)[0]["run"]
    body = {"input_value": "x" * 1_000}
    mine = [read((await api.client.post(run, json=body)).text)[0]["run"] for _ in range(12)]
    kept = [(await api.client.get(f"/api/v1/runs/{name}/events")).status_code for name in mine]
    assert (kept[0], kept[-1]) == (410, 200)
    assert kept == sorted(kept, reverse=True)  # the oldest went first
    assert (await api.client.get(f"/api/v1/runs/{theirs}/events", headers=other)).status_code == 200


async def test_many_answers_push_out_those_of_who_keeps_most(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_turns, "_MOST_ENDED", 4)
    _, other = await api.token()
    run, said = "/api/v1/run/echo?stream=sse", {"input_value": "x"}
    theirs = read((await api.client.post(run, json=said, headers=other)).text)[0]["run"]
    mine = [read((await api.client.post(run, json=said)).text)[0]["run"] for _ in range(6)]
    kept = [(await api.client.get(f"/api/v1/runs/{name}/events")).status_code for name in mine]
    assert kept == [410] * 3 + [200] * 3
    assert (await api.client.get(f"/api/v1/runs/{theirs}/events", headers=other)).status_code == 200


LASTING = {name: chat_flow(f"scripted:{name}") for name in ("long", "slow")}


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Api]:
    """Nobody's run goes on for longer than a moment."""
    async with serving(tmp_path, config={"limits": {"resume_seconds": 0.2}}, flows=LASTING) as opened:
        yield opened


async def test_a_run_that_nobody_reads_goes_on_for_a_while_and_is_forgotten(hasty: Api) -> None:
    request = ApiRequest(input_value="a", stream=True, framing="sse")
    wired = await hasty.runtime.access.open_flow(LOCAL_OWNER, "long")
    turn = Answer(hasty.runtime, LOCAL_OWNER, wired, request).start_for_stream()
    async with aclosing(turn.follow()) as events:
        run = (await anext(events)).event.run_id  # type: ignore[union-attr]  # TurnStarted comes first
    assert not turn.is_done
    assert hasty.runtime.find_stream_turn(run) is turn
    await asyncio.wait([turn.task])
    ran = await hasty.runtime.store.read(progress.find_run, run_id=run)
    assert ran is not None
    assert ran.status == "stopped"  # by itself it would be complete after ten seconds
    for _ in range(200):
        if hasty.runtime.find_stream_turn(run) is None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it is still kept")


async def test_a_stream_that_cannot_be_resumed_is_a_stream_all_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path, config={"limits": {"resume_seconds": 0}}, flows=LASTING) as api:
        found = read((await api.run("slow", {"input_value": "a b c"}, query="?stream=sse")).text)
        assert found[-1]["event"] == "end"
        assert (await api.client.get(f"/api/v1/runs/{found[0]['run']}/events")).status_code == 410


async def test_a_run_that_is_followed_goes_on_beyond_the_while(hasty: Api) -> None:
    request = ApiRequest(input_value="a b c d e f g h i j k l", stream=True, framing="sse")
    wired = await hasty.runtime.access.open_flow(LOCAL_OWNER, "slow")
    turn = Answer(hasty.runtime, LOCAL_OWNER, wired, request).start_for_stream()
    async with aclosing(turn.follow()) as events:
        await anext(events)
    async with aclosing(turn.follow()) as events:  # takes longer than the while
        told = [item.event async for item in events]
    assert type(told[-1]).__name__ == "TurnFinished"


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_a_run_is_stopped_and_says_so_to_who_reads_it(hasty: Api, query: str) -> None:
    said = "word1" if query else ""  # a whole answer is asked of the model in one piece
    reading = asyncio.create_task(hasty.run("long", {"input_value": "hi", "session_id": "s"}, query=query))
    run = await find_running(hasty, said)
    during = (await hasty.client.get(f"/api/v1/runs/{run}")).json()
    assert (during["status"], during["seconds"]) == ("running", None)
    assert during["answers"][0]["text"].startswith(said)
    told = (await hasty.client.post(f"/api/v1/runs/{run}/stop")).json()
    assert (told["status"], told["answers"][0]["state"]) == ("stopped", "stopped")
    assert told["answers"][0]["text"].startswith(said)
    response = await reading
    assert "run_stopped" in response.text
    assert response.status_code == (200 if query else 409)
    again = (await hasty.client.post(f"/api/v1/runs/{run}/stop")).json()
    assert again == told


async def find_running(api: Api, said: str, *, besides: str | None = None) -> str:
    """The id of the one run that runs, `besides` one that does, once its answer begins with this."""
    for _ in range(1_000):
        for found in await api.runtime.store.read(list_running):
            texts = api.runtime.running.read_texts(found.id) or {}
            if found.id != besides and any(text.startswith(said) for text in texts.values()):
                return found.id
        await asyncio.sleep(0.02)
    raise AssertionError("nothing runs")
