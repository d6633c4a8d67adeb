"""Answers cite passages by number: what is numbered, what is kept with an answer, and what stays text.

Tests of a flow on a page: run by its authors, made of a turn.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowground.access import flow_files, insides
from flowground.api.app import create_api
from flowground.app import flow_tests
from flowground.app.library import LibraryTimes
from flowground.app.runtime import Runtime
from flowground.components.base import LookedUp
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.citations import (
    MOST_CITED,
    MOST_KEPT,
    NumberedPassage,
    find_cited,
    find_numbers,
    keep_passages,
    read_citations,
    split_cited,
    write_citations,
)
from flowground.core.errors import FlowError, InvalidRequest
from flowground.core.events import PassagesFound, TurnFinished
from flowground.runs.inner import RunPassages
from flowground.store.runs import conversations, shared_chats, transcripts
from flowground.ui.inside.make_test import add_test, make_test
from tests.api.calls import Api
from tests.running import hear_turn, look_at_once, read_end, running, start_turn, watch
from tests.switched import switch_off

IT = """\
components:
  In: {type: ChatInput}
  Hotels: {type: Retrieve, knowledge: handbook, search_query: hotels}
  Badges: {type: Retrieve, knowledge: handbook, search_query: badges hotels}
  Model: {type: LanguageModel, model: scripted, system_message: "${Hotels.passages} ${Badges.passages}",
    input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
knowledge: {handbook: {files: ["knowledge/*.md"]}}
"""
FLOWS = {
    "it": IT,
    "agent": """\
components:
  In: {type: ChatInput}
  Search: {type: Retrieve, knowledge: handbook, top_k: 1}
  Agent: {type: Agent, model: scripted, input_value: "${In}", tools: [Search]}
  Out: {type: ChatOutput, input_value: "${Agent}"}
knowledge: {handbook: {files: ["knowledge/*.md"]}}
""",
    "outer": """\
components:
  In: {type: ChatInput}
  Sub: {type: RunFlow, flow: it, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Sub}"}
""",
    "broken": IT.replace("model: scripted", "model: 'scripted:breaks'"),
}
PLACE: dict[str, Any] = {"flow_id": "broken", "owner": str(LOCAL_OWNER.owner), "session_id": "s"}
HOTELS, BADGES = "Lyon hotels cost 120 euros.", "Badges are worn."


@asynccontextmanager
async def answering(folder: Path, flows: Mapping[str, str] = FLOWS) -> AsyncIterator[Runtime]:
    files = folder / "flows" / "knowledge"
    files.mkdir(parents=True)
    (files / "hotels.md").write_text(f"# Travel\n\n{HOTELS}")
    (files / "badges.md").write_text(BADGES)
    for path in files.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    async with running(folder, flows) as runtime:
        runtime.library.pace = LibraryTimes(settle=0.0, wait=120)  # however long a busy machine takes to index
        yield runtime


async def ask(runtime: Runtime, said: str, flow: str = "it") -> TurnFinished:
    return read_end(await hear_turn(runtime, flow, said))


async def test_passages_of_a_run_are_numbered_in_the_order_of_the_flow_each_once(tmp_path: Path) -> None:
    async with answering(tmp_path) as runtime:
        (output,) = (await ask(runtime, "So [2], and again [1, 2] and [3].")).outputs
        for said in ("None.", "Not [9], nor [1](https://a.test)."):
            assert (await ask(runtime, said)).outputs[0].citations == ()
        first, second = output.citations
    assert (first.number, first.source, first.title) == (1, "knowledge/hotels.md", "Travel")
    assert first.text.endswith(HOTELS)
    assert (second.number, second.source, second.text) == (2, "knowledge/badges.md", BADGES)


async def test_what_an_agent_or_an_inner_flow_looks_up_can_be_cited(tmp_path: Path) -> None:
    async with answering(tmp_path) as runtime:
        calls = 'call Search {"search_query": "badges"}\ncall Search {"search_query": "Lyon"}\nand again [1][2]'
        (output,) = (await ask(runtime, calls, "agent")).outputs
        assert "[1] knowledge/badges.md" in output.text
        assert [passage.source for passage in output.citations] == ["knowledge/badges.md", "knowledge/hotels.md"]
        (output,) = (await ask(runtime, "So [1].", "outer")).outputs
        assert [passage.source for passage in output.citations] == ["knowledge/hotels.md"]


async def test_a_run_that_waited_for_a_person_tells_what_its_answer_cites(tmp_path: Path) -> None:
    careful = FLOWS["agent"].replace("[Search]", "[{use: Search, confirm: true}]")
    async with answering(tmp_path, {"careful": careful}) as runtime:
        transport = httpx2.ASGITransport(app=create_api(lambda: runtime))
        async with httpx2.AsyncClient(transport=transport, base_url="http://flowground") as client:
            client.headers.update((await Api(client, runtime).token())[1])
            said = {"input_value": 'call Search {"search_query": "Lyon"}', "session_id": "s"}
            waits = (await client.post("/api/v1/run/careful", json=said)).json()
            (call,) = waits["waiting"]
            decided = {"call": call["call"], "digest": call["digest"], "decision": "once"}
            path = f"/api/v1/runs/{waits['run_id']}"
            await client.post(f"{path}/decisions", json=decided)
            async with asyncio.timeout(60):
                while (run := (await client.get(path)).json())["status"] in ("running", "waiting"):  # noqa: ASYNC110 - from outside
                    await asyncio.sleep(0.01)
    (answer,) = run["answers"]
    assert [passage["source"] for passage in answer["citations"]] == ["knowledge/hotels.md"]


async def test_what_was_found_is_told_before_the_answer_grows(tmp_path: Path) -> None:
    async with answering(tmp_path) as runtime:
        for flow in ("it", "outer"):
            turn = await start_turn(runtime, LOCAL_OWNER, flow, RunRequest("So [1].", stream=True, session_id=flow))
            told = [event async for event in watch(turn)]
            kinds = [type(event).__name__ for event in told]
            assert "Token" in kinds
            assert "PassagesFound" not in kinds[kinds.index("Token") :]
            found = [event.passages for event in told if isinstance(event, PassagesFound)]
            assert [passage.number for passages in found for passage in passages] == [1, 2]


async def test_a_slow_look_up_keeps_its_numbers_and_a_failed_one_takes_none() -> None:
    passages = RunPassages()
    told: list[Any] = []

    class Told:
        def put(self, event: Any) -> None:
            told.append(event)

        async def wait_for_room(self) -> None:
            """There is room."""

    async def look(knowledge: str, question: str, **how: Any) -> LookedUp:
        assert (knowledge, how) == ("k", {})
        if question == "fails":
            raise RuntimeError
        for _ in range(5 if question == "slow" else 1):
            await asyncio.sleep(0)
        count = 1_000 if question == "many" else 2
        return LookedUp([{"text": f"{question} {at + 1}", "source": "a", "start": 0, "end": 1} for at in range(count)])

    said = ("slow", "fails", "quick", "slow")
    looking = [passages.look_up(look, Told(), "k", question) for question in said]
    found: list[Any] = await asyncio.gather(*looking, return_exceptions=True)
    assert [isinstance(one, RuntimeError) or one.records[0]["number"] for one in found] == [1, True, 3, 1]
    texts = ["slow 1", "slow 2", "quick 1", "quick 2"]
    assert [passage.text for event in told for passage in event.passages] == texts
    assert [passages.by_number[number].text for number in (1, 2, 3, 4)] == texts
    await passages.look_up(look, Told(), "k", "many")
    assert max(passages.by_number) == 1_000
    hidden = RunPassages()
    for is_hidden in (True, False, True):
        await hidden.look_up(look, Told(), "k", "slow", is_hidden=is_hidden)
    assert [passage.is_hidden for passage in hidden.by_number.values()] == [False, False]
    assert [passage.is_hidden for event in told[-2:] for passage in event.passages] == [True, True, False, False]


async def test_the_store_keeps_what_is_cited_and_what_was_looked_up_besides(tmp_path: Path) -> None:
    place = PLACE | {"flow_id": "it"}
    async with answering(tmp_path) as runtime:
        end = await ask(runtime, "So [1].")
        cited = end.outputs[0].citations
        (question, answer), _ = await runtime.store.read(conversations.list_page, **place, most=9, most_chars=9_000)
        assert (question.citations, answer.citations) == ((), cited)
        assert [passage.source for passage in answer.passages] == ["knowledge/hotels.md", "knowledge/badges.md"]
        told, _ = await runtime.store.read(transcripts.read_part, **place)
        assert told[1].passages == answer.passages
        key = (await runtime.store.write(shared_chats.share, **place, expires_at=None)).id
        shown, _ = await runtime.store.read(shared_chats.read_page, key=key)
        assert [one.passages for one in shown] == [(), answer.passages]

        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("*.db*"))
        assert HOTELS.encode() in kept


async def test_an_answer_that_broke_off_cites_what_it_said_so_far(tmp_path: Path) -> None:
    async with answering(tmp_path) as runtime:
        turn = await start_turn(runtime, LOCAL_OWNER, "broken", RunRequest("[1] is it", stream=True, session_id="s"))
        with pytest.raises(Exception, match="broke"):
            [event async for event in watch(turn)]
        (_, answer), _ = await runtime.store.read(conversations.list_page, **PLACE, most=9, most_chars=9_000)
    assert (answer.state, answer.text.strip()) == ("failed", "You said: [1]")
    assert [passage.number for passage in answer.citations] == [1]


def test_marks_are_numbers_in_square_brackets_and_what_is_kept_is_bounded() -> None:
    assert find_numbers("a [1] b [2, 3][^4] c [5; 6] d[7]") == [1, 2, 3, 4, 5, 6, 7]
    assert find_numbers("[1](x) [a] [] [12345] [1.2] [-1] [ 1] [1-3] {1}") == []
    passages = {number: NumberedPassage(number, "x" * 10_000, "a.md") for number in range(1, 200)}
    cited = find_cited("".join(f"[{number}]" for number in range(1, 200)), passages)
    assert len(cited) == MOST_CITED
    assert {len(passage.text) for passage in cited} == {4_001}
    assert find_cited("[" * 100_000 + "1, " * 100_000 + "]", passages) == ()
    assert read_citations(write_citations(cited)) == cited
    assert keep_passages("".join(f"[{number}]" for number in range(1, 200)), passages) == cited
    kept = keep_passages("So [30].", passages)
    assert [passage.number for passage in kept] == [30, *range(1, MOST_KEPT)]
    assert ([one.number for one in split_cited("So [30].", kept)[0]], len(split_cited("", kept)[0])) == ([30], 0)
    assert keep_passages("So [30].", passages, is_first=False) == kept[:1]
    assert (write_citations(()), read_citations(None)) == (None, ())


FLOW = """\
# how refunds go
name: Refunds
components:
  In: {type: ChatInput}
  Route: {type: SmartRouter, input_text: "${In}", routes: {refund: Money back, other: All else}}
  Refund: {type: LanguageModel, system_message: "About refunds.", input_value: "${Route.refund}"}
  Other: {type: LanguageModel, input_value: "${Route.other}"}
  Out: {type: ChatOutput, input_value: "${Refund?}${Other?}"}
tests:
  - {message: a refund, expect: {takes: Refund}}
  - {message: something, expect: {takes: Other}}  # fails: the scripted model takes the first route
chat: {welcome: Hello}
"""


@pytest.fixture
async def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    look_at_once(monkeypatch)
    async with running(tmp_path, {"refunds": FLOW}) as opened:
        yield opened


async def replace_file(runtime: Runtime, before: bytes, after: bytes) -> None:
    place = (runtime.access, LOCAL_OWNER, "refunds.yaml")
    await flow_files.replace_flow_file(*place, before=flow_files.make_digest(before), after=after)


async def had_turn(runtime: Runtime, text: str, flow: str = "refunds", **more: Any) -> insides.AnsweredTurn:
    """A turn that the local owner has in their playground, as *Make it a test* reads it."""
    request = RunRequest(text, session_id="s", stream=True, **more)
    turn = await start_turn(runtime, LOCAL_OWNER, flow, request)
    await turn.task
    assert turn.started
    (answer,) = turn.started.answer_ids.values()
    place = {"flow_id": flow, "session_id": "s", "message_id": answer}
    return await insides.read_turn(runtime.access, LOCAL_OWNER, **place)


async def run_made(runtime: Runtime, turn: insides.AnsweredTurn, folder: Path) -> bool:
    """Whether the test that is made of the turn passes, once it stands in the flow's file."""
    file = folder / "flows" / turn.wired.flow.file
    file.write_text(add_test(file.read_text(), make_test(turn)))
    await runtime.catalogue.read_now()
    return (await flow_tests.run_tests(runtime, LOCAL_OWNER, turn.wired.id)).outcomes[-1].is_passed


async def test_what_came_of_the_tests_is_kept_and_nothing_of_their_turns(runtime: Runtime) -> None:
    assert await flow_tests.find_report(runtime, LOCAL_OWNER, "refunds") is None
    report = await flow_tests.run_tests(runtime, LOCAL_OWNER, "refunds")
    assert [(outcome.line, outcome.is_passed) for outcome in report.outcomes] == [(10, True), (11, False)]
    assert await flow_tests.find_report(runtime, LOCAL_OWNER, "refunds") == report
    assert report.version == runtime.catalogue.list_flows()["refunds"].version
    place = {"flow_id": "refunds", "session_id": "s", "message_id": "m"}
    with pytest.raises(InvalidRequest, match="There is no whole answer here"):
        await insides.read_turn(runtime.access, LOCAL_OWNER, **place)


async def test_what_is_switched_off_is_not_tested(runtime: Runtime) -> None:
    await switch_off(runtime, "flow", "refunds", "Gone.")
    report = await flow_tests.run_tests(runtime, LOCAL_OWNER, "refunds")
    assert report.outcomes[0].turns[-1].differences[0].says == "This flow is switched off. Gone."


@pytest.mark.parametrize(("text", "ran", "skipped"), [("my refund", "Refund", "Other"), ("other", "Other", "Refund")])
async def test_a_turn_becomes_a_test_that_passes_without_its_models(
    runtime: Runtime, tmp_path: Path, text: str, ran: str, skipped: str
) -> None:
    overrides = {ran: {"temperature": 0.5}}
    turn = await had_turn(runtime, text, tweaks=overrides, kept_overrides=overrides)
    assert make_test(turn) == {
        "message": text,
        "overrides": overrides,
        "replies": {"Route": {"route": ran.lower()}, ran: f"You said: {text}"},
        "expect": {"equals": f"You said: {text}", "takes": ["Route", ran], "skips": [skipped]},
    }
    assert await run_made(runtime, turn, tmp_path)


async def test_what_an_answer_cites_is_expected_of_it(tmp_path: Path) -> None:
    async with answering(tmp_path) as runtime:
        turn = await had_turn(runtime, "So [2], and again [2, 1].", "it")
        assert make_test(turn)["expect"]["cites"] == ["knowledge/hotels.md", "knowledge/badges.md"]
        assert await run_made(runtime, turn, tmp_path)


async def test_a_reply_longer_than_what_is_kept_is_that_of_the_answer(runtime: Runtime, tmp_path: Path) -> None:
    text = "refund " * 1_000
    turn = await had_turn(runtime, text)
    assert make_test(turn)["replies"]["Refund"].strip() == f"You said: {text}".strip()
    assert await run_made(runtime, turn, tmp_path)


async def test_nothing_is_written_over_what_changed_nor_what_is_no_flow(runtime: Runtime, tmp_path: Path) -> None:
    before, file = FLOW.encode(), tmp_path / "flows" / "refunds.yaml"
    with pytest.raises(FlowError, match="no component"):
        await replace_file(runtime, before, before.replace(b"takes: Refund", b"takes: Refnd"))
    assert file.read_bytes() == before
    file.write_bytes(before + b"# by hand\n")
    with pytest.raises(InvalidRequest, match="changed meanwhile"):
        await replace_file(runtime, before, before + b"# by page\n")
    assert file.read_bytes() == before + b"# by hand\n"
    assert [path.name for path in file.parent.iterdir()] == ["refunds.yaml"]
