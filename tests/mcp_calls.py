"""Calls of MCP servers, which tests start, kill and ask again."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from flowground.components.schemas import find_wrong_schema
from flowground.core.errors import RunError
from flowground.providers.egress import USUAL_EGRESS
from flowground.tools.mcp import McpServers
from flowground.tools.settings import McpServerEntry


@asynccontextmanager
async def opened(name: str, entry: McpServerEntry) -> AsyncIterator[McpServers]:
    servers = McpServers({name: entry}, USUAL_EGRESS, find_wrong_schema)
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


def list_children(script: str) -> set[int]:
    """Processes of this one that run the script."""
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", script], capture_output=True, text=True, check=False)
    return {int(line) for line in found.stdout.split()}


@contextmanager
def serving(*command: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A server over HTTP, which ends with what it started."""
    quiet: Mapping[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(command, start_new_session=True, **quiet, **more)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
