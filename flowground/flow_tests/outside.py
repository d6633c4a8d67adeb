"""What stands for whom a flow asks while it is tested, models aside: the replies of its test. Nobody is asked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowground.databases import SqlParts
from flowground.errors import RunError, ToolNotCalled
from flowground.flow_tests.models import TestedName, pick_given, spell_reply
from flowground.functions import OwnFunction
from flowground.mcp_servers import ServerTool
from flowground.outgoing import OutgoingAnswer, OutgoingCall
from flowground.values import Record

_ANSWER = {"status_code", "result"}
"""What a reply is made of that says a status."""


@dataclass(frozen=True, slots=True)
class TestedOutside:
    """MCP servers, HTTP APIs, databases and functions of one turn, of a flow of `name_tested`.

    Tools and functions take any arguments; tools write nothing. Whatever is asked raises ToolNotCalled where the test
    has no reply, RunError where that cannot be one.
    """

    __test__ = False

    replies: Mapping[str, Any]
    calls: Counter[str] = field(default_factory=Counter)

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        """As the server would say it."""
        self._find(server, "ask no MCP server")
        return ServerTool(tool, "", {"type": "object"}, writes=False)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG002 - the contract's
        """The next reply, as text."""
        return spell_reply(self._take(server, "ask no MCP server"))

    async def ask(self, call: OutgoingCall) -> OutgoingAnswer:
        """The next reply, with its status."""
        given, status = self._take(call.method, "ask no other server"), 200
        if isinstance(given, dict) and "status_code" in given and given.keys() <= _ANSWER:
            status, given = given["status_code"], given.get("result", "")
        if type(status) is not int or not 100 <= status <= 599:
            says = f"`status_code` of the reply for `{self._find(call.method, '')}` is a whole number from 100 to 599."
            raise RunError(says)
        kind = "text/plain" if isinstance(given, str) else "application/json"
        return OutgoingAnswer(call.url, status, kind, "utf-8", None, spell_reply(given).encode())

    async def ask_database(self, name: str, parts: SqlParts) -> Sequence[Record]:  # noqa: ARG002 - the contract's
        """A list of mappings, the same for each question, or of a list of such lists the next."""
        rows = self._take(name, "ask no database", is_rows=True)
        found = [rows] if isinstance(rows, dict) else rows
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise RunError("The reply of the test is no rows: a list of mappings.")
        return found

    def find_function(self, name: str) -> OwnFunction:
        """Its call gives the next reply as it stands."""

        async def call(_: Mapping[str, Any]) -> Any:
            return self._take(name, "call no function")

        return OwnFunction(name, "", {"type": "object", "required": []}, call)

    def _find(self, asked: str, why: str) -> str:
        component = asked.component if isinstance(asked, TestedName) else ""
        if component not in self.replies:
            way = f": `replies` may say what `{component}` gives" if component else ""
            raise ToolNotCalled(f"Tests {why}{way}.")
        return component

    def _take(self, asked: str, why: str, *, is_rows: bool = False) -> Any:
        component = self._find(asked, why)
        self.calls[component] += 1
        given = self.replies[component]
        if is_rows and isinstance(given, list) and not any(isinstance(one, list) for one in given):
            return given
        given, is_there = pick_given(self.replies, component, self.calls[component])
        if not is_there:
            raise ToolNotCalled(f"The test has too few replies for `{component}`, which asked once more.")
        return given
