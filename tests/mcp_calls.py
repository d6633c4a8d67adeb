"""Calls of MCP servers that others wrote, which tests start, kill and ask again."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from flowground.components.json_schema import find_wrong_schema
from flowground.errors import RunError
from flowground.mcp_servers import McpServers
from flowground.mcp_servers.settings import McpServerEntry
from flowground.providers.lanes import USUAL_WAYS


@asynccontextmanager
async def opened(name: str, entry: McpServerEntry) -> AsyncIterator[McpServers]:
    servers = McpServers({name: entry}, USUAL_WAYS, find_wrong_schema)
    try:
        yield servers
    finally:
        await servers.close()


async def call_again(servers: McpServers, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
    """Asks until the server is there."""
    async with asyncio.timeout(120):
        while True:
            try:
                return await servers.call(server, tool, dict(arguments))
            except RunError:
                await asyncio.sleep(0.05)


def list_children(script: str) -> list[int]:
    """Processes of this one that run the script."""
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", script], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]
