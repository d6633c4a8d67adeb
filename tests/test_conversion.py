"""Databases that earlier commits made go on here: tests/databases has the rows that these wrote, by each commit's name.

Made by the code of those commits: two people, tokens, chats by the API and on a page, a tool's call, a link.
"""

import json
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Boolean, Engine, MetaData, select

from flowground.api.app import create_api
from flowground.core.events import ToolReturned
from flowground.store import tables
from flowground.store.connections import Database
from flowground.store.migration_steps import MIGRATIONS
from flowground.store.migrations import ADDITIONS
from flowground.store.people import members, tokens
from flowground.store.runs import conversations, erasing, feedback, progress, session_lists, shared_chats
from flowground.store.schema import migrate
from tests.acting import ACTING
from tests.people import HASHED, PASSWORD
from tests.running import chat_flow, running
from tests.stored import list_messages
from tests.test_migrations import find_tables, read_names, read_shape

DATABASES = sorted((Path(__file__).parent / "databases").glob("*.json"))
OLGA = {"password": HASHED, "roles": ["author"], "name": "Olga", "email": "olga@x.test"}
PAGE: dict[str, Any] = {"flow_id": "talk", "owner": "member:ann", "session_id": "page"}


def make_old(engine: Engine, rows: dict[str, Any], *, steps: Collection[str] | None = None) -> None:
    """A database as an earlier release left it, that had run these migrations (None: all) and wrote these rows."""
    old = MetaData()
    with engine.begin() as connection:
        for table, migrations in (("migrations", MIGRATIONS), ("additions", ADDITIONS)):
            connection.exec_driver_sql(f"CREATE TABLE {table} (name TEXT PRIMARY KEY, applied_at DOUBLE PRECISION)")
            for migration in migrations:
                if steps is None or migration.__name__ in steps:
                    migration(connection)
                    connection.exec_driver_sql(f"INSERT INTO {table} VALUES ('{migration.__name__}', 1)")
        old.reflect(connection)
        for made in old.sorted_tables:
            flags = [column.name for column in made.columns if isinstance(column.type, Boolean)]
            for row in rows.get(made.name, ()):
                kept = {name: bool(value) if name in flags else value for name, value in row.items()}
                connection.execute(made.insert().values(kept))


@pytest.mark.parametrize("written", [file.read_text() for file in DATABASES], ids=[file.stem for file in DATABASES])
async def test_what_people_had_and_were_given_stays(url: str, written: str, tmp_path: Path) -> None:
    rows = json.loads(written)
    steps = rows.pop("migrations") + rows.pop("additions")
    given, now = rows.pop("given"), time.time()
    for row in rows["audit"]:
        del row["id"]
    for row in rows["messages"]:
        del row["position"]
    rows["sign_ins"][0]["expires_at"] = now + 1_000
    make_old(Database.make(url).writer, rows, steps=steps)
    flows = {**ACTING, "talk": chat_flow("scripted")}
    config = {"database": url, "credentials": {"usernames": {"olga": OLGA}}}
    async with running(tmp_path, flows, config=config) as runtime:
        room, read = runtime.sign_in, runtime.store.read
        cookie = room.cookies.write_sign_in(username="ann", sign_in_id=rows["sign_ins"][0]["id"], expires_at=now + 999)
        caller = await room.verify_cookie(cookie)
        assert (caller and str(caller.owner), caller and caller.role) == ("member:ann", "author")
        assert await room.check_password("ann", PASSWORD, "here") is not None
        assert {one.name for one in await room.roster.list_members()} == {"ann", "olga"}
        transport = httpx2.ASGITransport(app=create_api(lambda: runtime), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://flowground") as client:
            for token, said in ((given["token"], ["Hello", "Once more"]), (given["organization"], ["For all"])):
                headers = {"x-api-key": token}
                told = [text for one in said for text in (one, f"You said: {one}")]
                wanted: dict[str, Any] = {"params": {"session_id": "s1"}, "headers": headers}
                found = (await client.get("/api/v1/monitor/messages", **wanted)).json()
                assert [item["text"] for item in found] == told
                kept = {row["id"]: row for row in rows["messages"]}
                assert all(kept[item["id"]]["run_id"] for item in found)
                body = {"input_value": "On", "session_id": "s1"}
                assert (await client.post("/api/v1/run/talk", json=body, headers=headers)).status_code == 200
                found = (await client.get("/api/v1/monitor/messages", **wanted)).json()
                assert [item["text"] for item in found] == [*told, "On", "You said: On"]
        shown = await read(list_messages, **PAGE)
        assert [one.text for one in shown] == ["On a page", "You said: On a page", "And again", "You said: And again"]
        texts = {"ChatInput": "On a page", "Model": "You said: On a page", "ChatOutput": "You said: On a page"}
        assert {step.component_id: step.text for step in shown[1].trace} == texts
        [mine] = (await read(session_lists.list_page, flow_id="talk", owner="member:ann")).pinned
        assert (mine.session_id, mine.title) == ("page", "On a page")
        assert await read(feedback.find_rating, **PAGE, message_id=shown[1].id) is not None
        copied, count = await read(shared_chats.read_page, key=given["link"])
        assert ([one.text for one in copied], count) == ([one.text for one in shown], 4)
        tools = next(row for row in rows["sessions"] if row["session_id"] == "tools")
        called = (await read(list_messages, flow_id="shown", owner=tools["owner"], session_id="tools"))[-1]
        [action] = called.actions
        assert isinstance(action, ToolReturned)
        assert (action.called.label, action.called.arguments, action.text) == ("Do sums", {"expression": "6*7"}, "42")
        for row in rows["runs"]:
            run = await read(progress.find_run, run_id=row["id"])
            assert run is not None
            assert [one.run_id for one in await read(progress.list_messages, run=run)] == [run.id, run.id]


def row_of(table: str, **values: object) -> dict[str, Any]:
    plain: dict[str, dict[str, Any]] = {
        "sessions": {"flow_id": "talk", "owner": "member:ann", "title": "", "created_at": 1, "updated_at": 1},
        "messages": {"session": "s", "role": "user", "state": "complete", "created_at": 1.0, "text": ""},
        "runs": {"flow_id": "talk", "flow_version": "v", "owner": "member:ann", "session_id": "s", "started_at": 1.0},
    }
    return plain[table] | values


async def test_what_the_first_releases_wrote_is_read_as_what_is_written_now(url: str) -> None:
    steps = json.dumps([["In", "ChatInput", 0.1, -1, None, None], ["Out", "ChatOutput (failed)", 0.2, -2, [1, 2], "m"]])
    runs = ("told", "broken", "alive")
    rows: dict[str, Any] = {
        "sessions": [row_of("sessions", id=key, session_id=key, messages=0) for key in "st"]
        + [row_of("sessions", id=key, session_id="p", messages=1, owner=f"token:{key}") for key in "xy"],
        "tokens": [
            {"id": key, "name": key, "prefix": "fg_", "hash": key, "owner": "ann", "created_at": 1, "uses": 0}
            for key in "xy"
        ],
        "runs": [
            row_of("runs", id=run, status="running" if run == "alive" else "failed", seconds=0, streamed=False)
            for run in runs
        ],
        "messages": [
            *(row_of("messages", id=f"{run}?", run_id=run, text=f"Q {run}") for run in runs),
            row_of("messages", id="told!", run_id="told", role="assistant", text="A", trace=steps),
            *(row_of("messages", id=key, session=key, text=f"by {key}") for key in "xy"),
            row_of("messages", id="broken!", run_id="broken", role="assistant", text="It broke.", state="failed"),
            row_of("messages", id="odd!", run_id="told", role="assistant", text="Odd", trace='[["In"]]'),
        ],
        "turn_overrides": [{"message_id": "told?", "overrides": '{"A": {"b": 1}}'}],
        "run_contents": [{"run_id": "alive", "session": "s", "answers": '{"alive!": "So far"}'}],
        "members": [{"name": "ann", "display_name": "Ann", "role": "member", "active": True, "created_at": 1}],
        "config_entries": [{"name": "eve", "fingerprint": "x", "present": False}],
        "forgotten_to": [{"what": "run_contents", "position": 99}],
        "audit": [{"at": 1, "actor": "x", "action": "member.removed", "subject": "bob"}],
        "removals": [{"pseudonym": "p", "owners": "[]", "words": "[]", "made_at": 1, "looked_at": 2}],
        "presets": [{"owner": "member:ann", "flow_id": "talk", "name": "n", "overrides": "{}", "changed_at": 1}],
        "idempotency_keys": [
            {"id": run, "digest": "d", "run_id": run, "made_at": time.time()} for run in ("alive", "told")
        ],
    }
    engine = Database.make(url).writer
    make_old(engine, rows)
    assert not migrate(engine)
    here: dict[str, Any] = {"flow_id": "talk", "owner": "member:ann", "session_id": "s"}
    with engine.begin() as connection:
        assert progress.interrupt_runs(connection, holders=[]) == 0
        connection.execute(tables.runs.update().where(tables.IS_RUNNING).values(holder="dead"))
        assert progress.interrupt_runs(connection, holders=["dead"]) == 1
        told = {one.id: one for one in list_messages(connection, **here)}
        trace = [(one.component_id, one.status, one.text, one.usage is None) for one in told["told!"].trace]
        assert trace == [("In", "done", "Q told", True), ("Out", "failed", "A", False)]
        assert (told["odd!"].text, told["odd!"].trace) == ("Odd", ())
        assert (told["broken!"].text, told["broken!"].error) == ("", "It broke.")
        assert (told["alive!"].text, told["alive!"].state) == ("So far", "interrupted")
        programs = list_messages(connection, **here | {"owner": conversations.list_owners("ann")[1], "session_id": "p"})
        assert [one.text for one in programs] == ["by x", "by y"]
        assert [(one.sees, one.sets) for one in tokens.list_tokens(connection, owner="ann")] == [
            ("inside", "unprotected")
        ] * 2
        assert conversations.find_overrides(connection, **here, message_id="told?") == {"A": {"b": 1}}
        assert [one.name for one in members.list_members(connection)] == ["ann", "eve"]
        assert len(connection.execute(select(tables.used_ids)).all()) == 1
        assert connection.scalars(select(tables.idempotency_keys.c.id)).all() == ["alive"]
        assert connection.scalars(select(tables.config_entries.c.role)).all() == ["member"]
        assert erasing.forget_contents(connection, before=2.0) > 0, "what was too old is found again"
        assert {one.id: one for one in list_messages(connection, **here)}["told!"].trace == ()


def test_a_converted_database_is_one_that_was_made_new(url: str) -> None:
    engine = Database.make(url).writer
    make_old(engine, {})
    migrate(engine)
    converted = read_shape(engine)
    assert set(converted) == set(tables.metadata.tables)
    assert read_names(engine) == {"baseline"}, "earlier releases refuse it"
    knowledge = find_tables(engine, of_knowledge=True)
    with engine.begin() as connection:
        for name in ("migrations", "additions", *knowledge[::-1]):
            connection.exec_driver_sql(f"DROP TABLE {name}{' CASCADE' if engine.name == 'postgresql' else ''}")
        tables.metadata.drop_all(connection)
    assert migrate(engine)
    assert read_shape(engine) == converted
    assert find_tables(engine, of_knowledge=True) == knowledge
