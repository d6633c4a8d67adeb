"""A query of a SQLite file, asked by a process of its own, which is killed when its time is over."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer

from flowground.child_processes import make_environment
from flowground.databases.query import Parameter, Query, SqlParts
from flowground.errors import RunError
from flowground.values import LONGEST, Record

_PROGRAM = (sys.executable, "-I", "-S", str(Path(__file__).with_name("sqlite_child.py")))
_GRACE = 1.0
"""Seconds for a process to start, and a query to end by itself, on top of what it may take."""


class SqliteProcesses:
    """Those that wait for the next query. Threads take them."""

    def __init__(self) -> None:
        self._free: list[subprocess.Popen[str]] = []

    def take(self) -> "subprocess.Popen[str]":
        """One that nobody else has."""
        with suppress(IndexError):
            while True:
                child = self._free.pop()
                if child.poll() is None:
                    return child
                self.end(child)
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        how = {"stdin": pipe, "stdout": pipe, "stderr": nothing, "env": make_environment(), "encoding": "utf-8"}
        return subprocess.Popen(_PROGRAM, **how)  # type: ignore[call-overload,no-any-return]  # noqa: S603 - ours

    def give_back(self, child: "subprocess.Popen[str]") -> None:
        self._free.append(child)

    def end(self, child: "subprocess.Popen[str]") -> None:
        """Kills it, and waits until it is gone."""
        child.kill()
        with suppress(OSError), child:  # closes its pipes
            pass

    def close(self) -> None:
        """Ends those that wait."""
        while self._free:
            self.end(self._free.pop())


class SqliteQuery(Query):
    """`file` is SQLite's."""

    def __init__(self, file: Path, parts: SqlParts, rows: int, seconds: float, processes: SqliteProcesses) -> None:
        super().__init__(parts, rows, seconds)
        self._file = file
        self._processes = processes
        self._is_over = False
        self._child: subprocess.Popen[str] | None = None

    def run(self) -> Sequence[Record]:
        sql = "".join(f":{part.name}" if isinstance(part, Parameter) else part for part in self._parts)
        asked = {"file": str(self._file), "sql": sql, "values": dict(self.values), "rows": self._rows}
        found = self._ask(json.dumps(asked | {"size": LONGEST, "seconds": self._seconds}))
        if isinstance(found, str):
            raise RunError(self._explain(found))
        for count, row in enumerate(found, 1):
            self.check_row(count, sum(len(value) if isinstance(value, str) else 8 for value in row.values()))
        return found

    def _ask(self, asked: str) -> str | list[Record]:
        """The rows, or why there are none."""
        self._child = child = self._processes.take()
        clock = Timer(self._seconds + _GRACE, self.abort)
        clock.start()
        said = ""
        try:
            assert child.stdin and child.stdout  # noqa: S101, PT018 - both were asked for as pipes
            if not self._is_over:
                child.stdin.write(asked + "\n")
                child.stdin.flush()
                said = child.stdout.readline()
        except OSError:  # it was killed before it had read the query
            pass
        finally:
            clock.cancel()
            self._child = None
            (self._processes.give_back if said and not self._is_over else self._processes.end)(child)
        if said.endswith("\n"):
            return json.loads(said)  # type: ignore[no-any-return]  # as the child writes it
        return "interrupted" if self._is_over else "its reader failed"

    def abort(self) -> None:
        self._is_over = True
        if child := self._child:
            child.kill()

    def _explain(self, error: str) -> str:
        if "interrupted" in error:
            return f"The query took longer than {self._seconds:g} seconds."
        if "not authorized" in error or "prohibited" in error or "authorization" in error:
            return "A query only reads tables of its database: this one wants something else."
        return f"The database refused the query: {error.rstrip('.')}."
