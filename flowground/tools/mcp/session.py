"""One MCP server's session, shared by all runs of the process. Only this module imports the package `mcp`.

A session entered in one task and left in another breaks the library's cancel scopes, so one task owns a session from
beginning to end, and runs call through it. The first call opens a session; when the server ends, the next call opens
another, after a pause that grows with each failure.

Servers' texts may be hostile: they are bounded and cleaned before anything reads them.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from typing import IO, Any

import httpx2
import mcp_types
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from flowground.core.errors import RunError
from flowground.core.words import cut, end_sentence, list_names, suggest
from flowground.providers.egress import EgressSettings
from flowground.tools.mcp import ServerTool
from flowground.tools.settings import McpServerEntry

_log = logging.getLogger(__name__)
logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs lines from a server, which may contain the server's keys

# `mcp` brings a server along, whose streams (sse-starlette 3.7) put a method of theirs in the place of
# `uvicorn.Server.handle_exit` while they are imported. No such stream is ever served here, so uvicorn's is restored.
_streams: Any = sys.modules.get("sse_starlette.sse")
if _streams and _streams.Server.handle_exit is _streams.AppStatus.handle_exit:
    _streams.Server.handle_exit = _streams.AppStatus.original_handler

LONGEST_DESCRIPTION = 1_000
"""The most characters of a tool's description for a model."""
_LARGEST_SCHEMA = 20_000
"""The most characters of the schema of a tool's arguments."""
_LONGEST_RESULT = 200_000
"""The most characters of a result; models get fewer (`runs.outputs`)."""
_LARGEST_ANSWER = 8_000_000
"""The most bytes of one answer over HTTP, or of one event of a stream."""
_MOST_TOOLS = 500
_MOST_PAGES = 20
_FRESH = 10.0
"""Seconds for which a list of tools is reused."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_PROGRESS = 10
"""The factor by which progress reports may extend a call's time."""
_SHOWN = 300
"""The most characters of a server's message in an error or a line of the log."""
_LOGGED_LINES = 200
_LONGEST_LINE = 8_192
_SHORTEST_SECRET = 4
_LOOK = 2.0
"""Seconds in which a server that let a call time out must list its tools; otherwise its session is closed."""
_CLOSING = 10.0


@dataclass(slots=True)
class _McpConnection:
    """An open session. `tools` are usable tools by name, listed at the time `listed`; `ended` is set when no more calls
    may be made."""

    client: Client
    ended: asyncio.Event
    tools: Mapping[str, ServerTool]
    listed: float


class McpSession:
    """The session of one server, on one event loop; nothing runs before the first call. `check` finds mistakes in a
    schema."""

    def __init__(
        self, name: str, entry: McpServerEntry, egress: EgressSettings, check: Callable[[Mapping[str, Any]], str | None]
    ) -> None:
        self._name, self._entry, self._egress, self._check = name, entry, egress, check
        self._opening: asyncio.Future[_McpConnection] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._listing = asyncio.Lock()
        self._failures = 0
        self._pause_until = 0.0
        self._failure = f"The MCP server `{name}` cannot be reached."
        self._missed: set[str] = set()

    async def find_tool(self, tool: str) -> ServerTool:
        """The tool. Raises RunError where the server cannot be reached, or has no usable tool of this name."""
        connection = await self._connect()
        async with self._listing:
            if tool not in connection.tools or _read_clock() - connection.listed > _FRESH:
                connection.tools = await self._ask(connection, self._list_tools(connection.client))
                connection.listed = _read_clock()
        found = connection.tools.get(tool)
        if found is None:
            names = list_names(name[:64] for name in connection.tools) or "none"
            known = suggest(tool, connection.tools, otherwise=f"; it has {names}")
            missing = f"The MCP server `{self._name}` has no tool `{tool}`{known}."
            if tool not in self._missed:
                self._missed.add(tool)
                _log.warning("A flow names what is not there: %s", missing)  # else only the model learns of it
            raise RunError(missing)
        if found.wrong:
            raise RunError(f"The tool `{tool}` of the MCP server `{self._name}` cannot be used: {found.wrong}")
        return found

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """The text of the result. Raises RunError: with the tool's own text where the tool failed, or where nothing
        answers."""
        connection = await self._connect()
        params = mcp_types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        request = mcp_types.CallToolRequest(params=params)
        seconds = self._entry.call_seconds
        latest = _read_clock() + _PROGRESS * seconds
        limit = asyncio.timeout(seconds)

        async def extend(*_: Any, **__: Any) -> None:
            if not limit.expired():
                limit.reschedule(min(_read_clock() + seconds, latest))

        # `send_request`, since `call_tool` would run the server's regular expressions on results, on this event loop.
        asked = connection.client.session.send_request(request, mcp_types.CallToolResult, progress_callback=extend)
        result = await self._ask(connection, asked, limit)
        if result.result_type != "complete":
            raise RunError(f"`{tool}` of the MCP server `{self._name}` asks for more, which no flow can give.")
        text = _read_result(result)
        if result.is_error:
            raise RunError(cut(text, 2_000) or f"`{tool}` failed and does not say why.")
        return text

    async def close(self) -> None:
        """Closes the session, and ends the server's process."""
        self._ended.set()
        if self._owner:
            _, left = await asyncio.wait([self._owner], timeout=_CLOSING)
            if left:
                self._owner.cancel()
                await asyncio.wait(left)

    async def _ask(self, connection: _McpConnection, asked: Any, limit: asyncio.Timeout | None = None) -> Any:
        try:
            async with limit or asyncio.timeout(self._entry.call_seconds):
                return await asked
        except TimeoutError:
            await self._end_where_silent(connection)
            raise RunError(
                f"The MCP server `{self._name}` did not answer within {self._entry.call_seconds:g} seconds."
            ) from None
        except MCPError as error:
            if error.code != mcp_types.CONNECTION_CLOSED:
                why = end_sentence(cut(error.message, _SHOWN))
                raise RunError(f"The MCP server `{self._name}` refused it: {why}") from None
            connection.ended.set()
            raise RunError(f"The MCP server `{self._name}` ended before it answered.") from None
        except Exception as error:  # noqa: BLE001 - whatever breaks inside a library that talks with strangers
            connection.ended.set()
            _log.warning("The MCP server %s: %s", self._name, self._describe(error))
            raise RunError(f"The MCP server `{self._name}` could not be understood.") from None

    async def _end_where_silent(self, connection: _McpConnection) -> None:
        """After a call without an answer: ends the session of a server that does not list its tools either."""
        try:
            async with asyncio.timeout(_LOOK):
                await connection.client.list_tools()
        except MCPError:
            pass  # an error is an answer too
        except Exception as error:  # noqa: BLE001 - silence, or whatever breaks inside the library
            if not connection.ended.is_set():
                why = type(error).__name__
                _log.warning("The MCP server %s answers nothing any more (%s): it is begun anew.", self._name, why)
            connection.ended.set()

    async def _connect(self) -> _McpConnection:
        """The open session, opened first where there is none. Raises RunError."""
        opening = self._opening
        if opening is None or (opening.done() and (opening.exception() or opening.result().ended.is_set())):
            if _read_clock() < self._pause_until:
                raise RunError(self._failure)
            opening = self._opening = asyncio.get_running_loop().create_future()
            opening.add_done_callback(lambda done: done.exception())  # reads the failure even if no caller waits
            before, self._ended = self._owner, asyncio.Event()
            self._owner = asyncio.create_task(self._keep(before, opening, self._ended))
        return await asyncio.shield(opening)

    async def _keep(
        self, before: asyncio.Task[None] | None, opening: asyncio.Future[_McpConnection], ended: asyncio.Event
    ) -> None:
        """Owns one session from beginning to end. `before` is the owner of the session before."""
        if before:
            await asyncio.wait([before])
        why = "it ended"
        try:
            client = Client(self._open(ended), cache=None)
            async with asyncio.timeout(self._entry.connect_seconds) as limit, client:
                tools = await self._list_tools(client)
                limit.reschedule(None)
                self._failures = 0
                opening.set_result(_McpConnection(client, ended, tools, _read_clock()))
                await ended.wait()
        except TimeoutError:
            why = f"it was not ready within {self._entry.connect_seconds:g} seconds"
        except asyncio.CancelledError:  # the library cancels the task when the server is gone
            why = "the connection broke"
        except BaseException as error:  # noqa: BLE001 - a task's end
            why = self._describe(error)
        finally:
            ended.set()
            if not opening.done():
                self._pause_until = _read_clock() + min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
                self._failures += 1
                _log.warning("The MCP server %s cannot be reached: %s", self._name, why)
                opening.set_exception(RunError(self._failure))

    @asynccontextmanager
    async def _open(self, ended: asyncio.Event) -> AsyncIterator[Any]:
        """The library's message streams to and from the server; sets `ended` when the server's process is gone."""
        async with AsyncExitStack() as stack:
            if self._entry.url:
                client = await stack.enter_async_context(self._open_client(self._entry.url))
                transport = streamable_http_client(
                    self._entry.url, http_client=client, max_sse_event_size=_LARGEST_ANSWER
                )
                yield await stack.enter_async_context(transport)
                return
            command, named = self._entry.command, self._entry.environment
            if os.name == "posix":  # the shell prints its process id, and the command then replaces the shell
                command = ("/bin/sh", "-c", 'echo $$ >&2; exec "$@"', "sh", *command)
            environment = {name: value.get_secret_value() for name, value in named.items()}
            server = StdioServerParameters(
                command=command[0], args=list(command[1:]), env=environment, cwd=self._entry.folder
            )
            log = _ErrorLog(self._name, self._entry.list_secrets(), ended)
            stack.callback(log.end_group)
            with log.file:
                streams = await stack.enter_async_context(stdio_client(server, log.file))
            yield streams

    def _open_client(self, url: str) -> httpx2.AsyncClient:
        proxy = self._egress.find_proxy(httpx2.URL(url))
        verify = self._egress.make_ssl() if url.startswith("https") or proxy else True
        return httpx2.AsyncClient(
            transport=_BoundedTransport(verify=verify, proxy=proxy, trust_env=False),
            headers={name: value.get_secret_value() for name, value in self._entry.headers.items()},
            timeout=httpx2.Timeout(self._entry.connect_seconds, read=self._entry.call_seconds + 5),
            trust_env=False,
        )

    async def _list_tools(self, client: Client) -> Mapping[str, ServerTool]:
        found: dict[str, ServerTool] = {}
        cursor = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            for listed in page.tools:
                if len(found) < _MOST_TOOLS and (not self._entry.tools or listed.name in self._entry.tools):
                    tool = _read_tool(listed)
                    wrong = tool.wrong or await asyncio.to_thread(self._check, tool.parameters)
                    found[tool.name] = replace(tool, wrong=wrong)
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    def _describe(self, error: BaseException) -> str:
        """The error for the log, without the secrets that the server was sent."""
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
        return _clean_line(f"{type(error).__name__}: {error}", self._entry.list_secrets())


class _ErrorLog:
    """A pipe for a server's stderr: the first line is the process id, the next lines go to the log.

    Lines beyond `_LOGGED_LINES` are read and dropped, so that the server never blocks. A thread reads, because Windows
    has no other way; it sets `ended` when the pipe is closed.
    """

    def __init__(self, name: str, secrets: Iterable[str], ended: asyncio.Event) -> None:
        self._name, self._secrets, self._ended = name, secrets, ended
        self._loop = asyncio.get_running_loop()
        self._group: int | None = None
        read, write = os.pipe()
        self.file = os.fdopen(write, "w", encoding="utf-8")
        Thread(target=self._read, args=(read,), name=f"stderr of {name}", daemon=True).start()

    def end_group(self) -> None:
        """Kills the processes that the server leaves behind in its group."""
        if self._group is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)

    def _read(self, read: int) -> None:
        with os.fdopen(read, "rb") as file:
            if os.name == "posix" and (first := file.readline(_LONGEST_LINE).strip()).isdigit():
                self._group = int(first)
            for number, line in enumerate(iter(partial(_read_line, file), b"")):
                if number < _LOGGED_LINES:
                    text = _clean_line(line.decode("utf-8", "replace"), self._secrets)
                    _log.info("MCP server %s: %s", self._name, text)
                elif number == _LOGGED_LINES:
                    _log.info("MCP server %s: what else it says is not logged.", self._name)
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._ended.set)


def _read_line(file: IO[bytes]) -> bytes:
    """The beginning of the next line; the rest of a long one is dropped: a secret across the cut would not be found."""
    line = piece = file.readline(_LONGEST_LINE)
    while len(piece) == _LONGEST_LINE and not piece.endswith(b"\n"):
        piece = file.readline(_LONGEST_LINE)
    return line


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    """Stops an answer that is too large; event streams are bounded by the library."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - an asynchronous transport's
            response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream
        self.aclose = stream.aclose  # type: ignore[method-assign]  # the same end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _LARGEST_ANSWER
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise httpx2.RemoteProtocolError(f"The answer is larger than {_LARGEST_ANSWER:,} bytes.")
            yield piece


def _read_clock() -> float:
    return asyncio.get_running_loop().time()


def _read_tool(tool: mcp_types.Tool) -> ServerTool:
    """A tool as its server lists it, bounded; the schema is not checked yet."""
    notes = tool.annotations
    schema = tool.input_schema if isinstance(tool.input_schema, dict) else {}
    wrong = None
    if len(json.dumps(schema)) > _LARGEST_SCHEMA:
        schema, wrong = {}, f"the schema of its arguments has more than {_LARGEST_SCHEMA:,} characters."
    elif schema.get("type") != "object":
        wrong = "its arguments are no object."
    text = " ".join(_clean(str(tool.description or "")).split())[:LONGEST_DESCRIPTION]
    return ServerTool(str(tool.name), text, schema, not (notes is not None and notes.read_only_hint is True), wrong)


def _read_result(result: mcp_types.CallToolResult) -> str:
    """The text of a result: its parts on separate lines; without any, its structured content."""
    text = "\n".join(part for block in result.content if (part := _read_block(block)))
    if not text and result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    return _clean(text[:_LONGEST_RESULT])


def _read_block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}, {block.mime_type}: not shown]"
        case "resource":
            inner = block.resource
            return str(getattr(inner, "text", f"[{inner.uri}: not shown]"))
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
    return f"[{block.type}: not shown]"


def _clean(text: str) -> str:
    """The text without control characters, and without characters that hide other text."""
    return (
        "".join(char for char in text if char in "\n\t" or (char.isprintable() or char.isspace()))
        .encode("utf-8", "replace")
        .decode()
    )


def _clean_line(text: str, secrets: Iterable[str]) -> str:
    """A bounded line for the log, without secrets."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return cut(" ".join("".join(char if char.isprintable() else " " for char in text).split()), _SHOWN)
