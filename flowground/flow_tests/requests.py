"""What stands for HTTP APIs while a flow is tested: the replies of its test. No request is sent."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowground.errors import RunError, ToolNotCalled
from flowground.flow_tests.models import TestedName, pick_given
from flowground.outgoing import OutgoingAnswer, OutgoingCall

_ANSWER = {"status_code", "result"}
"""What a reply is made of that says a status."""


@dataclass(frozen=True, slots=True)
class TestedRequests:
    """The requests of one turn, of a flow of `name_tested`."""

    __test__ = False

    replies: Mapping[str, Any]
    calls: Counter[str] = field(default_factory=Counter)

    async def ask(self, call: OutgoingCall) -> OutgoingAnswer:
        """The next reply. Raises ToolNotCalled where there is none, RunError where its status is none."""
        if not isinstance(call.method, TestedName):
            raise ToolNotCalled("Tests ask no other server.")
        component = call.method.component
        if component not in self.replies:
            raise ToolNotCalled(f"Tests ask no other server: `replies` may say what `{component}` is answered.")
        self.calls[component] += 1
        given, is_there = pick_given(self.replies, component, self.calls[component])
        if not is_there:
            raise ToolNotCalled(f"The test has too few replies for `{component}`, which asked once more.")
        status: Any = 200
        if isinstance(given, dict) and "status_code" in given and given.keys() <= _ANSWER:
            status, given = given["status_code"], given.get("result", "")
        if type(status) is not int or not 100 <= status <= 599:
            raise RunError(f"`status_code` of the reply for `{component}` is a whole number from 100 to 599.")
        kind = "text/plain" if isinstance(given, str) else "application/json"
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        return OutgoingAnswer(call.url, status, kind, "utf-8", None, text.encode())
