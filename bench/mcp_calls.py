"""`python -m bench.mcp_calls`: what the app adds to a call of an MCP server over stdio, beside the bare client.

Both ask a server of their own, in turn, so that a busy machine slows both alike. The mark is 3 ms. Not part of CI; it
needs `requirements-mcp.txt`.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, cast

from mcp import Client, StdioServerParameters

from flowground.components.base import Context
from flowground.components.json_schema import find_wrong_schema
from flowground.components.mcp import MCP
from flowground.components.outside import Outside
from flowground.mcp_servers import McpServers
from flowground.mcp_servers.settings import McpServerEntry
from flowground.providers.lanes import USUAL_WAYS

_COMMAND = (sys.executable, "-m", "tests.mcp_server")
_ARGUMENTS = {"number": 3}
_WARM_UP = 50
_MARK = 3.0


async def measure(calls: int) -> dict[str, list[float]]:
    """Client -> milliseconds of each of so many calls."""
    servers = McpServers({"orders": McpServerEntry(command=_COMMAND)}, USUAL_WAYS, find_wrong_schema)
    component = MCP(server="orders", tools=["find_order"], arguments=_ARGUMENTS)
    nothing = cast(Any, None)
    context = Context("Orders", None, nothing, nothing, None, outside=Outside(servers=servers))
    found: dict[str, list[float]] = {"the bare client": [], "the component MCP": []}
    async with Client(StdioServerParameters(command=_COMMAND[0], args=list(_COMMAND[1:]))) as client:
        ways: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: client.call_tool("find_order", _ARGUMENTS),
            lambda: component.run(context),
        )
        for _ in range(_WARM_UP + calls):
            for call, times in zip(ways, found.values(), strict=True):
                began = time.perf_counter()
                await call()
                times.append((time.perf_counter() - began) * 1_000)
    await servers.close()
    return {name: times[_WARM_UP:] for name, times in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.mcp_calls", description=__doc__)
    parser.add_argument("--calls", type=int, default=600, help="of each (default: 600)")
    found = asyncio.run(measure(parser.parse_args().calls))
    for name, times in found.items():
        print(f"{name:20} p50 {median(times):5.2f} ms, p95 {sorted(times)[int(len(times) * 0.95)]:5.2f} ms")
    bare, ours = (median(times) for times in found.values())
    print(f"added to the median: {ours - bare:.2f} ms (mark: {_MARK:.0f} ms)")
    return int(ours - bare > _MARK)


if __name__ == "__main__":
    sys.exit(main())
