"""An MCP server that is a child process: lines of JSON on its stdin and stdout.

`mcp` has such a transport, which keeps a line without an end in memory whole, does not tell that the child is gone, and
leaves what the child started behind.
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

from flowground.mcp_servers.library import SessionMessage, get_default_environment, mcp_types

_log = logging.getLogger(__name__)

_LONGEST_LINE = 8_000_000
"""Bytes of one message of a server; a longer one ends the connection."""
_LOGGED_LINES = 200
_LOGGED_CHARS = 300
_LONGEST_KEPT = 8_192
"""Bytes of a line on stderr; what stands behind them is dropped."""
_GRACE = 2.0
"""Seconds that a server has to end by itself when its stdin is closed, and as many after SIGTERM."""
_LOOK_EVERY = 0.02
_SHORTEST_SECRET = 4


@asynccontextmanager
async def open_stdio(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    secrets: Iterable[str],
    tell: Callable[[], None],
) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages of a server that runs as long as this is open; `tell` is called when it says no more.

    Raises OSError where it cannot start.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=get_default_environment() | dict(environment),
        cwd=folder,
        limit=_LONGEST_LINE,
        start_new_session=True,
    )
    found, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    sent, given = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = [
        asyncio.create_task(_read(name, process, found)),
        asyncio.create_task(_write(process, given, found)),
        asyncio.create_task(_log_lines(name, process, tuple(secrets))),
    ]
    tasks[0].add_done_callback(lambda _: tell())
    try:
        yield received, sent
    finally:
        await _end(process, tasks)
        for stream in (found, received, sent, given):
            stream.close()


async def _read(name: str, process: asyncio.subprocess.Process, found: Any) -> None:
    assert process.stdout  # noqa: S101 - a pipe
    with found, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                _log.warning("The MCP server %s sent a line of more than %s bytes.", name, f"{_LONGEST_LINE:,}")
                return
            if not line:
                return
            if line.isspace():
                continue
            try:
                message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError as error:
                await found.send(error)
            else:
                await found.send(SessionMessage(message))


async def _write(process: asyncio.subprocess.Process, given: Any, found: Any) -> None:
    assert process.stdin  # noqa: S101 - a pipe
    try:
        async for message in given:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(line.encode() + b"\n")
            await process.stdin.drain()
    except OSError:
        found.close()


async def _log_lines(name: str, process: asyncio.subprocess.Process, secrets: tuple[str, ...]) -> None:
    """Of what the server says on stderr the first lines; the rest is read and dropped, so that it never waits."""
    assert process.stderr  # noqa: S101 - a pipe
    logged, rest = 0, b""
    while piece := await process.stderr.read(_LONGEST_KEPT):
        if logged > _LOGGED_LINES:
            continue
        *lines, rest = (rest + piece).split(b"\n")
        rest = rest[:_LONGEST_KEPT]
        for line in lines:
            logged += 1
            if logged > _LOGGED_LINES:
                _log.info("MCP server %s: what else it says is not logged.", name)
                break
            _log.info("MCP server %s: %s", name, _clean(line.decode("utf-8", "replace"), secrets))


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return "".join(char if char.isprintable() else " " for char in text[:_LOGGED_CHARS])


async def _end(process: asyncio.subprocess.Process, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Closes its stdin, and ends what of its process group is left then. Finishes also where it is cancelled."""
    with anyio.CancelScope(shield=True):
        if process.stdin:
            process.stdin.close()
        if not await _wait_until_gone(process):
            _end_group(process, signal.SIGTERM)
            await _wait_until_gone(process)
    if process.returncode is None or os.name == "posix":
        _end_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    with suppress(OSError):
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public closes the pipes


async def _wait_until_gone(process: asyncio.subprocess.Process) -> bool:
    """Not `process.wait`, which waits for the pipes too: what the server started may hold them."""
    end = asyncio.get_running_loop().time() + _GRACE
    while process.returncode is None:
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(_LOOK_EVERY)
    return True


def _end_group(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.kill()
