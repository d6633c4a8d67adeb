"""`python -m bench.size`: bytes that a run of two short messages leaves in the database, with all indexes.

Asked plainly through the API, each in a session of its own and all in one; on SQLite, and on PostgreSQL where
TEST_DATABASE_URL names one.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import requests
from sqlalchemy import text

from bench.faults.stored import open_engine, sqlite_of
from bench.processes import app, process
from tests.servers import AppServer
from tests.store_databases import SERVER, empty_database

MARK = 2_048
_ON_POSTGRESQL = text(
    "SELECT relname AS name, pg_total_relation_size(pg_class.oid) AS size FROM pg_class "
    "JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE relkind = 'r' AND nspname = current_schema()"
)
_ON_SQLITE = text("SELECT name, sum(pgsize) AS size FROM dbstat GROUP BY name")
_MESSAGE = {"input_value": "Tell me about something interesting."}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.size", description=__doc__)
    parser.add_argument("--runs", type=int, default=4_000, help="of each kind (default: 4,000)")
    runs = parser.parse_args().runs
    print(f"Bytes a run, of {runs:,}; the mark is {MARK:,}. The largest tables and indexes of it in parentheses.")
    with process("bench.stub") as (stub, _):
        for kind in ("sqlite", *(["postgresql"] if SERVER else [])):
            for session in (None, "one conversation"):
                with tempfile.TemporaryDirectory() as name, empty_database(kind, Path(name)) as url:
                    database = url if kind == "postgresql" else sqlite_of(Path(name))
                    _measure(app(Path(name), stub=stub, database=database), database, session=session, runs=runs)


def _measure(server: AppServer, database: str, *, session: str | None, runs: int) -> None:
    token = server.token("size")
    before = _weigh(database)
    with requests.Session() as client, server:
        client.headers["x-api-key"] = token
        for _ in range(runs):
            body = _MESSAGE | ({"session_id": session} if session else {})
            client.post(f"{server.url}/api/v1/run/bench", json=body, timeout=60).raise_for_status()
    what = session or "a session each"
    _say(f"{database.partition(':')[0]}, {what}", _weigh(database), before, runs=runs)
    with open_engine(database).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM FULL" if database.startswith("postgresql") else "VACUUM"))
    _say(f"{database.partition(':')[0]}, {what}, after VACUUM", _weigh(database), before, runs=runs)


def _weigh(database: str) -> Mapping[str, int]:
    """Bytes of each table and, on SQLite, of each index; on PostgreSQL a table's has those of its indexes."""
    with open_engine(database).connect() as connection:
        asked = _ON_POSTGRESQL if connection.dialect.name == "postgresql" else _ON_SQLITE
        return {row.name: int(row.size) for row in connection.execute(asked)}


def _say(what: str, after: Mapping[str, int], before: Mapping[str, int], *, runs: int) -> None:
    grown = Counter({name: (size - before.get(name, 0)) / runs for name, size in after.items()})
    largest = ", ".join(f"{name} {size:.0f}" for name, size in grown.most_common(8) if size >= 1)
    print(f"{what}: {sum(grown.values()):,.0f} ({largest})", flush=True)


if __name__ == "__main__":
    main()
