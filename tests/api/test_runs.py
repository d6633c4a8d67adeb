"""What became of a run, its events once more, and its end: by whose token made it, and by nobody else's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from flowground.api.incoming import ApiRequest
from flowground.api.run import RUN_ID
from flowground.app import live_turns
from flowground.app.endpoint import Answer
from flowground.app.live_turns import LiveTurn
from flowground.core.caller import LOCAL_OWNER
from flowground.store.people import members
from flowground.store.runs import progress
from tests.api.calls import Api, until
from tests.api.langflow_shapes import Frame, frames, join
from tests.api.serving import serving
from tests.running import chat_flow, look_at_once


async def run_id(api: Api, flow: str = "spoken", body: Any = None) -> str:
    """Of a plain run that has ended."""
    assert (await api.run(flow, body or {"input_value": "hi"})).status_code == 200
    return await api.find_last_run()


async def test_a_run_says_what_became_of_it(api: Api) -> None:
    run = await run_id(api, body={"input_value": "hi", "session_id": "s"})
    told = (await api.client.get(f"/api/v1/runs/{run}")).json()
    assert told.pop("seconds") > 0
    assert told.pop("started_at").endswith("UTC")
    [answer] = told.pop("answers")
    assert answer.pop("id")
    assert answer == {"text": "You said: hi", "state": "complete", "error": None}
    assert told.pop("usage").keys() == {"input_tokens", "output_tokens", "total_tokens"}
    assert len(told.pop("version")) == 12
    assert told == {"id": run, "flow_id": "spoken", "session_id": "s", "status": "complete", "error_code": None}


async def test_every_answer_of_a_run_names_it(api: Api) -> None:
    """In a header; in the short shape, and before the first word of server-sent events, in the body too."""
    for flow, status in (("spoken", "complete"), ("failing", "failed")):
        for query in ("", "?shape=simple", "?stream=true", "?stream=sse", "?stream=sse&shape=simple"):
            answer = await api.run(flow, {"input_value": "hi", "session_id": "s"}, query=query)
            told = (await api.client.get(f"/api/v1/runs/{answer.headers[RUN_ID]}")).json()
            assert (told["status"], told["flow_id"]) == (status, flow)
            named = {"run_id": told["id"], "session_id": "s", "flow_id": flow, "version": told["version"]}
            if "sse" in query:
                frame_id, event, data = frames(answer.text)[0]
                assert (frame_id, event, json.loads(data)) == (f"{told['id']}/1", "start", named)
            elif "simple" in query and status == "complete":
                assert answer.json().items() >= named.items()
    for refused in (await api.run("nothing"), await api.run("spoken", {"input_value": 5})):
        assert RUN_ID not in refused.headers


async def test_ones_runs_are_listed_page_by_page(api: Api) -> None:
    flows = ("spoken", "echo", "failing", "echo", "papers")
    ran = [(await api.run(flow, {"input_value": "x"})).headers[RUN_ID] for flow in flows]
    found: list[dict[str, Any]] = []
    after, pages = None, 0
    while pages == 0 or after:
        page = (await api.client.get("/api/v1/runs", params={"limit": 2} | ({"after": after} if after else {}))).json()
        found, after, pages = found + page["runs"], page["next"], pages + 1
    assert (pages, [run["id"] for run in found]) == (3, ran[::-1])
    assert [run["status"] for run in found] == ["complete", "complete", "failed", "complete", "complete"]
    one = (await api.client.get(f"/api/v1/runs/{ran[-1]}")).json()
    assert one.pop("answers")[0]["text"]
    assert one.pop("data") == [{"title": "One", "said": "One"}, {"title": "Two", "said": "Two"}]
    assert found[0] == one
    unknown = await api.client.get("/api/v1/runs?after=unknown")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "run_not_found")


async def test_a_failed_run_says_why(api: Api) -> None:
    assert (await api.run("failing", {"input_value": "hi"})).status_code == 502
    told = (await api.client.get(f"/api/v1/runs/{await api.find_last_run()}")).json()
    assert (told["status"], told["error_code"]) == ("failed", "model_failed")
    assert "The scripted model fails." in told["answers"][0]["error"]


async def test_a_run_of_a_flow_that_is_gone_is_not_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _, headers = await api.token(flows=("echo",))
    assert (await api.run("echo", {"input_value": "x"}, headers=headers)).status_code == 200
    address = f"/api/v1/runs/{await api.find_last_run(headers)}"
    assert (await api.client.get(address, headers=headers)).status_code == 200
    look_at_once(monkeypatch)
    (api.runtime.settings.flows / "echo.yaml").unlink()

    async def is_gone() -> bool:
        return (await api.client.get(address, headers=headers)).status_code == 404

    await until(is_gone)


async def test_events_of_a_plain_run_are_not_kept(api: Api) -> None:
    response = await api.client.get(f"/api/v1/runs/{await run_id(api)}/events")
    assert (response.status_code, response.json()["code"]) == (410, "events_gone")


async def stream(api: Api, flow: str, said: str, *, query: str = "", headers: Any = None) -> list[Frame]:
    return frames((await api.run(flow, {"input_value": said}, query=f"?stream=sse{query}", headers=headers)).text)


async def find_run(api: Api, said: str, *, flow: str = "echo", headers: Any = None) -> str:
    """Of a stream that has ended."""
    return (await stream(api, flow, said, headers=headers))[0][0].partition("/")[0]


async def test_what_is_no_place_is_refused(api: Api) -> None:
    run = await find_run(api, "hi")
    for after in ("x", "1.x", "other/1", "-1", "1.2.3", "9" * 20):
        response = await api.client.get(f"/api/v1/runs/{run}/events", params={"after": after})
        assert response.status_code == 422
        assert "is not the id of one of this run's events" in response.text


@pytest.mark.parametrize("flow", ["two", "both", "spoken", "failing", "tweaked"])
@pytest.mark.parametrize("shapes", [["langflow", "simple"], ["simple", "langflow"]])
@pytest.mark.parametrize("seconds", [30, 0], ids=["from memory", "as stored"])
async def test_events_are_told_again_from_any_place_in_either_shape(
    tmp_path: Path, flow: str, shapes: list[str], seconds: int
) -> None:
    """What came one by one was read to there; whoever comes again is told what waits as one."""
    async with serving(tmp_path, config={"limits": {"resume_seconds": seconds}}) as api:
        await check_told_again(api, flow, *shapes)


async def check_told_again(api: Api, flow: str, shape: str, other: str) -> None:
    told = await stream(api, flow, "a b c d e f", query=f"&shape={shape}")
    run = told[0][0].partition("/")[0]

    async def resume(place: str, shape: str, **headers: str) -> list[Frame]:
        query = f"?shape={shape}" + (f"&after={place}" if place else "")
        return frames((await api.client.get(f"/api/v1/runs/{run}/events{query}", headers=headers)).text)

    assert len(told) >= (1 if flow == "failing" else 2 if shape == "simple" else 4)
    others = join(await resume("0", other))
    for number, (frame_id, event, _) in enumerate(told):
        place = frame_id.partition("/")[2]
        for rest in (await resume(place, shape), await resume("", shape, **{"last-event-id": frame_id})):
            assert join(rest) == join(told[number + 1 :])
            assert join(told[: number + 1] + rest) == join(told)
        rest_of_other = join(await resume(place, other))
        assert rest_of_other[-1:] == others[-1:] or event in ("end", "error")
        whole, part = ["".join(token[3] for token in found if token[1] == "token") for found in (others, rest_of_other)]
        assert flow != "spoken" or whole.endswith(part)


async def test_who_sees_the_inside_no_more_is_told_nothing_of_it_again(api: Api) -> None:
    """From memory as from the stored journal."""
    await api.add("ada")
    await api.share("spoken")
    _, ada = await api.token(owner="ada")
    body = {"input_value": "one two", "output_type": "debug"}
    run = frames((await api.run("spoken", body, query="?stream=sse", headers=ada)).text)[0][0].partition("/")[0]
    events = f"/api/v1/runs/{run}/events"
    assert (await api.client.get(events, headers=ada)).status_code == 200
    await api.runtime.store.write(members.set_role, member="ada", role="member", by="tests")
    for _ in ("memory", "store"):
        refused = await api.client.get(events, headers=ada)
        assert (refused.status_code, refused.json()["code"]) == (403, "token_may_not_see")
        api.forget_turns()
    mine = await find_run(api, "hi", flow="spoken", headers=ada)
    api.forget_turns()
    assert (await api.client.get(f"/api/v1/runs/{mine}/events", headers=ada)).status_code == 200


@pytest.mark.parametrize(("most", "length", "kept"), [(62_000, 1, [False] * 3 + [True] * 3), (200_000, 10_000, None)])
async def test_many_or_long_answers_push_out_those_of_who_keeps_most(
    api: Api, monkeypatch: pytest.MonkeyPatch, most: int, length: int, kept: list[bool] | None
) -> None:
    """Their oldest, and nobody else's."""
    monkeypatch.setattr(live_turns, "_MOST_ENDED_CHARS", most)
    _, other = await api.token()
    theirs = await find_run(api, "x", headers=other)
    mine = [await find_run(api, "x" * length) for _ in range(6 if kept else 12)]
    found = [api.runtime.find_stream_turn(name) is not None for name in mine]
    assert (found[0], found[-1]) == (False, True)
    assert found == (kept or sorted(found))  # the oldest went first
    assert api.runtime.find_stream_turn(theirs)


LASTING = {name: chat_flow(f"scripted:{name}") for name in ("long", "slow")}


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Api]:
    """Nobody's run goes on for longer than a moment."""
    async with serving(tmp_path, config={"limits": {"resume_seconds": 1}}, flows=LASTING) as opened:
        yield opened


async def start(api: Api, flow: str, said: str) -> LiveTurn:
    """A stream of which the first event was read."""
    wired = await api.runtime.access.open_flow(LOCAL_OWNER, flow)
    request = ApiRequest(input_value=said, stream=True, framing="sse")
    turn = Answer(api.runtime, LOCAL_OWNER, wired, request).start_for_stream()
    async with aclosing(turn.follow()) as events:
        await anext(events)
    return turn


async def test_a_run_that_nobody_reads_goes_on_for_a_while_and_is_forgotten(hasty: Api) -> None:
    turn = await start(hasty, "long", "a")
    run = await hasty.find_running("")
    assert not turn.is_done
    assert hasty.runtime.find_stream_turn(run) is turn
    await asyncio.wait([turn.task])
    ran = await hasty.runtime.store.read(progress.find_run, run_id=run)
    assert (ran and ran.status) == "stopped"  # by itself it would be complete after ten seconds

    async def is_forgotten() -> bool:
        return hasty.runtime.find_stream_turn(run) is None

    await until(is_forgotten)


async def test_a_run_that_is_followed_goes_on_beyond_the_while(hasty: Api) -> None:
    turn = await start(hasty, "slow", "word " * 30)
    async with aclosing(turn.follow()) as events:  # takes longer than the while
        told = [event async for event in events]
    assert type(told[-1]).__name__ == "TurnFinished"


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
async def test_a_run_is_stopped_and_says_so_to_who_reads_it(hasty: Api, query: str) -> None:
    said = "word1" if query else ""  # a whole answer is asked of the model in one piece
    reading = asyncio.create_task(hasty.run("long", {"input_value": "hi", "session_id": "s"}, query=query))
    run = await hasty.find_running(said)
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
