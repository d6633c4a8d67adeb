"""Processes of the app that begin where its imports have ended: forks of one process that has imported all of it.

A start costs a sixth of what `python -m streamlit run app.py` costs, most of which is imports. Linux only; elsewhere,
and where a test is about the command itself, `AppServer` starts a process of its own.

    forks = ForkServer()
    process = forks.start("flowground", ["keys", "list"], folder, environment, files=(stdin, stdout, stderr))
    assert process.wait(60) == 0
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CAN_FORK = sys.platform == "linux"
_IMPORTED = (
    "streamlit.web.cli",
    "streamlit.web.bootstrap",
    "streamlit.starlette",
    "streamlit.web.server.starlette.starlette_app",
    "flowground.web.app",
    "flowground.api.app",
    "flowground.cli.flows",
    "flowground.cli.knowledge",
    "flowground.cli.operating",
    "flowground.cli.people",
    "flowground.cli.project",
    "flowground.cli.run",
    "flowground.ui.shims.streamlit_process",
    "flowground.ui.shims.uvicorn_server",
    "flowground.ui.shell.navigation",
    "flowground.ui.page.bridge",
)
"""With what they import: what a started app has loaded."""


class Forked:
    """A process that a `ForkServer` started; the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, server: "ForkServer") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code (of a signal: its number below 0), or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""
        if self.returncode is None:
            ended = select.poll()
            ended.register(self._descriptor, select.POLLIN)
            if not ended.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = self._server.read_exit_code(self.pid)
            os.close(self._descriptor)
        return self.returncode

    def send_signal(self, which: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, which)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Starts its process at the first use, and ends it by `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        files: tuple[int, int, int],
    ) -> Forked:
        """`python -m MODULE ARGUMENTS…` in `folder`; `files` are its standard input, output and errors."""
        wanted = {"module": module, "arguments": list(arguments), "folder": str(folder), "environment": {**environment}}
        return Forked(self._ask(wanted, files), self)

    def read_exit_code(self, pid: int) -> int:
        """To be asked once, of a process that has ended."""
        return self._ask({"ended": pid}, ())

    def close(self) -> None:
        if self._process is not None and self._line is not None:
            self._line.close()
            self._process.wait(20)

    def _ask(self, wanted: dict[str, Any], files: Sequence[int]) -> int:
        with self._lock:
            line = self._line or self._open()
            body = json.dumps(wanted).encode()
            socket.send_fds(line, [len(body).to_bytes(8, "big")], files)
            line.sendall(body)
            return int.from_bytes(_read(line, 8), "big", signed=True)

    def _open(self) -> socket.socket:
        self._line, there = socket.socketpair()
        with there:
            command = [sys.executable, "-m", "tests.forks", str(there.fileno())]
            kept = os.environ | {"PYTHONUNBUFFERED": "1"}
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=kept, stdin=subprocess.DEVNULL, pass_fds=[there.fileno()]
            )
        return self._line


def _read(line: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        if not (more := line.recv(size - len(found))):
            raise RuntimeError("the process that starts others has ended")
        found += more
    return found


def _serve(line: socket.socket) -> dict[str, Any] | None:
    """Forks for each request, in which it returns what is wanted; None in the first process, when nobody asks more."""
    while True:
        head, files, _, _ = socket.recv_fds(line, 8, 3)
        if not head:
            return None
        wanted: dict[str, Any] = json.loads(_read(line, int.from_bytes(head, "big")))
        if "ended" in wanted:
            answer = os.waitstatus_to_exitcode(os.waitpid(wanted["ended"], 0)[1])
        elif answer := os.fork():
            for file in files:
                os.close(file)
        else:
            line.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            return wanted
        line.sendall(answer.to_bytes(8, "big", signed=True))


def _main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for pytest, whose end ends this
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    wanted = _serve(socket.socket(fileno=descriptor))
    if wanted is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    sys.argv = [wanted["module"], *wanted["arguments"]]
    runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
