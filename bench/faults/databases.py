"""A database that is cut off, hangs, is locked or damaged."""

import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from bench.faults.found import Found
from bench.faults.load import Clients
from bench.faults.stored import check_whole, look, open_engine, sqlite_of
from tests.database_line import DatabaseLine
from tests.servers import AppServer
from tests.store_databases import SERVER, empty_database

_QUICK = {"limits": {"shutdown_seconds": 2}}


def end_connections(rounds: int) -> Found:
    """PostgreSQL ends every connection each half second."""
    with _through_line() as (server, line), _loaded(server) as clients:
        engine = open_engine(SERVER)
        ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
        for _ in range(rounds):
            time.sleep(0.5)
            with engine.begin() as connection:
                connection.execute(ended, {"name": line.name})
        clients.stop()
        return _sum_up(line.url, clients, {"requests that failed": len(clients.failed)})


def hang(rounds: int) -> Found:
    """The connection to PostgreSQL hangs for 20 s, and again while the process ends."""
    with _through_line() as (server, line), _loaded(server) as clients:
        for _ in range(max(1, rounds // 10)):
            line.hang()
            time.sleep(20)
            line.go_on()
            time.sleep(5)
        clients.stop()
        found = _sum_up(line.url, clients, {})
        line.hang()
        return Found(found.seen, {**found.wrong, "not ended": int(not _end(server))})


def lock(rounds: int) -> Found:
    """Another process holds SQLite's lock for 20 s, and again while the process ends."""
    with tempfile.TemporaryDirectory() as folder, AppServer(Path(folder), flows=["echo"], config=_QUICK) as server:
        with _loaded(server) as clients:
            other = sqlite3.connect(Path(folder) / "data" / "flowground.db", isolation_level=None)
            for _ in range(max(1, rounds // 10)):
                other.execute("BEGIN IMMEDIATE")
                time.sleep(20)
                other.execute("ROLLBACK")
                time.sleep(2)
            clients.stop()
        found = _sum_up(sqlite_of(Path(folder)), clients, {})
        other.execute("BEGIN IMMEDIATE")
        has_ended = _end(server)
        other.close()
        return Found(found.seen, {**found.wrong, "not ended": int(not has_ended)})


def damage(rounds: int) -> Found:
    """Starts on damaged SQLite files are refused in a sentence."""
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
    return Found({"damaged files": 2}, {"not refused in a sentence": tracebacks})


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


def _sum_up(database: str, clients: Clients, wrong: Mapping[str, int]) -> Found:
    lost = look(database, clients.acknowledged)
    seen = {"runs acknowledged": len(clients.acknowledged)}
    return Found(seen, {**lost, "mistakes in the database": check_whole(database), **wrong})


def _end(server: AppServer) -> bool:
    """Whether SIGTERM ends it within its grace (2 s) and 15 s more."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(17)
    except subprocess.TimeoutExpired:
        return False
    return True
