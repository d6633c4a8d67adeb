"""The sockets the server listens on: their address, and sending without delay."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import uvicorn

_OPEN_FILES = (Path("/proc/self/fd"), Path("/dev/fd"))


def send_at_once() -> None:
    """Sets TCP_NODELAY on the listeners that are open; accepted connections inherit it.

    `streamlit run` makes its socket without naming TCP, so asyncio leaves Nagle's algorithm on: a response's head and
    body meet the peer's delayed acknowledgement, 44 ms a request. uvloop sets it by itself.
    """
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        return
    for listener in _listeners():
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def serving_at(server: uvicorn.Server | None) -> str | None:
    """The address to open on this computer; None where nobody can tell."""
    if server is None or server.config.uds or server.config.fd is not None:
        return None
    config = server.config
    host = "127.0.0.1" if config.host in ("", "0.0.0.0", "::") else config.host  # noqa: S104 - read, not bound
    return f"{'https' if config.is_ssl else 'http'}://{f'[{host}]' if ':' in host else host}:{config.port}"


def _listeners() -> Iterator[socket.socket]:
    """Duplicates of this process's listening TCP sockets, closed again one by one."""
    folder = next((folder for folder in _OPEN_FILES if folder.is_dir()), None)
    for name in os.listdir(folder) if folder else ():
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as candidate:
            internet = candidate.family in (socket.AF_INET, socket.AF_INET6)
            if internet and candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield candidate
