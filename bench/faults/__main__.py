"""`python -m bench.faults CASE…`: breaks the database or the process under load and counts what was lost.

Prints one line a case and ends with 1 when something was lost, stored twice, or did not end. Cases on PostgreSQL ask
for TEST_DATABASE_URL.
"""

import argparse
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import NullPool, create_engine, make_url, text

from bench.faults.load import Clients, Listeners, count_running, look, read_texts, sqlite_of
from tests.database_line import DatabaseLine
from tests.running import chat_flow
from tests.servers import AppServer, shipped_flow
from tests.store_databases import SERVER, empty_database

Found = Mapping[str, object]
_QUICK = {"limits": {"shutdown_seconds": 2}}


def kill_on_sqlite(rounds: int) -> Found:
    """kill -9 under load, again and again, on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        return _killed(Path(folder), sqlite_of(Path(folder)), rounds)


def kill_on_postgresql(rounds: int) -> Found:
    """The same on PostgreSQL."""
    with tempfile.TemporaryDirectory() as folder, empty_database("postgresql", Path(folder)) as url:
        return _killed(Path(folder), url, rounds)


def end_connections(rounds: int) -> Found:
    """PostgreSQL ends every connection under load, each half second."""
    with _through_line() as (server, line), _loaded(server) as clients:
        engine = create_engine(make_url(SERVER).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
        for _ in range(rounds):
            time.sleep(0.5)
            with engine.begin() as connection:
                connection.execute(ended, {"name": line.name})
        clients.stop()
        return _told(line.url, clients) | {"failed": len(clients.failed)}


def hang(rounds: int) -> Found:
    """The line to PostgreSQL hangs under load for 20 s and goes on; at the end it hangs and the process must end."""
    with _through_line() as (server, line), _loaded(server) as clients:
        for _ in range(max(1, rounds // 10)):
            line.hang()
            time.sleep(20)
            line.go_on()
            time.sleep(5)
        clients.stop()
        found = dict(_told(line.url, clients))
        line.hang()
        return found | {"not ended": int(not _ends(server))}


def lock(rounds: int) -> Found:
    """Another process holds SQLite's lock for 20 s under load; at the end it holds it and the process must end."""
    with tempfile.TemporaryDirectory() as folder, AppServer(Path(folder), flows=["echo"], config=_QUICK) as server:
        with _loaded(server) as clients:
            other = sqlite3.connect(Path(folder) / "data" / "flowground.db", isolation_level=None)
            for _ in range(max(1, rounds // 10)):
                other.execute("BEGIN IMMEDIATE")
                time.sleep(20)
                other.execute("ROLLBACK")
                time.sleep(2)
            clients.stop()
        found = dict(_told(sqlite_of(Path(folder)), clients))
        other.execute("BEGIN IMMEDIATE")
        ended = _ends(server)
        other.close()
        return found | {"not ended": int(not ended)}


def damage(rounds: int) -> Found:
    """Starts on damaged SQLite files: each is refused in a sentence, without a traceback."""
    del rounds
    tracebacks = 0
    for content in (b"not a database\n" * 500, bytes(100) + b"\xff" * 8192):
        with tempfile.TemporaryDirectory() as folder:
            server = AppServer(Path(folder), flows=["echo"])
            (Path(folder) / "data").mkdir()
            (Path(folder) / "data" / "flowground.db").write_bytes(content)
            try:
                server.start()
                tracebacks += 1  # it must not serve
                server.stop()
            except RuntimeError as error:
                tracebacks += "Traceback" in str(error)
    return {"not refused in a sentence": tracebacks}


CASES: Mapping[str, Callable[[int], Found]] = {
    case.__name__.replace("_", "-"): case
    for case in (kill_on_sqlite, kill_on_postgresql, end_connections, hang, lock, damage)
}
_ON_POSTGRESQL = ("kill-on-postgresql", "end-connections", "hang")


def main() -> int:
    listed = "\n".join(f"  {name:20}{case.__doc__}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description=f"{__doc__}\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--rounds", type=int, default=20, help="how often it is broken (default: 20)")
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]}")
    bad = False
    for name in given.cases or CASES:
        if name in _ON_POSTGRESQL and not SERVER:
            print(f"{name}: not run, TEST_DATABASE_URL names no PostgreSQL")
            continue
        found = CASES[name](given.rounds)
        bad |= any(count for what, count in found.items() if what != "acknowledged")
        print(f"{name}: " + ", ".join(f"{what} {count}" for what, count in found.items()), flush=True)
    return int(bad)


def _killed(folder: Path, database: str, rounds: int) -> Found:
    """At moments from 1 to 6 s after the start; then what was heard three seconds before must be there."""
    flows = {"echo": shipped_flow("echo"), "slow": chat_flow("scripted:long", "Slow")}
    server = AppServer(folder, flows=flows, config={"database": database})
    token = server.token("faults")
    clients, texts = Clients(server, token), 0
    for number in range(rounds):
        server.start()
        listeners = Listeners(server, token)
        listeners.start()
        clients.start()
        time.sleep(1 + 5 * number / rounds)
        killed = time.monotonic()
        server.kill()
        clients.stop()
        listeners.wait()
        with server:
            _wait_for_ends(database)
        texts += len(listeners.list_lost(read_texts(database), killed=killed))
    return _told(database, clients) | {"texts lost": texts, "without an end": count_running(database)}


def _wait_for_ends(database: str) -> None:
    """For the runs that the process before left; they are counted where that takes too long."""
    end = time.monotonic() + 20
    while count_running(database) and time.monotonic() < end:
        time.sleep(0.1)


@contextmanager
def _through_line() -> Iterator[tuple[AppServer, DatabaseLine]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        empty_database("postgresql", Path(folder)) as url,
        DatabaseLine(url) as line,
        AppServer(Path(folder), flows=["echo"], config=_QUICK | {"database": line.url}) as server,
    ):
        try:
            yield server, line
        finally:
            line.cut()
            line.go_on()


@contextmanager
def _loaded(server: AppServer) -> Iterator[Clients]:
    clients = Clients(server, server.token("faults"))
    clients.start()
    try:
        yield clients
    finally:
        clients.stop()


def _told(database: str, clients: Clients) -> dict[str, object]:
    return {"acknowledged": len(clients.acknowledged), **look(database, clients)}


def _ends(server: AppServer) -> bool:
    """Whether SIGTERM ends it within its grace (2 s) and 15 s more."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(17)
    except subprocess.TimeoutExpired:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
