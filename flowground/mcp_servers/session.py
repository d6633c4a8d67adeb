"""One MCP server's session, shared by all runs of the process.

A session that is entered in one task and left in another breaks the library's cancel scopes, so one task owns it from
its begin to its end; runs only call through it. It begins with the first call, ends when the server does, and begins
anew with the call after, which waits longer after each failure.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from typing import Any

from flowground.errors import RunError
from flowground.mcp_servers.http import open_http
from flowground.mcp_servers.library import Client, MCPError, SubscriptionLost, mcp_types
from flowground.mcp_servers.results import ServerTool, list_known, read_result, read_tool
from flowground.mcp_servers.settings import McpServerEntry
from flowground.mcp_servers.stdio import open_stdio
from flowground.providers.egress import EgressSettings
from flowground.words import cut, end_sentence, suggest

_log = logging.getLogger(__name__)

_MOST_TOOLS = 500
_MOST_PAGES = 20
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_PROGRESS = 10
"""How many times its seconds a call may take that tells of progress."""
_SHOWN = 300
_LOOK = 2.0
"""Seconds within which a server that kept a call waiting must list its tools; one that does not is begun anew."""
_CLOSING = 10.0
_STALE = ("notifications/tools/list_changed",)


@dataclass(slots=True)
class _McpConnection:
    """`tools` are those that flows may use, by name; None: to be listed anew. `ended`: nobody calls it any more."""

    client: Client
    tools: Mapping[str, ServerTool] | None
    ended: asyncio.Event


class McpSession:
    """Lives on one event loop; nothing runs before the first call. `check` says what is wrong with a schema."""

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
        self._failure = ""
        self._missed: set[str] = set()

    async def find_tool(self, tool: str) -> ServerTool:
        """Raises RunError where the server cannot be reached, or has no such tool that can be used."""
        connection = await self._connect()
        tools = connection.tools
        if tools is None:
            async with self._listing:
                tools = connection.tools = await self._ask(connection, self._list_tools(connection.client))
        found = tools.get(tool)
        if found is None:
            known = suggest(tool, tools, otherwise=f"; it has {list_known(tools)}")
            says = f"The MCP server `{self._name}` has no tool `{tool}`{known}."
            if tool not in self._missed:
                self._missed.add(tool)
                _log.warning("A flow names what is not there: %s", says)  # else the model of its agent alone is told
            raise RunError(says)
        if found.wrong:
            raise RunError(f"The tool `{tool}` of the MCP server `{self._name}` cannot be used: {found.wrong}")
        return found

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """The result's text. Raises RunError: with what the tool says where it failed, and where none answers."""
        connection = await self._connect()
        params = mcp_types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        request = mcp_types.CallToolRequest(params=params)
        clock, seconds = asyncio.get_running_loop().time, self._entry.call_seconds
        latest = clock() + _PROGRESS * seconds
        limit = asyncio.timeout(seconds)

        async def extend(*_: Any, **__: Any) -> None:
            if not limit.expired():
                limit.reschedule(min(clock() + seconds, latest))

        # `send_request`, since `call_tool` tries patterns of the server's on its results, on this loop.
        asked = connection.client.session.send_request(request, mcp_types.CallToolResult, progress_callback=extend)
        result = await self._ask(connection, asked, limit)
        if result.result_type != "complete":
            raise RunError(f"`{tool}` of the MCP server `{self._name}` asks for more, which no flow can give.")
        text = read_result(result)
        if result.is_error:
            raise RunError(cut(text, 2_000) or f"`{tool}` failed and does not say why.")
        return text

    async def close(self) -> None:
        """Ends the session, and the server's process."""
        self._ended.set()
        if self._owner:
            _, left = await asyncio.wait([self._owner], timeout=_CLOSING)
            if left:
                self._owner.cancel()
                await asyncio.wait(left)

    async def _ask(self, connection: _McpConnection, asked: Any, limit: asyncio.Timeout | None = None) -> Any:
        limit = limit or asyncio.timeout(self._entry.call_seconds)
        try:
            async with limit:
                return await asked
        except TimeoutError:
            await self._end_where_silent(connection)
            raise RunError(
                f"The MCP server `{self._name}` did not answer within {_say(self._entry.call_seconds)}."
            ) from None
        except MCPError as error:
            if error.code != mcp_types.CONNECTION_CLOSED:
                said = end_sentence(cut(error.message, _SHOWN))
                raise RunError(f"The MCP server `{self._name}` refused it: {said}") from None
            connection.ended.set()
            raise RunError(f"The MCP server `{self._name}` ended before it answered.") from None
        except Exception as error:  # noqa: BLE001 - whatever breaks inside a library that talks with strangers
            connection.ended.set()
            _log.warning("The MCP server %s: %s", self._name, self._describe(error))
            raise RunError(f"The MCP server `{self._name}` could not be understood.") from None

    async def _end_where_silent(self, connection: _McpConnection) -> None:
        """After a call without an answer: ends a server that answers nothing else either; the next call begins it."""
        try:
            async with asyncio.timeout(_LOOK):
                await connection.client.list_tools()
        except MCPError:
            pass  # an answer too
        except Exception as error:  # noqa: BLE001 - silence, or whatever breaks inside the library
            if not connection.ended.is_set():
                why = type(error).__name__
                _log.warning("The MCP server %s answers nothing any more (%s): it is begun anew.", self._name, why)
            connection.ended.set()

    async def _connect(self) -> _McpConnection:
        """The session, begun where there is none. Raises RunError."""
        opening = self._opening
        if opening is None or (opening.done() and (opening.exception() or opening.result().ended.is_set())):
            loop = asyncio.get_running_loop()
            if loop.time() < self._pause_until:
                raise RunError(self._failure)
            opening = self._opening = loop.create_future()
            opening.add_done_callback(lambda done: done.exception())  # it is read by whoever waits, if anybody does
            before, self._ended = self._owner, asyncio.Event()
            self._owner = asyncio.create_task(self._keep(before, opening, self._ended))
        return await asyncio.shield(opening)

    async def _keep(
        self, before: asyncio.Task[None] | None, opening: asyncio.Future[_McpConnection], ended: asyncio.Event
    ) -> None:
        """One session, from its begin to its end. `before` is the owner of the one before it."""
        if before:
            await asyncio.wait([before])
        why = "it ended"
        try:
            async with asyncio.timeout(self._entry.connect_seconds) as limit, self._open(ended) as client:
                connection = _McpConnection(client, await self._list_tools(client), ended)
                limit.reschedule(None)
                self._failures = 0
                opening.set_result(connection)
                watching = asyncio.create_task(self._watch_tools(connection))
                try:
                    await ended.wait()
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
        except TimeoutError:
            why = f"it was not ready within {_say(self._entry.connect_seconds)}"
        except asyncio.CancelledError:  # the library cancels the task whose server is gone
            why = "the connection broke"
        except BaseException as error:  # noqa: BLE001 - a task's door
            why = self._describe(error)
        finally:
            ended.set()
            if not opening.done():
                self._note_failure(opening, why)

    def _note_failure(self, opening: asyncio.Future[_McpConnection], why: str) -> None:
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        self._failures += 1
        self._pause_until = asyncio.get_running_loop().time() + pause
        self._failure = f"The MCP server `{self._name}` cannot be reached."
        _log.warning("The MCP server %s cannot be reached: %s", self._name, why)
        opening.set_exception(RunError(self._failure))

    def _open(self, ended: asyncio.Event) -> Client:
        entry = self._entry
        transport: AbstractAsyncContextManager[Any]
        if entry.url:
            headers = {name: value.get_secret_value() for name, value in entry.headers.items()}
            transport = open_http(
                entry.url, headers, self._egress, connect=entry.connect_seconds, read=entry.call_seconds + 5
            )
        else:
            named = {name: value.get_secret_value() for name, value in entry.environment.items()}
            transport = open_stdio(self._name, entry.command, named, entry.folder, entry.list_secrets(), ended.set)
        return Client(transport, cache=None, message_handler=self._take_message)

    async def _take_message(self, message: Any) -> None:
        if getattr(message, "method", None) in _STALE and self._opening and self._opening.done():
            with suppress(RunError):
                self._opening.result().tools = None

    async def _watch_tools(self, connection: _McpConnection) -> None:
        """Since the protocol of 2026-07-28 a server tells only who listens that its tools are others now."""
        while True:
            try:
                async with connection.client.listen(tools_list_changed=True) as changes:
                    connection.tools = None  # what changed before is told to nobody
                    async for _ in changes:
                        connection.tools = None
            except SubscriptionLost:
                await asyncio.sleep(_LONGEST_PAUSE)
            except (MCPError, RuntimeError, TimeoutError):
                return  # an older server, which tells by itself, or one without such news
            else:
                return

    async def _list_tools(self, client: Client) -> Mapping[str, ServerTool]:
        found: dict[str, ServerTool] = {}
        cursor = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            for listed in page.tools:
                if len(found) < _MOST_TOOLS and (not self._entry.tools or listed.name in self._entry.tools):
                    tool = read_tool(listed)
                    wrong = tool.wrong or await asyncio.to_thread(self._check, tool.parameters)
                    found[tool.name] = replace(tool, wrong=wrong)
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    def _describe(self, error: BaseException) -> str:
        """For the log: without what the server was sent."""
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
        said = f"{type(error).__name__}: {error}"
        for secret in self._entry.list_secrets():
            said = said.replace(secret, "…") if secret else said
        return cut(" ".join(said.split()), _SHOWN)


def _say(seconds: float) -> str:
    return f"{seconds:g} seconds"
