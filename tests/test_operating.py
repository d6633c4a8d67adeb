"""What runs now, for admins: who, by what, since when, how much; and for nobody else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowground.app import operating
from flowground.app.authorize import PersonTrying, TokenHolder
from flowground.app.endpoint import answer
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import FlowgroundError, InvalidRequest, NotAllowed, NotSignedIn
from flowground.core.messages import Usage
from flowground.store import publications
from flowground.store.people import tokens
from tests.organization import organization, sign_in
from tests.run_rows import begin, eventually, keep
from tests.running import chat_flow, start_turn, watch
from tests.stored import list_entries, list_running

pytestmark = pytest.mark.anyio
LONG = chat_flow("scripted:long", "Long")
TWO_STEPS = (
    LONG.replace("    input_value: ${Model}\n", "    input_value: ${Second}\n")
    + """\
  Second: {type: LanguageModel, model: "scripted:silent", input_value: "${Model}"}
"""
)


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Runtime]:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "long.yaml").write_text(LONG)
    (tmp_path / "flows" / "steps.yaml").write_text(TWO_STEPS.replace("scripted:long", "scripted:echo"))
    async with organization(tmp_path) as runtime:
        yield runtime


@pytest.fixture
async def ada(acme: Runtime) -> Caller:
    return await sign_in(acme, "augusta")


@pytest.fixture
async def olga(acme: Runtime) -> Caller:
    return await sign_in(acme, "olga")


async def test_who_runs_what_since_when_and_by_what(acme: Runtime, ada: Caller, olga: Caller) -> None:
    say = RunRequest("a secret question", session_id="s", stream=True)
    turns = [await start_turn(acme, olga, "long", say)]
    turns.append((await answer(acme, PersonTrying(olga), address="long", ask=say)).start())
    for name, owner in (("laptop", "olga"), ("nightly", None)):
        _, secret = await acme.store.write(
            tokens.create, name=name, owner=owner, flows=None, expires_at=None, by="tests"
        )
        turns.append((await answer(acme, TokenHolder(secret), address="long", ask=say)).start_for_stream())

    async def speak_all() -> bool:
        return [run.said_chars > 0 for run in acme.running.list_runs().values()] == [True] * 4

    await eventually(speak_all)
    found, count = await operating.list_all_runs(acme, ada)
    assert count == 4
    assert {(run.who, run.via) for run in found} == {
        ("Olga", "playground"),
        ("Olga", "Try it"),
        ("Olga", "token “laptop”"),
        ("The organization", "token “nightly”"),
    }
    assert {run.flow_id for run in found} == {"long"}
    assert all(run.is_here and run.chars > 0 and run.tokens is None for run in found)
    assert all(abs((datetime.now(UTC) - run.started_at).total_seconds()) < 60 for run in found)
    assert "secret" not in repr(found)
    assert "word1" not in repr(found)
    for turn in turns:
        turn.stop()


async def test_tokens_that_a_model_has_counted_are_told(acme: Runtime, ada: Caller, olga: Caller) -> None:
    turn = await start_turn(acme, olga, "steps", RunRequest("one two", session_id="s", stream=True))

    async def is_counted() -> bool:
        found, _ = await operating.list_all_runs(acme, ada)
        return [run.tokens for run in found] == [Usage(2, 4).total_tokens]

    await eventually(is_counted)
    turn.stop()


async def test_an_admin_stops_a_run_at_once_and_it_is_audited(acme: Runtime, ada: Caller, olga: Caller) -> None:
    turn = await start_turn(acme, olga, "long", RunRequest("Hi", session_id="s", stream=True))
    await eventually(lambda: acme.store.read(list_running))
    [run] = await acme.store.read(list_running)
    await operating.stop(acme, ada, run.id)
    assert await acme.store.read(list_running) == []
    with pytest.raises(FlowgroundError, match="An administrator stopped this answer"):
        [event async for event in watch(turn)]
    [entry, *_] = await acme.store.read(list_entries)
    assert (entry.actor, entry.action, entry.subject) == ("member:augusta", "run.stopped", run.id)
    with pytest.raises(InvalidRequest, match="has ended"):
        await operating.stop(acme, ada, run.id)


async def test_runs_of_another_process_are_told_by_their_rows(acme: Runtime, ada: Caller) -> None:
    await begin(acme.store, "left", holder="nobody")
    assert await operating.list_all_runs(acme, ada) == ([], 0)  # its process died
    await begin(acme.store, "theirs", holder="alive")
    await keep(acme.store, "theirs", {"answer": "x" * 500})
    acme.interruptions.end_left_runs = lambda: asyncio.sleep(0, 0)  # type: ignore[method-assign]  # "alive" lives
    found, _ = await operating.list_all_runs(acme, ada)
    assert [(run.id, run.is_here, run.is_stopping, run.tokens) for run in found] == [("theirs", False, False, None)]
    assert 500 <= found[0].chars < 600
    await operating.stop(acme, ada, "theirs")
    assert [run.is_stopping for run in (await operating.list_all_runs(acme, ada))[0]] == [True]


async def test_nobody_but_admins_sees_or_ends_anything(acme: Runtime, olga: Caller) -> None:
    await begin(acme.store, "a run", holder=acme.store.process.id)
    visitor, token = Caller("visitor", "v", "member"), Caller("token", "t", "admin")
    for caller in (olga, await sign_in(acme, "bob"), LOCAL_OWNER, visitor, token):
        refused = set()
        for deed in (
            operating.list_all_runs(acme, caller),
            operating.list_switches(acme, caller),
            operating.stop(acme, caller, "a run"),
            operating.stop(acme, caller, "no run"),
            operating.switch_off(acme, caller, "flow", "long", ""),
            operating.switch_off(acme, caller, "flow", "no flow", ""),
            operating.switch_on(acme, caller, "flow", "long"),
        ):
            with pytest.raises((NotAllowed, NotSignedIn)) as error:
                await deed
            refused.add(error.value.message)
        assert len(refused) == 1
    assert await acme.store.read(publications.list_switches) == []
    assert len(await acme.store.read(list_running)) == 1


async def test_what_is_not_there_is_not_switched(acme: Runtime, ada: Caller) -> None:
    with pytest.raises(InvalidRequest, match="There is no flow nothing"):
        await operating.switch_off(acme, ada, "flow", "nothing", "")
    with pytest.raises(InvalidRequest, match="There is no provider long"):
        await operating.switch_off(acme, ada, "provider", "long", "")
    with pytest.raises(InvalidRequest, match="300 is the limit"):
        await operating.switch_off(acme, ada, "provider", "openai", "x" * 301)
