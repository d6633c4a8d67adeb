"""The MCP client: tools of the servers that `mcp_servers:` of config.yaml names.

The package `mcp` is optional (requirements-mcp.txt), and imported by the first call.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flowground.core.errors import RunError
from flowground.providers.egress import EgressSettings
from flowground.tools.settings import McpServerEntry

if TYPE_CHECKING:
    from flowground.tools.mcp.session import McpSession

_log = logging.getLogger(__name__)

INSTALL = "MCP servers need a package that is not installed: pip install -r requirements-mcp.txt"


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool of a server. `parameters` is a JSON Schema; `writes` is false only where the server declares that the tool
    reads.

    `wrong` is the reason why the tool cannot be used, as a sentence.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    writes: bool
    wrong: str | None = None


class McpServers:
    """All servers of a process, each with one session. `check` returns what is wrong with a JSON Schema, as a
    sentence."""

    def __init__(
        self,
        entries: Mapping[str, McpServerEntry],
        egress: EgressSettings,
        check: Callable[[Mapping[str, Any]], str | None],
    ) -> None:
        self._entries, self._egress, self._check = entries, egress, check
        self._sessions: dict[str, McpSession] = {}
        self._is_installed = find_spec("mcp") is not None
        if entries and not self._is_installed:
            _log.warning(INSTALL)

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        """The tool. Raises RunError where the server cannot be reached, or has no usable tool of this name."""
        return await (await self._find(server)).find_tool(tool)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """The text of the tool's result; `arguments` must be checked already. Raises RunError."""
        return await (await self._find(server)).call(tool, arguments)

    async def close(self) -> None:
        """Closes all sessions, and ends the servers' processes."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def _find(self, server: str) -> "McpSession":
        if session := self._sessions.get(server):
            return session
        entry = self._entries.get(server)
        if entry is None:
            raise RunError(f"There is no MCP server `{server}`: config.yaml does not name it.")
        if not self._is_installed:
            raise RunError(f"{INSTALL}.")
        await asyncio.to_thread(import_module, "flowground.tools.mcp.session")  # half a second, the first time
        from flowground.tools.mcp.session import McpSession  # noqa: PLC0415 - an optional part

        return self._sessions.setdefault(server, McpSession(server, entry, self._egress, self._check))
