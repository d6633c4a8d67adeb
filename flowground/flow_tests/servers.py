"""What stands for MCP servers while a flow is tested: the replies of its test. No server is started or asked."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowground.errors import ToolNotCalled
from flowground.flow_tests.models import TestedName, pick_reply
from flowground.mcp_servers import ServerTool


@dataclass(frozen=True, slots=True)
class TestedServers:
    """The MCP servers of one turn, of a flow of `name_tested`. Their tools take any arguments and write nothing."""

    __test__ = False

    replies: Mapping[str, Any]
    calls: Counter[str] = field(default_factory=Counter)

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        """Raises ToolNotCalled where the test says nothing for the component that asks."""
        if isinstance(server, TestedName) and server.component not in self.replies:
            says = f"Tests ask no MCP server: `replies` may say what `{server.component}` gives."
            raise ToolNotCalled(says)
        return ServerTool(tool, "", {"type": "object"}, writes=False)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG002 - the contract's
        """The next reply. Raises ToolNotCalled where there is none."""
        component = server.component if isinstance(server, TestedName) else ""
        self.calls[component] += 1
        reply = pick_reply(self.replies, component, self.calls[component])
        if reply is None:
            raise ToolNotCalled(f"The test has too few replies for `{component}`, which was called once more.")
        return reply
