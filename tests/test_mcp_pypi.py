"""A server of PyPI that others wrote, on an older release of the protocol's library, over both transports."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowground.errors import RunError
from flowground.mcp_servers import McpServers
from flowground.mcp_servers import session as mcp_session
from flowground.mcp_servers.settings import McpServerEntry
from tests.mcp_calls import call_again, list_children, opened
from tests.servers import free_port

pytestmark = pytest.mark.anyio
pytest.importorskip("mcp", reason="needs mcp (requirements-mcp.txt)")

PACKAGES = ["mcp-server-time==2026.10.10", "mcp-proxy==0.13.0"]
"""The server, which knows stdio alone, and what offers it over HTTP."""
NOON = {"source_timezone": "Europe/Berlin", "time": "12:00", "target_timezone": "Asia/Tokyo"}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both are installed, apart from what this project needs."""
    folder = tmp_path_factory.mktemp("pypi")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=240)
    command = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *PACKAGES,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin"


async def check_tools(servers: McpServers) -> None:
    said = json.loads(await call_again(servers, "clock", "convert_time", NOON))
    assert said["source"]["datetime"].endswith(("T12:00:00+01:00", "T12:00:00+02:00"))
    assert said["target"]["datetime"].endswith(("T20:00:00+09:00", "T19:00:00+09:00"))
    with pytest.raises(RunError, match="Nowhere/Land"):
        await servers.call("clock", "get_current_time", {"timezone": "Nowhere/Land"})
    found = await servers.find_tool("clock", "convert_time")
    assert set(found.parameters["required"]) == set(NOON)


async def test_over_stdio_it_is_started_killed_and_started_again(programs: Path) -> None:
    program = str(programs / "mcp-server-time")
    async with opened("clock", McpServerEntry(command=(program,), connect_seconds=120)) as servers:
        await check_tools(servers)
        (child,) = list_children(program)
        os.kill(child, signal.SIGKILL)
        await check_tools(servers)
        assert list_children(program) not in ([], [child])
    assert list_children(program) == []


async def test_over_http_it_is_killed_and_found_again(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "_FIRST_PAUSE", 0)
    port = free_port()
    async with opened("clock", McpServerEntry(url=f"http://127.0.0.1:{port}/mcp", connect_seconds=20)) as servers:
        with serving(programs, port):
            await check_tools(servers)
        with pytest.raises(RunError, match="MCP server `clock`"):
            await servers.call("clock", "convert_time", NOON)
        with serving(programs, port):
            await check_tools(servers)


@contextmanager
def serving(programs: Path, port: int) -> Iterator[None]:
    command = [str(programs / "mcp-proxy"), "--port", str(port), "--", str(programs / "mcp-server-time")]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # and the server, which it started
        process.wait()
