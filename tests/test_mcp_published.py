"""Servers that others wrote, over both transports: the reference server of npm, which knows all of the protocol, and
one of PyPI, on an older release of the protocol's library."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowground.core.errors import RunError
from flowground.tools.mcp import McpServers
from flowground.tools.mcp import session as mcp_session
from flowground.tools.settings import McpServerEntry
from tests.mcp_calls import call_again, list_children, opened, serving
from tests.npm_packages import install
from tests.servers import free_port

pytest.importorskip("mcp", reason="needs mcp (requirements-mcp.txt)")

EVERYTHING, VERSION = "@modelcontextprotocol/server-everything", "2026.8.31"
CLOCK = ["mcp-server-time==2026.10.10", "mcp-proxy==0.13.0"]
"""The server, which knows stdio alone, and what offers it over HTTP."""
NOON = {"source_timezone": "Europe/Berlin", "time": "12:00", "target_timezone": "Asia/Tokyo"}


@dataclass(frozen=True)
class Published:
    stdio: tuple[str, ...]
    http: tuple[str, ...]
    """With {port}, or it reads the port from PORT."""
    program: str
    check: Callable[[McpServers], Awaitable[None]]


async def check_everything(servers: McpServers) -> None:
    assert await call_again(servers, "it", "echo", {"message": "hi"}) == "Echo: hi"
    assert await servers.call("it", "get-sum", {"a": 2, "b": 40}) == "The sum of 2 and 40 is 42."
    assert "image/png" in await servers.call("it", "get-tiny-image", {})
    said = await servers.call("it", "trigger-long-running-operation", {"duration": 0.5, "steps": 5})
    assert said == "Long running operation completed. Duration: 0.5 seconds, Steps: 5."
    found = await servers.find_tool("it", "get-sum")
    assert set(found.parameters["properties"]) == {"a", "b"}


async def check_clock(servers: McpServers) -> None:
    said = json.loads(await call_again(servers, "it", "convert_time", NOON))
    assert said["source"]["datetime"].endswith(("T12:00:00+01:00", "T12:00:00+02:00"))
    assert said["target"]["datetime"].endswith(("T20:00:00+09:00", "T19:00:00+09:00"))
    with pytest.raises(RunError, match="Nowhere/Land"):
        await servers.call("it", "get_current_time", {"timezone": "Nowhere/Land"})
    found = await servers.find_tool("it", "convert_time")
    assert set(found.parameters["required"]) == set(NOON)


def install_everything(folder: Path) -> Published:
    install(folder, f"{EVERYTHING}@{VERSION}")
    script = str(folder / "node_modules" / EVERYTHING / "dist" / "index.js")
    return Published(("node", script, "stdio"), ("node", script, "streamableHttp"), script, check_everything)


def install_clock(folder: Path) -> Published:
    """Apart from what this project needs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=240)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *CLOCK], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    program = str(folder / "bin" / "mcp-server-time")
    http = (str(folder / "bin" / "mcp-proxy"), "--port", "{port}", "--", program)
    return Published((program,), http, program, check_clock)


@pytest.fixture(scope="module", params=[install_everything, install_clock])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Published:
    published: Published = request.param(tmp_path_factory.mktemp("published"))
    return published


async def test_over_stdio_it_is_started_killed_and_started_again(server: Published) -> None:
    async with opened("it", McpServerEntry(command=server.stdio, connect_seconds=120)) as servers:
        await server.check(servers)
        (child,) = list_children(server.program)
        os.kill(child, signal.SIGKILL)
        await server.check(servers)
        assert list_children(server.program) not in (set(), {child})
    assert list_children(server.program) == set()


async def test_over_http_it_is_killed_and_found_again(server: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "_FIRST_PAUSE", 0)
    port = free_port()
    command = [word.format(port=port) for word in server.http]
    async with opened("it", McpServerEntry(url=f"http://127.0.0.1:{port}/mcp", connect_seconds=20)) as servers:
        with serving(*command, env=os.environ | {"PORT": str(port)}):
            await server.check(servers)
        with pytest.raises(RunError, match="MCP server `it`"):
            await servers.call("it", "nothing", {})
        with serving(*command, env=os.environ | {"PORT": str(port)}):
            await server.check(servers)
