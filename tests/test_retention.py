"""What is older than `retention` says is nowhere any more, and of visitors' conversations what is too many."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from flowground.app.retention import VISITORS, RetentionTask
from flowground.core.events import ComponentFinished
from flowground.settings import RetentionSettings
from flowground.settings.limits import PublicSettings
from flowground.store import Store, audit, tables
from flowground.store.people import access_requests, sign_ins
from flowground.store.runs import conversations, erasing, progress, turns
from flowground.store.runs.journals import add_journal
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.sql import add_row
from tests.canary import TALK, WORD, await_none, find_everywhere, take
from tests.run_rows import eventually
from tests.stored import list_messages, list_runs, list_sessions, make_journal
from tests.stored_chats import said

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=40)
ADA = "member:ada"
_m = tables.messages.c


def retention_task(
    store: Store, *, in_days: float = 0, public: dict[str, int] | None = None, pauses: dict[str, float] | None = None,
    **days: int,
) -> RetentionTask:  # fmt: skip
    """What a process does that looks in some days, with these settings and no other."""
    retention = RetentionSettings(**{"audit_days": 0} | days)
    settings = PublicSettings(**{"days": 0, "conversations": 0} | (public or {}))
    later = time.time() + in_days * 86_400
    return RetentionTask(store, retention, settings, now=lambda: later, **{"rest": 0.0} | (pauses or {}))


async def kept(store: Store, owner: str, flow_id: str = "talk") -> set[str]:
    found = await store.read(list_sessions, flow_id=flow_id, owner=owner, limit=1000)
    return {info.session_id for info in found}


def count_rows(*names: str) -> Callable[[Connection], list[int]]:
    def count(connection: Connection) -> list[int]:
        found = (connection.scalar(select(func.count()).select_from(tables.metadata.tables[name])) for name in names)
        return [number or 0 for number in found]

    return count


async def test_old_conversations_go_with_all_they_had(store: Store, url: str, tmp_path: Path) -> None:
    for owner in (ADA, "token:try:ada", "token:t", "visitor:v", "local:owner"):
        for number in range(6):
            await take(store, owner, f"old {number}", f"{WORD} " * 900, at=LONG_AGO, interrupts=number % 2 == 0)
        await take(store, owner, "went on", "something", at=LONG_AGO)
        await take(store, owner, "went on", "something more")
    assert find_everywhere(url, tmp_path)
    assert await retention_task(store, conversations_days=30).forget() == {"conversations": 30}
    assert await retention_task(store, in_days=29, conversations_days=30).forget() == {}
    for owner in (ADA, "visitor:v"):
        await take(store, owner, "used then", "new", at=NOW + timedelta(days=20))
    assert await retention_task(store, in_days=31, conversations_days=30).forget() == {"conversations": 5}
    await_none(url, tmp_path)
    assert await kept(store, ADA) == await kept(store, "visitor:v") == {"used then"}
    assert len(await store.read(list_runs, flow_id="talk")) == 42  # their facts stay for counting


async def test_where_something_runs_nothing_is_forgotten(store: Store) -> None:
    place = TALK | {"owner": ADA, "session_id": "s"}
    run = RunRecord("r", "talk", "v", ADA, "s", "running", LONG_AGO, 0, holder="h")
    question = StoredMessage("q", "user", "Hi", "complete", LONG_AGO, "r")
    await store.write(turns.begin_turn, **place, message=question, run=run, request='{"tweaks": {"A": {"b": 1}}}')
    both = retention_task(store, conversations_days=30, run_contents_days=1)
    assert await both.forget() == {"messages' traces and requests": 1}
    found = await store.read(conversations.find_overrides, **place, message_id="q")
    assert (await kept(store, ADA), found) == ({"s"}, {"A": {"b": 1}})
    await store.write(progress.interrupt_runs, holders=["h"])
    assert await both.forget() == {"conversations": 1}
    assert await store.read(count_rows("sessions", "messages", "run_contents")) == [0, 0, 0]


async def test_who_goes_on_while_it_is_deleted_keeps_the_rest(store: Store) -> None:
    for number in range(60):
        await take(store, ADA, "s", str(number), at=LONG_AGO)
    (session,), last = await store.read(erasing.find_unused, after=0, before=NOW.timestamp())
    assert last is None
    until: dict[str, Any] = {"session": session, "until": NOW.timestamp()}
    while await store.read(count_rows("messages")) == [120]:
        assert not await store.write(erasing.erase_unused, **until)
    await take(store, ADA, "s", "I go on", at=NOW + timedelta(seconds=5))
    assert await store.write(erasing.erase_unused, **until)
    found = await store.read(list_messages, **TALK, owner=ADA, session_id="s")
    assert (len(found) < 122, found[-2].text) == (True, "I go on")


async def test_contents_of_runs_go_and_what_was_said_stays(store: Store, url: str, tmp_path: Path) -> None:
    for number in range(120):
        await take(store, ADA, f"s{number % 3}", f"said {number}", at=LONG_AGO)
    place = TALK | {"owner": ADA, "session_id": "s0"}
    (question,) = (m for m in await store.read(list_messages, **place) if m.text == "said 0")
    assert await store.read(conversations.find_overrides, **place, message_id=question.id) == {"A": {"b": "said 0"}}
    key, body = make_journal(replace(question, trace=(ComponentFinished("Prompt", "Prompt", 0.1, WORD),)))
    await store.write(add_journal, message=key, body=body)
    assert find_everywhere(url, tmp_path)
    looks = retention_task(store, run_contents_days=30)
    assert await looks.forget() == {"messages' traces and requests": 240}
    await_none(url, tmp_path)
    messages = await store.read(list_messages, **place)
    assert [message.text for message in messages[:2]] == ["said 0", "You said said 0"]
    assert {message.trace for message in messages} == {()}
    assert await store.read(conversations.find_overrides, **place, message_id=question.id) == {}
    assert await store.read(count_rows("messages", "run_contents", "journals")) == [240, 0, 0]
    assert await looks.forget() == {}


async def test_the_trail_and_the_tries_go_with_age(store: Store, url: str, tmp_path: Path) -> None:
    for number in range(450):
        subject = f"{WORD} {number}"
        await store.write(audit.record, actor="cli", action="member.added", subject=subject)
    await store.write(sign_ins.begin_attempt, name=f"{WORD}@example.com", address="203.0.113.7")
    assert find_everywhere(url, tmp_path)
    assert await retention_task(store, in_days=0.5, audit_days=3).forget() == {}
    assert await retention_task(store, in_days=4).forget() == {"passwords that were tried": 1}
    assert await retention_task(store, in_days=4, audit_days=3).forget() == {"lines of the audit trail": 450}
    await_none(url, tmp_path)


async def test_access_requests_go_with_the_trail_once_they_were_decided(store: Store, url: str, tmp_path: Path) -> None:
    for number, is_approved in enumerate([True, False, None]):
        flow = f"flow {number}"
        await store.write(access_requests.ask, flow_id=flow, member="bob", note=f"{WORD} please" if number < 2 else "")
        (asked,), _ = await store.read(access_requests.find_page, flows=[flow], limit=9)
        if is_approved is not None:
            decision = {"request_id": asked.id, "by": "cli"}
            await store.write(access_requests.decide, **decision, is_approved=is_approved)
    assert find_everywhere(url, tmp_path)
    assert await retention_task(store, in_days=400).forget() == {}
    assert await retention_task(store, in_days=2, audit_days=3).forget() == {}
    done = await retention_task(store, in_days=4, audit_days=3).forget()
    assert done["access requests that were decided"] == 2
    await_none(url, tmp_path)
    ((left, state),) = await store.read(access_requests.list_requests, member="bob")
    assert (left.flow_id, state) == ("flow 2", "open")


async def test_what_has_ended_is_bounded(store: Store, url: str, tmp_path: Path) -> None:
    now = time.time()
    for number in range(3):
        ticket: dict[str, Any] = {"ticket": f"t{number}", "browser": "b", "expires_at": now + 30}
        await store.write(sign_ins.add_ticket, **ticket, member=WORD)
        if number < 2:
            ticket |= {"sign_in_id": f"{number}", "agent": WORD, "expires_at": now + 86_400 * (1 if number else 300)}
            await store.write(sign_ins.redeem, **ticket)
        link: dict[str, Any] = {"member": WORD, "hashed": f"h{number}", "expires_at": now + 60, "by": "cli"}
        await store.write(sign_ins.add_link, kind="reset", **link)
    await store.write(sign_ins.revoke, sign_in_id="0")
    key = {"id": "k", "digest": "d", "run_id": WORD, "made_at": now}
    await store.write(add_row, tables.idempotency_keys, **key)
    await store.write(sign_ins.record_success, name=WORD, address="203.0.113.7")
    assert find_everywhere(url, tmp_path)
    for days, gone in (
        (0, {}),
        (2, {"lines of the audit trail": 6, "tickets for sign-ins": 1, "idempotency keys": 1}),
        *((7.5, {"sign-ins that were ended": 1}), (8.5, {"sign-ins that expired": 1})),
        *((31, {"links for passwords": 3}), (91, {"addresses of sign-ins": 1})),
    ):
        assert await retention_task(store, in_days=days, audit_days=1).forget() == gone
    await_none(url, tmp_path)


async def test_zero_keeps_everything(store: Store) -> None:
    await take(store, ADA, "s", "said", at=LONG_AGO)
    await store.write(audit.record, actor="cli", action="noted", subject="x")
    await say(store, "old", at=NOW - timedelta(days=4000))
    assert await retention_task(store, in_days=30_000).forget() == {}
    assert await store.read(count_rows("sessions", "messages", "run_contents", "audit")) == [2, 3, 1, 1]


# Visitors' conversations end by number and by age, in small steps

VISITOR = f"visitor:{'a' * 32}"


async def say(
    store: Store, session: str, *, at: datetime = NOW, owner: str = VISITOR, flow_id: str = "talk", messages: int = 1
) -> None:
    place: dict[str, Any] = {"flow_id": flow_id, "owner": owner, "session_id": session}
    for number in range(messages):
        message = said("Hi", "assistant" if number % 2 else "user", at=at)
        await store.write(turns.begin_turn, **place, message=message)


async def test_the_oldest_of_a_flow_go_first_and_members_keep_theirs(store: Store) -> None:
    others = ("member:mia", "local:owner", "token:t", "member:visitor:")
    for hour in range(50):
        at = NOW - timedelta(hours=hour)
        await say(store, f"s{hour}", at=at, owner=f"visitor:{hour % 7}")
        for owner in others:
            await say(store, f"s{hour}", at=at, owner=owner)
    await say(store, "alone", at=NOW - timedelta(days=900), flow_id="another")
    assert await retention_task(store, public={"conversations": 3}).forget() == {VISITORS: 47}
    left: set[str] = set()
    for number in range(7):
        left |= await kept(store, f"visitor:{number}")
    assert left == {"s0", "s1", "s2"}
    assert await kept(store, VISITOR, "another") == {"alone"}
    assert {len(await kept(store, owner)) for owner in others} == {50}
    assert (await store.read(count_rows("messages")))[0] == 50 * len(others) + 4
    assert await retention_task(store, public={"conversations": 3}).forget() == {}


async def test_age_counts_from_the_last_message(store: Store) -> None:
    await say(store, "old", at=NOW - timedelta(days=31))
    await say(store, "used", at=NOW - timedelta(days=31))
    await say(store, "used", at=NOW - timedelta(days=29))
    await say(store, "old", at=NOW - timedelta(days=400), owner="member:mia")
    assert await retention_task(store, public={"days": 30, "conversations": 2}).forget() == {VISITORS: 1}
    assert await kept(store, VISITOR) == {"used"}
    assert await kept(store, "member:mia") == {"old"}


async def test_no_look_finds_more_than_was_asked_for(store: Store) -> None:
    for flow_id in ("talk", "echo"):
        for hour in range(3):
            await say(store, f"s{hour}", at=NOW - timedelta(hours=hour), flow_id=flow_id)

    for keep, before, limit, count in ((1, 0, 20, 4), (1, 0, 3, 3), (3, 0, 20, 0), (0, 1, 20, 4), (0, 1, 3, 3)):
        which: dict[str, Any] = {"keep": keep, "before": before * NOW.timestamp(), "limit": limit}
        assert len(await store.read(erasing.find_surplus, **which)) == count, which


async def until_kept(store: Store, *sessions: str) -> None:
    async def is_so() -> bool:
        return await kept(store, VISITOR) == set(sessions)

    await eventually(is_so)


async def test_it_looks_when_a_visitor_spoke_and_by_itself(store: Store) -> None:
    for spoken in (True, False):
        for number in range(5):
            await say(store, f"s{number}", at=NOW - timedelta(hours=number))
        pauses = {"at_least": 0.02, "at_most": 3600 if spoken else 0.02}
        task = retention_task(store, public={"conversations": 2}, pauses=pauses)
        task.start()
        if spoken:
            task.look_soon(VISITORS)
        await until_kept(store, "s0", "s1")
        await task.close()


async def test_a_look_that_failed_is_followed_by_another(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def run(connection: Connection, *, statement: str) -> None:
        connection.exec_driver_sql(statement)

    async def has_failed() -> bool:
        return "could not be deleted" in caplog.text

    await say(store, "one")
    await say(store, "two", at=NOW - timedelta(hours=1))
    await store.write(run, statement="ALTER TABLE sessions RENAME TO away")
    task = retention_task(store, public={"conversations": 1}, pauses={"at_least": 0.01, "at_most": 0.01})
    task.start()
    await eventually(has_failed)
    assert {record.message.count("\n") for record in caplog.records} == {0}
    await store.write(run, statement="ALTER TABLE away RENAME TO sessions")
    await until_kept(store, "one")
    await task.close()
