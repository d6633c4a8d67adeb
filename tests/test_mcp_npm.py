"""The reference server of npm, which knows all of the protocol, over both transports, and killed in the middle."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flowground.errors import RunError
from flowground.mcp_servers import McpServers
from flowground.mcp_servers import session as mcp_session
from flowground.mcp_servers.settings import McpServerEntry
from tests.mcp_calls import call_again, list_children, opened
from tests.npm_packages import install
from tests.servers import free_port

pytestmark = pytest.mark.anyio
pytest.importorskip("mcp", reason="needs mcp (requirements-mcp.txt)")

PACKAGE = "@modelcontextprotocol/server-everything"
VERSION = "2026.8.31"
LONG = ("everything", "trigger-long-running-operation")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What node runs, fetched by npm."""
    folder = tmp_path_factory.mktemp("everything")
    install(folder, f"{PACKAGE}@{VERSION}")
    return str(folder / "node_modules" / PACKAGE / "dist" / "index.js")


async def echo(servers: McpServers) -> str:
    return await call_again(servers, "everything", "echo", {"message": "hi"})


async def check_tools(servers: McpServers) -> None:
    assert await echo(servers) == "Echo: hi"
    assert await servers.call("everything", "get-sum", {"a": 2, "b": 40}) == "The sum of 2 and 40 is 42."
    assert "image/png" in await servers.call("everything", "get-tiny-image", {})
    said = await servers.call(*LONG, {"duration": 0.5, "steps": 5})
    assert said == "Long running operation completed. Duration: 0.5 seconds, Steps: 5."
    found = await servers.find_tool("everything", "get-sum")
    assert set(found.parameters["properties"]) == {"a", "b"}


async def begin_call(servers: McpServers) -> "asyncio.Task[str]":
    """One that takes ten minutes, and is under way: a call after it had its answer."""
    call = asyncio.create_task(servers.call(*LONG, {"duration": 600, "steps": 600}))
    await asyncio.sleep(0)
    assert await echo(servers) == "Echo: hi"
    return call


async def test_over_stdio_it_is_started_killed_and_started_again(script: str) -> None:
    entry = McpServerEntry(command=("node", script, "stdio"), connect_seconds=120)
    async with opened("everything", entry) as servers:
        await check_tools(servers)
        call = await begin_call(servers)
        (child,) = list_children(script)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(RunError, match="`everything` ended before it answered"):
            await call
        assert await echo(servers) == "Echo: hi"
        assert list_children(script) not in ([], [child])
    assert list_children(script) == []


async def test_over_http_it_is_killed_and_found_again(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "_FIRST_PAUSE", 0)
    port = free_port()
    entry = McpServerEntry(url=f"http://127.0.0.1:{port}/mcp", connect_seconds=20)
    async with opened("everything", entry) as servers:
        with serving(script, port) as process:
            await check_tools(servers)
            call = await begin_call(servers)
            process.kill()
            with pytest.raises(RunError, match="MCP server `everything`"):
                await call
        with pytest.raises(RunError):
            await servers.call("everything", "echo", {"message": "hi"})
        with serving(script, port):
            assert await echo(servers) == "Echo: hi"


@contextmanager
def serving(script: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"PORT": str(port)}
    command = ["node", script, "streamableHttp"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
