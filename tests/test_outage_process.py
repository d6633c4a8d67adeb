"""The app whose database hangs, is locked or full, asked through its front doors: a sentence, one log line, an end."""

import resource
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests

from tests.database_line import DatabaseLine
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.store_databases import SERVER, empty_database
from tests.waiting import eventually

QUICK = {"limits": {"store_seconds": 2, "shutdown_seconds": 1}}
NOT_ANSWERING = b"The database does not answer at the moment."


@pytest.fixture
def line(tmp_path: Path) -> Iterator[DatabaseLine]:
    if not SERVER:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL")
    with empty_database("postgresql", tmp_path) as url, DatabaseLine(url) as line:
        yield line


def run(server: AppServer, token: str, said: str = "x", query: str = "") -> requests.Response:
    return requests.post(
        f"{server.url}/api/v1/run/echo{query}", json={"input_value": said}, headers={"x-api-key": token}, timeout=60
    )


def is_ready(server: AppServer) -> bool:
    told = requests.get(f"{server.url}/health_check", timeout=60)
    assert told.status_code == 200 or (told.status_code, told.json()["status"]) == (503, "nok")
    return told.status_code == 200


def end(server: AppServer) -> int | None:
    """SIGTERM; the exit code, or None when the process is still there after a minute."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    try:
        return server.process.wait(60)
    except subprocess.TimeoutExpired:
        return None


def test_postgresql_that_hangs_answers_503_shows_a_sentence_and_lets_the_process_end(
    tmp_path: Path, line: DatabaseLine
) -> None:
    with AppServer(tmp_path, flows=["echo"], config=QUICK | {"database": line.url}) as server:
        token = server.token("t")
        assert run(server, token).status_code == 200
        with open_page(Browser(server.url)) as page:
            assert b"Echo" in page.visit()
            line.hang()
            plain = run(server, token)
            assert (plain.status_code, plain.json()["code"]) == (503, "store_unavailable")
            assert int(plain.headers["retry-after"]) > 0
            assert not is_ready(server)
            assert requests.get(f"{server.url}/health", timeout=60).status_code == 200
            assert NOT_ANSWERING in page.visit()
        with open_page(Browser(server.url)) as page:  # a page that opens meanwhile
            assert NOT_ANSWERING in page.visit()
        line.go_on()
        eventually(lambda: run(server, token).status_code == 200)
        assert is_ready(server)
        line.hang()
        assert run(server, token).status_code == 503
        assert end(server) is not None
        assert "Traceback" not in server.log
        assert "the database cannot be" in server.log


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[AppServer, str, sqlite3.Connection]]:
    """A server, a token, and another process's lock on its database."""
    with AppServer(tmp_path, flows=["echo"], config=QUICK) as server:
        token = server.token("t")
        assert run(server, token).status_code == 200
        other = sqlite3.connect(tmp_path / "data" / "flowground.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        yield server, token, other
        other.close()


def test_a_locked_database_is_503_and_mends(held: tuple[AppServer, str, sqlite3.Connection]) -> None:
    server, token, lock = held
    plain = run(server, token)
    assert (plain.status_code, plain.json()["code"]) == (503, "store_busy")
    stream = run(server, token, query="?stream=sse")
    assert (stream.status_code, stream.json()["code"]) == (503, "store_busy")
    assert not is_ready(server)
    lock.execute("ROLLBACK")
    assert run(server, token).status_code == 200
    assert is_ready(server)
    assert "Traceback" not in server.log


def test_a_locked_database_lets_the_process_end(held: tuple[AppServer, str, sqlite3.Connection]) -> None:
    server, token, _ = held
    codes: list[int] = []

    def call() -> None:
        with suppress(requests.ConnectionError):  # on a busy machine it may come after the end
            codes.append(run(server, token).status_code)

    callers = [threading.Thread(target=call) for _ in range(4)]
    sockets = Path(f"/proc/{server.pid}/fd")
    before = len(list(sockets.iterdir()))
    for caller in callers:
        caller.start()
    eventually(lambda: codes or len(list(sockets.iterdir())) >= before + len(callers))
    assert end(server) is not None
    for caller in callers:
        caller.join(60)
    assert len(codes) > 0
    assert set(codes) == {503}


def test_a_full_disk_is_503_and_two_log_lines_a_run_at_most(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"], config=QUICK) as server:
        token = server.token("t")
        acknowledged = {f"{number} ".ljust(60_000, "x") for number in range(3)}
        assert {run(server, token, said).status_code for said in acknowledged} == {200}
        # No file of the process may grow any further: to SQLite that is a full disk.
        free = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        before = len(server.log.splitlines())
        states = [run(server, token, f"{number} ".ljust(60_000, "y")).status_code for number in range(20)]
        assert states[-5:] == [503] * 5
        assert len(server.log.splitlines()) - before <= 2 * states.count(503)
        assert not is_ready(server)
        with open_page(Browser(server.url)) as page:
            assert b"Echo" in page.visit()  # reading goes on
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, free)
        assert run(server, token).status_code == 200
        assert is_ready(server)
        assert "Traceback" not in server.log
    with closing(sqlite3.connect(tmp_path / "data" / "flowground.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {said for (said,) in database.execute("SELECT text FROM messages WHERE role = 'assistant'")}
    assert acknowledged <= kept


def test_a_start_on_a_full_disk_serves_what_can_be_read(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"], config=QUICK, is_fresh=True) as server:
        token = server.token("t")
        assert run(server, token, "kept").status_code == 200
    free = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, free[1]))  # the process that begins now inherits it
    try:
        server.launch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, free)
    try:
        eventually(lambda: server.log.count("The owner code") == 2)
        assert "The disk is full: what is stored can be read" in server.log
        with open_page(Browser(server.url)) as page:
            assert b"Echo" in page.visit()
        assert run(server, token).status_code == 503
        told = requests.get(f"{server.url}/api/v1/monitor/messages", headers={"x-api-key": token}, timeout=60)
        assert (told.status_code, "kept" in told.text) == (200, True)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, free)
        assert run(server, token).status_code == 200
        assert "Traceback" not in server.log
    finally:
        server.stop()
