"""Each limit of each who: what is left is told before, it refuses when it is reached, and says what to do. A restart
gives nothing back, and what another process lets in counts here too."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from flowground.app import endpoint
from flowground.app.authorize import PersonChatting
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, RunRequest
from flowground.core.errors import RunLimitReached
from flowground.runs import meter
from flowground.runs.meter import Remaining
from flowground.store import publications
from flowground.store.publications import Sharing
from flowground.store.runs import erasing
from tests.running import chat_flow, running, watch
from tests.servers import AppServer, shipped_flow
from tests.store_databases import DATABASES, empty_database
from tests.stored import list_messages
from tests.waiting import eventually

NO_OTHER = {"runs_per_day": 0, "runs_per_minute": 0, "address_runs_per_minute": 0}
FLOWS = {"talk": chat_flow("scripted:echo"), "silent": chat_flow("scripted:silent")}
PRICES = {"currency": "EUR", "models": {"scripted": {"input": 100_000, "output": 50_000}}}
"""A message of one word ("hi") is 1 token read and 3 written: 0.25 EUR."""
WHO = ("person", "flow")


async def open_everything(runtime: Runtime) -> None:
    for flow in FLOWS:
        await runtime.store.write(publications.change, flow_id=flow, sharing=Sharing(True, "public"), by="tests")


async def pick(runtime: Runtime, who: str, number: int = 0) -> Caller:
    """Somebody whom the limit binds, also where they come as another."""
    if who == "person":
        return Caller("member", "mia", "member")
    found = await runtime.access.admit_visitor(f"browser {number}", "talk")
    assert found is not None
    return found


async def say(runtime: Runtime, caller: Caller, *, flow: str = "talk", session: str = "s", text: str = "hi") -> None:
    request = RunRequest(input_value=text, session_id=session, stream=True)
    asker = PersonChatting(caller, session, "203.0.113.9")
    turn = (await endpoint.answer(runtime, asker, address=flow, ask=request)).start()
    if flow == "silent":
        await anext(watch(turn))
    else:
        await asyncio.wait([turn.task])


async def find_left(runtime: Runtime, who: str, caller: Caller, what: str) -> Remaining:
    found = await runtime.run_limits.look(caller, ["talk"], at_page=True)
    return next(row for row in found if (row.limit.of, row.limit.what) == (who, what))


def configure(**limits: Mapping[str, Any]) -> dict[str, Any]:
    own = {"page_runs_per_minute": 0, **limits}
    return {"limits": own, "sharing": {"allow_public": True, "public": NO_OTHER}, "prices": PRICES}


async def refusal(runtime: Runtime, caller: Caller, **more: Any) -> RunLimitReached:
    with pytest.raises(RunLimitReached) as caught:
        await say(runtime, caller, **more)
    return caught.value


@pytest.fixture(autouse=True)
def trust_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members here have no sign-in."""

    async def recheck(_: object, caller: Caller) -> Caller:
        return caller

    monkeypatch.setattr("flowground.access.Access.recheck", recheck)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(
    ("what", "most", "runs"), [("runs_per_minute", 3, 3), ("tokens_per_day", 8, 2), ("money_per_day", 0.5, 2)]
)
async def test_what_is_used_up_is_refused(tmp_path: Path, who: str, what: str, most: float, runs: int) -> None:
    async with running(tmp_path, FLOWS, config=configure(**{who: {what: most}})) as runtime:
        await open_everything(runtime)
        for number in range(runs):
            caller = await pick(runtime, who, number)
            left = await find_left(runtime, who, caller, what)
            assert left.left == pytest.approx(most * (runs - number) / runs)
            await say(runtime, caller, session=f"s{number}")
        refused = await refusal(runtime, await pick(runtime, who, 9), session="one more")
        code, longest = ("rate_limited", 60) if what == "runs_per_minute" else ("daily_limit_reached", 86_400)
        assert (refused.code, refused.retry_after in range(1, longest + 1)) == (code, True)
        assert ("0.5 EUR" in refused.message) is (what == "money_per_day")
        # Nobody else is bound by it.
        other = PersonChatting(Caller("member", "max", "member"), "s", "203.0.113.10")
        if who != "flow":
            await endpoint.answer(runtime, other, address="talk", ask=RunRequest(input_value="hi", stream=True))


@pytest.mark.parametrize("who", ["person", "address", "flow"])
async def test_as_many_as_may_go_on_at_once_do(tmp_path: Path, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowground.runs.meter._ADDRESS_RUNS_AT_ONCE", 2 if who == "address" else 50)
    bounds = {} if who == "address" else {who: {"runs_at_once": 2}}
    async with running(tmp_path, FLOWS, config=configure(**bounds)) as runtime:
        await open_everything(runtime)
        for number in range(2):
            await say(runtime, await pick(runtime, who, number), flow="silent", session=f"s{number}")
        flow = "silent" if who == "flow" else "talk"
        one_more = await pick(runtime, who, 9)
        refused = await refusal(runtime, one_more, flow=flow, session="one more")
        assert refused.code == "runs_at_once"
        assert refused.retry_after in range(1, 61)  # as long as the oldest goes on by now
        assert "2 runs going on" in refused.message
        turn = runtime.find_page_turn(await pick(runtime, who, 0), "silent", "s0")
        assert turn is not None
        turn.stop()
        await asyncio.wait([turn.task])
        await say(runtime, one_more, flow=flow, session="one more")


async def test_full_conversations_take_no_more_until_some_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, FLOWS, config=configure(person={"stored_bytes": 1_000})) as runtime:
        await open_everything(runtime)
        caller = await pick(runtime, "person")
        await say(runtime, caller, session="long", text="ä" * 300)
        left = await find_left(runtime, "person", caller, "stored_bytes")
        assert (left.left, left.resets_in) == (0, None)
        refused = await refusal(runtime, caller, session="next")
        assert refused.code == "storage_limit_reached"
        assert refused.message == "Your conversations take up 1.2 kB; 1 kB is the limit."
        assert "Delete conversations" in (refused.hint or "")
        assert refused.retry_after is None
        place: dict[str, Any] = {"flow_id": "talk", "owner": str(caller.owner), "session_id": "long"}
        assert await runtime.store.read(list_messages, **place)
        await runtime.store.write(erasing.erase_conversation, **place)
        monkeypatch.setattr(meter, "_LOOK_AGAIN_WHEN_FULL", 0)  # a second
        await say(runtime, caller, session="next")


async def test_what_a_later_limit_refuses_takes_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    limits = {"person": {"runs_per_minute": 5}, "flow": {"runs_at_once": 1}, "page_runs_per_minute": 0}
    async with running(tmp_path, FLOWS, config={"limits": limits}) as runtime:
        await open_everything(runtime)
        mia = await pick(runtime, "person")
        await say(runtime, mia, flow="silent", session="a")
        for _ in range(9):
            assert (await refusal(runtime, mia, flow="silent", session="b")).code == "runs_at_once"
        left = await find_left(runtime, "person", mia, "runs_per_minute")
        assert left.left == 4


async def test_the_lower_of_two_settings_counts(tmp_path: Path) -> None:
    config = {
        "limits": {"runs_per_minute": 4, "person": {"runs_per_minute": 7}},
        "sharing": {"public": {"runs_per_minute": 2}},
    }
    async with running(tmp_path, FLOWS, config=config) as runtime:
        found = await runtime.run_limits.look(Caller("token", "t", "member"))
        assert [(row.limit.most, row.limit.setting) for row in found] == [(4, "limits.runs_per_minute")]
        visitor = await runtime.run_limits.look(Caller("visitor", "v", "member", is_proven=False))
        assert [(row.limit.most, row.limit.setting) for row in visitor] == [(2, "sharing.public.runs_per_minute")]


SERVED = {"echo": shipped_flow("echo"), "talk": FLOWS["talk"]}


def run(server: AppServer, key: str, flow: str = "talk") -> requests.Response:
    url = f"{server.url}/api/v1/run/{flow}"
    return requests.post(url, json={"input_value": "hi"}, headers={"x-api-key": key}, timeout=20)


def find_left_by_me(server: AppServer, key: str) -> dict[str, float]:
    said = requests.get(f"{server.url}/api/v1/me", headers={"x-api-key": key}, timeout=20).json()
    return {row["what"]: float(row["left"]) for row in said["limits"]}


@pytest.mark.parametrize("limits", [{"runs_per_minute": 3}, {"tokens_per_day": 12, "money_per_day": 0.75}])
@pytest.mark.parametrize("kind", DATABASES)
def test_a_restart_gives_no_fresh_minute_or_day(kind: str, limits: Mapping[str, float], tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        config: dict[str, Any] = {"limits": {"person": dict(limits)}, "database": url, "prices": PRICES}
        server = AppServer(tmp_path, flows=SERVED, config=config)
        with server:
            key, other = server.token("t"), server.token("other")
            assert find_left_by_me(server, key) == limits
            assert [run(server, key).status_code for _ in range(2)] == [200, 200]
        with server:
            third = {what: pytest.approx(most / 3) for what, most in limits.items()}
            assert find_left_by_me(server, key) == third
            assert run(server, key).status_code == 200
            refused = run(server, key)
            code = "rate_limited" if "runs_per_minute" in limits else "daily_limit_reached"
            assert (refused.status_code, refused.json()["code"]) == (429, code)
            assert int(refused.headers["retry-after"]) > 0
            assert find_left_by_me(server, key) == dict.fromkeys(limits, 0)
            assert run(server, other).status_code == 200


@pytest.mark.parametrize("kind", DATABASES)
def test_a_flows_limit_counts_the_runs_of_another_process(kind: str, tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        config: dict[str, Any] = {"limits": {"flow": {"runs_per_minute": 2}}, "database": url}
        one, two = (AppServer(tmp_path / name, flows=SERVED, config=config) for name in ("one", "two"))
        with one, two:
            key = one.token("t")
            assert [run(one, key).status_code for _ in range(2)] == [200, 200]
            refused = run(two, key)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert run(two, key, "echo").status_code == 200


def open_silent(server: AppServer, key: str) -> int:
    """The status of a run that goes on."""
    url, asked = f"{server.url}/api/v1/run/silent?stream=sse", {"input_value": "hi"}
    return requests.post(url, json=asked, headers={"x-api-key": key}, timeout=20, stream=True).status_code


@pytest.mark.parametrize("kind", DATABASES)
def test_two_processes_let_in_as_many_as_one(kind: str, tmp_path: Path) -> None:
    """Also at the same moment; and the runs of a process that is killed are free soon."""
    with empty_database(kind, tmp_path) as url:
        limits = {"person": {"runs_per_minute": 7}, "flow": {"runs_at_once": 2}}
        config: dict[str, Any] = {"limits": limits, "database": url}
        served = {"silent": FLOWS["silent"], **{f"echo{number}": FLOWS["talk"] for number in range(20)}}
        one, two = (AppServer(tmp_path / name, flows=served, config=config) for name in ("one", "two"))
        with one, two, ThreadPoolExecutor(20) as threads:
            key = one.token("t")
            asked = [threads.submit(run, (one, two)[number % 2], key, f"echo{number}") for number in range(20)]
            assert sorted(answer.result().status_code for answer in asked) == [200] * 7 + [429] * 13
            assert [open_silent(server, one.token(f"t{server.port}")) for server in (one, two)] == [200, 200]
            last = two.token("last")
            assert [open_silent(server, last) for server in (one, two)] == [429, 429]
            one.kill()
            eventually(lambda: open_silent(two, last) == 200)
