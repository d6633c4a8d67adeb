"""A TCP line between the app and PostgreSQL that can be cut, hang, or lose the answer to a commit.

with DatabaseLine("postgresql://…") as line:
    store = Store.open(line.url)
    line.hang()
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy import make_url


class DatabaseLine:
    """`url` is the database's address through this line. Bytes pass until told otherwise."""

    def __init__(self, url: str) -> None:
        there = make_url(url)
        self._server = (there.host or "127.0.0.1", there.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        here = there.set(host="127.0.0.1", port=self._listener.getsockname()[1])
        self.name = f"line-{here.port}"
        """What its connections call themselves in pg_stat_activity."""
        # Without encryption the line can see a commit.
        here = here.update_query_dict({"sslmode": "disable", "application_name": self.name})
        self.url = here.render_as_string(hide_password=False)
        self._passes = threading.Event()
        self._passes.set()
        self._loses_commit = threading.Event()
        self._hangs_at_commit, self._hangs_with = "", b"\0 nothing"
        self._said_it: set[socket.socket] = set()
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def hang(self) -> None:
        """Connections stay and are accepted; nothing passes any more."""
        self._passes.clear()

    def go_on(self) -> None:
        """What hung passes, as if nothing had been."""
        self._passes.set()

    def cut(self) -> None:
        """Ends every connection; new ones are as good as before."""
        for end in list(self._ends):
            _end(end)

    def lose_next_commit(self) -> None:
        """The next COMMIT reaches the database; its answer does not come back, and the connection is cut."""
        self._loses_commit.set()

    def hang_at_commit_of(self, text: str, *, is_stored: bool) -> None:
        """The next COMMIT of a connection that says the text reaches the database, or does so only when things go on;
        from then on nothing passes."""
        self._said_it.clear()
        self._hangs_with = text.encode()
        self._hangs_at_commit = "after" if is_stored else "before"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()
        self.cut()
        self._passes.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._ends |= {client, server}
                deaf = threading.Event()
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pump, args=(*way, deaf), daemon=True).start()

    def _pump(self, here: socket.socket, there: socket.socket, asks: bool, deaf: threading.Event) -> None:
        before = b""
        with suppress(OSError):
            while data := here.recv(65536):
                self._passes.wait()
                if asks and b"COMMIT" in data and self._loses_commit.is_set():
                    self._loses_commit.clear()
                    deaf.set()
                if asks and self._hangs_with in before + data:  # a text may come in two parts
                    self._said_it.add(here)
                before = data[1 - len(self._hangs_with) :]
                hangs = self._hangs_at_commit if here in self._said_it and b"COMMIT" in data else ""
                if hangs:
                    self._hangs_at_commit = ""
                    self.hang()  # first, or the answer may be through before it
                    if hangs == "after":
                        there.sendall(data)
                    self._passes.wait()
                    if hangs == "after":
                        continue
                if deaf.is_set() and not asks:
                    break  # the answer is here, so it is committed; the client never learns it
                there.sendall(data)
        for end in (here, there):
            self._ends.discard(end)
            _end(end)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
