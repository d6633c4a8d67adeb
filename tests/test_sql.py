"""SQL: what a flow may ask of a database, on SQLite and PostgreSQL, and that it can change and reach nothing else."""

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from flowground.core.caller import RunRequest
from flowground.core.errors import FlowError, FlowgroundError, RunError, TweaksRefused
from flowground.flows.tweaks import apply_tweaks
from flowground.tools import databases as postgresql
from flowground.tools.databases import Databases, PostgresQuery
from flowground.tools.settings import DatabaseSettings
from tests.canary import WORD
from tests.forwards import forward
from tests.one_step import make_flow, offer, show
from tests.test_api_request import load, talk
from tests.test_settings import refusal
from tests.waiting import eventually

TABLES = [
    "CREATE TABLE orders (number INTEGER, status TEXT, price NUMERIC)",
    "INSERT INTO orders VALUES (1, 'sent', 9.5), (2, 'O''Neil {x}', NULL)",
]
READER = f"flowground_test_{os.getpid()}"
"""A role, and the schema that it finds its tables in: of this process, others ask the same server meanwhile."""
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


def open_as_admin() -> Engine:
    return create_engine(make_url(os.environ["TEST_DATABASE_URL"]), poolclass=NullPool)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with two orders."""
    if request.param == "sqlite":
        file = tmp_path / "orders.db"
        with closing(sqlite3.connect(file)) as made:
            made.executescript("; ".join(("PRAGMA journal_mode = WAL", *TABLES)))
        yield f"sqlite:///{file}"
        return
    if "TEST_DATABASE_URL" not in os.environ:
        pytest.skip("needs TEST_DATABASE_URL")
    engine = open_as_admin()
    drop = [f"DROP SCHEMA IF EXISTS {READER} CASCADE", f"DROP ROLE IF EXISTS {READER}"]
    make = [f"CREATE SCHEMA {READER}", f"CREATE ROLE {READER} LOGIN", f"GRANT ALL ON SCHEMA {READER} TO {READER}"]
    with engine.begin() as connection:
        for line in (*drop, *make, f"SET LOCAL search_path = {READER}", *TABLES, f"GRANT ALL ON orders TO {READER}"):
            connection.execute(text(line))
    yield engine.url.set(drivername="postgresql", username=READER).render_as_string(hide_password=False)
    with engine.begin() as connection:
        for line in drop:
            connection.execute(text(line))


def asking(*, as_tool: bool = False, **fields: Any) -> str:
    said = offer("Orders") if as_tool else show("${Orders.run_sql_query}")
    return make_flow("Orders", {"type": "SQL", "database": "orders", **fields}, said)


def at(url: str, **more: Any) -> dict[str, Any]:
    return {"databases": {"orders": {"url": url} | more}}


async def ask(folder: Path, url: str, query: str) -> str:
    """What the model of an agent is told of its query."""
    call, config = f"call Orders {json.dumps({'query': query})}", at(url, rows=50, seconds=1)
    said = await talk(folder, asking(as_tool=True), call, config=config)
    return said.removeprefix("The tools said: ")


def rows(said: str) -> list[Any]:
    """As a text they are JSON, a blank line between two."""
    return [json.loads(row) for row in said.split("\n\n") if row]


async def test_a_step_is_given_rows_and_a_value_stays_a_value(tmp_path: Path, url: str) -> None:
    query = "SELECT number, status, price, '100%' AS share FROM orders WHERE status = {status} ORDER BY number"
    flow = asking(query=query, status="${ChatInput}")
    told = rows(await talk(tmp_path, flow, "sent", config=at(url)))
    assert told == [{"number": 1, "status": "sent", "price": 9.5, "share": "100%"}]
    for value, count in (("O'Neil {x}", 1), ("' OR 1=1 --", 0), ("{status}", 0), ("", 0), ("%s", 0)):
        assert len(rows(await talk(tmp_path, flow, value, config=at(url)))) == count, value


async def test_a_model_gives_a_value_or_writes_the_query(tmp_path: Path, url: str) -> None:
    query = "SELECT status FROM orders WHERE number = {number}"
    flow = asking(as_tool=True, query=query, arguments={"number": "Its number"})
    (tool,) = load(flow).tools["Said"]
    assert (tool.arguments, tool.writes) == (("number",), False)
    assert tool.spec.parameters["properties"]["number"]["description"] == "Its number"
    assert '"status":"sent"' in await talk(tmp_path, flow, 'call Orders {"number": "1"}', config=at(url))
    more = await talk(tmp_path, flow, 'call Orders {"number": "1", "query": "SELECT 1"}', config=at(url))
    assert "takes `number`, and no `query`" in more
    assert load(asking(as_tool=True)).tools["Said"][0].arguments == ("query",)
    assert "{x}" in await ask(tmp_path, url, "SELECT status FROM orders WHERE status LIKE '%{x}'")


FORBIDDEN = [
    "INSERT INTO orders VALUES (3, 'a', 1)", "UPDATE orders SET status = 'a'", "DELETE FROM orders", "VACUUM", "BEGIN",
    "DROP TABLE orders", "CREATE TABLE more (a int)", "SELECT 1; DELETE FROM orders", "SELECT 1; SELECT 2", "COMMIT",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone", 'SELECT 1) "query"; DELETE FROM orders; --',
    "", "nonsense",
]  # fmt: skip
ON_SQLITE = [
    "ATTACH DATABASE '/etc/passwd' AS other", "VACUUM INTO '/tmp/flowground-copy.db'", "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON", "PRAGMA database_list", "SELECT load_extension('/tmp/evil.so')",
    "SELECT readfile('/etc/passwd')", "SELECT writefile('/tmp/x', 'y')", "SELECT fts3_tokenizer('simple')",
    "DETACH DATABASE main", "CREATE TEMP TABLE t AS SELECT 1", "SELECT zeroblob(1000000000)",
]  # fmt: skip
ON_POSTGRESQL = [
    "SET transaction_read_only = off", "SELECT set_config('transaction_read_only', 'off', false)", "CALL nothing()",
    "COPY orders TO '/tmp/flowground-copy'", "COPY orders TO PROGRAM 'id'", "DO $$ BEGIN DELETE FROM orders; END $$",
    "LISTEN a", "EXPLAIN ANALYZE DELETE FROM orders", "SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')", "SELECT pg_reload_conf()", "SELECT * INTO more FROM orders",
    "SELECT * FROM orders FOR UPDATE", "SELECT 1 FROM pg_authid",
    'SELECT 1) "query") "rows" UNION ALL SELECT repeat(\'a\', 9) FROM (SELECT 1 FROM (SELECT 1',
]  # fmt: skip


async def test_a_value_of_a_type_is_checked_and_given_as_that(tmp_path: Path, url: str) -> None:
    told = {"most": {"type": "integer", "description": "How many"}, "least": {"type": "number"}, "status": "Its status"}
    query = "SELECT number + {most} AS n FROM orders WHERE price >= {least} AND status = {status} LIMIT {most}"
    flow = asking(as_tool=True, query=query, arguments=told)
    (tool,) = load(flow).tools["Said"]
    most = tool.spec.parameters["properties"]["most"]
    assert (most["type"], most["description"]) == ("integer", "How many")

    async def call(**given: Any) -> str:
        given = {"most": 5, "least": 0.5, "status": "sent"} | given
        return await talk(tmp_path, flow, f"call Orders {json.dumps(given)}", config=at(url))

    for given in (5, "5", 5.0):
        assert '"n":6' in await call(most=given)
    assert "Nothing was found" in await call(least=9.6)
    assert "`most` is a whole number, not" in await call(most="many")
    assert "`most` is larger than a database counts" in await call(most=2**63)
    assert "`least` is a number, not" in await call(least="1 OR 1=1")
    step = asking(query=query, arguments=told, most="1", least="${ChatInput}", status="sent")
    assert rows(await talk(tmp_path, step, "9", config=at(url))) == [{"n": 2}]


async def test_nothing_is_changed_and_nothing_else_reached(tmp_path: Path, url: str) -> None:
    for query in (*FORBIDDEN, *(ON_SQLITE if url.startswith("sqlite") else ON_POSTGRESQL)):
        said = await ask(tmp_path, url, query)
        assert said.startswith(("It failed:", "The arguments")), (query, said)
        assert "root:" not in said
    assert rows(await ask(tmp_path, url, "SELECT count(*) AS n FROM orders")) == [{"n": 2}]
    assert not os.path.exists("/tmp/flowground-copy.db")  # noqa: ASYNC240 - at once
    assert not os.path.exists("/tmp/flowground-copy")  # noqa: ASYNC240 - as above


@on_postgresql
async def test_a_read_only_transaction_cannot_be_opened_up_by_a_select(tmp_path: Path, url: str) -> None:
    with open_as_admin().begin() as connection:
        body = f"DELETE FROM {READER}.orders; SELECT 1"
        connection.execute(
            text(f"CREATE FUNCTION {READER}.spoil() RETURNS int SECURITY DEFINER LANGUAGE sql AS '{body}'")
        )
    assert "read-only transaction" in await ask(tmp_path, url, "SELECT spoil()")
    tried = "SELECT set_config('transaction_read_only', 'off', true), spoil()"
    assert (await ask(tmp_path, url, tried)).startswith("It failed")
    assert rows(await ask(tmp_path, url, "SELECT count(*) AS n FROM orders")) == [{"n": 2}]


@on_postgresql
async def test_a_query_of_postgresql_leaves_nothing_to_the_next(url: str) -> None:
    databases = Databases({"orders": DatabaseSettings(url=url, seconds=60)})
    await databases.ask("orders", ["SELECT pg_advisory_lock(7), set_config('work_mem', '99MB', false)"])
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    (found,) = await databases.ask("orders", [f"SELECT current_setting('work_mem') AS work_mem, ({locks}) AS locks"])
    assert (found["work_mem"] != "99MB", found["locks"]) == (True, 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(databases.ask("orders", ["SELECT pg_sleep(60)"]), 2)
    await databases.close()
    with open_as_admin().connect() as connection:
        still = text(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{READER}'")
        eventually(lambda: connection.execute(still).scalar_one() == 0)


def select_one(url: str) -> PostgresQuery:
    return PostgresQuery(url, ["SELECT 1 AS a"], 50, 60)


@on_postgresql
async def test_a_query_of_postgresql_that_was_given_up_before_its_turn_is_not_asked(url: str) -> None:
    query = select_one(url)
    query.abort()
    with pytest.raises(RunError, match="given up"):
        await asyncio.to_thread(query.run)
    assert await asyncio.to_thread(select_one(url).run) == [{"a": 1}]


@on_postgresql
async def test_a_silent_connection_of_postgresql_keeps_no_thread(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the end of the process, which waits for its threads."""
    monkeypatch.setattr(postgresql, "_CONNECT_SECONDS", 2)
    is_silent = False
    with forward(make_url(url).port or 5432, lambda piece: b"" if is_silent else piece) as port:
        there = make_url(url).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(select_one(there).run).result(60) == [{"a": 1}]
            is_silent = True
            with pytest.raises(RunError, match="does not answer"):
                threads.submit(select_one(there).run).result(60)
            is_silent = False
            assert threads.submit(select_one(there).run).result(60) == [{"a": 1}]


@on_postgresql
async def test_a_superuser_of_postgresql_is_let_in_by_nobody(tmp_path: Path, url: str) -> None:
    mighty = make_url(url).set(username=make_url(os.environ["TEST_DATABASE_URL"]).username)
    said = await ask(tmp_path, mighty.render_as_string(hide_password=False), "SELECT 1 AS a")
    assert "may read files of its server" in said


async def test_a_query_is_bounded_in_time_rows_and_bytes(tmp_path: Path, url: str) -> None:
    is_file = url.startswith("sqlite")
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n{}) SELECT i FROM n"
    endless = "SELECT count(*) FROM ({})".format(count.format("")) if is_file else "SELECT pg_sleep(60)"
    assert "took longer than 1 seconds" in await ask(tmp_path, url, endless)
    if not is_file:
        for sleep in ("pg_sleep(60)", "pg_sleep(0.1) FROM generate_series(1, 500)"):
            sneaky = f"SELECT set_config('statement_timeout', '0', true), {sleep}"
            assert "took longer than 1 seconds" in await ask(tmp_path, url, sneaky)
    assert "more than 50 rows" in await ask(tmp_path, url, count.format(" WHERE i < 51"))
    assert len(rows(await ask(tmp_path, url, count.format(" WHERE i < 50")))) == 50
    wide = "SELECT replace(hex(zeroblob(200000)), '0', 'a')" if is_file else "SELECT repeat('a', 400000)"
    many = f'{wide} AS a FROM ({count.format(" WHERE i < 20")}) "x"'
    assert "more than 3,000,000 bytes" in await ask(tmp_path, url, many)
    huge = "SELECT hex(zeroblob(400000))" if is_file else "SELECT repeat('a', 100000000)"
    assert (await ask(tmp_path, url, huge)).startswith("It failed")


async def test_what_cannot_be_asked_is_a_sentence_without_password_and_path(tmp_path: Path) -> None:
    gone = f"sqlite:///{tmp_path}/{WORD}.db"
    away = f"postgresql://ada:{WORD}@127.0.0.1:1/orders"
    for url in (gone, away):
        said = await ask(tmp_path, url, "SELECT 1")
        assert said.startswith("It failed: The database")
        assert WORD not in said
    with pytest.raises(FlowgroundError, match="There is no database `orders`"):
        await talk(tmp_path, asking(query="SELECT 1"), "x", config={})


def test_a_caller_sets_no_query_and_no_database() -> None:
    flow = load(asking(query="SELECT 1 AS a WHERE 1 = {n}", n="1"))
    for field in ("query", "database"):
        with pytest.raises(TweaksRefused):
            apply_tweaks(flow, RunRequest(tweaks={"Orders": {field: "SELECT 2"}}), unknown="refuse")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"query": "SELECT 1 WHERE a = '${ChatInput}'"}, "and `name: ${ChatInput}` beside it"),
        ({"query": "SELECT {a}"}, "Nobody gives the variable `{a}`"),
        ({"query": "SELECT 1", "a": "b"}, "`a` is no field and no variable"),
        ({}, "needs `query`"),
        ({"query": "SELECT {a}", "a": "b", "arguments": {"a": {"type": "whole"}}}, "a type is string, integer, number"),
    ],
)
def test_mistakes_are_named_when_the_file_is_read(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(FlowError, match=re.escape(says)):
        load(asking(**fields))


def test_the_apps_own_database_is_opened_to_no_flow(tmp_path: Path) -> None:
    for own, other in (
        ("sqlite:///data/own.db", "sqlite:///data/../data/own.db"),
        ("postgresql://a@db.example/flow", "postgresql://reader@db.example:5432/flow"),
    ):
        said = refusal(tmp_path, f"database: {own}\ndatabases: {{orders: {{url: '{other}'}}}}")
        assert "databases.orders.url: is the database of this app" in said
    assert "must look like" in refusal(tmp_path, "databases: {orders: {url: 'mysql://x'}}")
    unset = "databases: {orders: {url: 'postgresql://a:${env:NO_SUCH_WORD}@b/c'}}"
    assert "the environment variable NO_SUCH_WORD is not set" in refusal(tmp_path, unset)


async def test_steps_that_no_clock_ends_end_with_their_process(tmp_path: Path) -> None:
    """Each of these is one step, and takes SQLite many seconds."""
    file = tmp_path / "orders.db"
    sqlite3.connect(file).close()
    url = f"sqlite:///{file}"
    databases = Databases({"short": DatabaseSettings(url=url, seconds=0.2), "long": DatabaseSettings(url=url)})
    query = (
        "WITH t AS (SELECT printf('%.*c', 499000, 'a') AS a, printf('%.*c', 49000, 'a') || 'b' AS b) SELECT {} FROM t"
    )
    for step in ("instr(a, b || {})", "a LIKE '%' || b || {}"):
        steps = query.format(", ".join(step.format(number) for number in range(100)))
        with pytest.raises(RunError, match="took longer"):
            await databases.ask("short", [steps])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(databases.ask("long", [steps]), 0.5)
        for _ in range(2):
            assert await databases.ask("long", ["SELECT 'ab' LIKE '%B' AS a"]) == [{"a": 1}]
    await databases.close()
