"""Whatever JSON a model gives a tool: what its author set stays, and what leaves the process lies inside the bounds."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flowground.components.base import Component, Context, LookedUp, Outside
from flowground.core.errors import RunError
from flowground.core.values import Record
from flowground.flows.parse import parse_flow
from flowground.flows.tools import WiredTool
from flowground.flows.wiring import wire
from flowground.runs.outputs import set_arguments
from flowground.tools.outgoing import OutgoingAnswer, OutgoingCall, read_url
from flowground.tools.settings import Parameter, SqlParts
from tests.flow_runs import nothing_said
from tests.test_components import ScriptedModels

FLOW = """
components:
  ChatInput: {type: ChatInput}
  Agent:
    type: Agent
    input_value: ${ChatInput}
    tools: [Weather, Order, Docs, Web, Orders, Free, Sum, Now, Passages, Inner]
  Weather:
    type: APIRequest
    url_input: https://api.example.com/v1/{country}/weather?city={city}&key=fixed
    query_params: {units: "{units}"}
    headers: {authorization: kept}
  Order:
    type: APIRequest
    method: POST
    url_input: https://shop.example.com:8443/orders
    body: {item: "{item}", count: 1}
  Docs: {type: URL, allowed_hosts: [docs.example.com]}
  Web: {type: WebSearch, max_results: 3}
  Orders: {type: SQL, database: orders, query: "SELECT a FROM b WHERE c = {number} AND d = '{{x}}'"}
  Free: {type: SQL, database: orders}
  Sum: {type: Calculator}
  Now: {type: CurrentDate}
  Passages: {type: Retrieve, knowledge: handbook, top_k: 3, threshold: 0.5}
  Inner: {type: Agent, max_iterations: 2, n_messages: 0}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
knowledge:
  handbook: {files: ["*.md"]}
"""


WIRED = wire(parse_flow(FLOW, "tools.yaml"))
TOOLS = {tool.component: tool for tool in WIRED.tools["Agent"]}
FIELDS = sorted({name for component in WIRED.components.values() for name in type(component).model_fields})
near = st.sampled_from(
    ["", "..", ".", "/", "a/../b", "https://evil.example/", "//evil.example", "@evil.example", "?x=1", "#", "a&key=b",
     "%2e%2e", "\\\\evil.example", "{city}", "{{city}}", "${ChatInput}", "'; DROP TABLE b; --", "\r\nHost: evil", "\0",
     "\ud800",
     "https://docs.example.com/x", "https://docs.example.com@evil.example/", "https://docs.example.com.evil.example/",
     "file:///etc/passwd", 0, -1, 10**9, 1e400, True, None]
)  # fmt: skip
scalars = near | st.text(max_size=20) | st.integers() | st.floats() | st.booleans()
words = st.text(max_size=5)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
own = {name: st.dictionaries(st.sampled_from(tool.arguments), values) for name, tool in TOOLS.items()}
calls = st.sampled_from(sorted(TOOLS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        own[name] | st.dictionaries(st.sampled_from([*TOOLS[name].arguments, *FIELDS]), values, max_size=6),
    )
)


class Seen(Exception):
    """What would have left the process."""


def run(component: Component) -> Any:
    """What the component asks of its surroundings; None where it asks nothing."""
    seen: list[Any] = []

    async def ask(call: OutgoingCall) -> OutgoingAnswer:
        seen.append(call)
        raise Seen

    async def ask_database(name: str, parts: SqlParts) -> Sequence[Record]:
        seen.append((name, parts))
        raise Seen

    async def search(query: str, count: int) -> Sequence[Record]:
        seen.append((query, count))
        raise Seen

    async def look_up(*asked: Any, **how: Any) -> LookedUp:
        seen.append((*asked, how))
        raise Seen

    outside = Outside(ask=ask, ask_database=ask_database, search=search)
    context = Context("It", None, nothing_said, ScriptedModels(), None, look_up=look_up, outside=outside)
    with contextlib.suppress(Seen, RunError):
        asyncio.run(component.run(context))
    return seen[0] if seen else None


def assert_untouched(tool: WiredTool, before: Component, after: Component) -> None:
    for name in type(before).model_fields:
        if name not in tool.arguments:
            assert getattr(after, name) == getattr(before, name), name
    assert {*(after.model_extra or {})} == {*(before.model_extra or {})}


def assert_inside(name: str, asked: Any) -> None:
    match name:
        case "Weather" | "Order":
            host, method = ("api.example.com", "GET") if name == "Weather" else ("shop.example.com", "POST")
            url = read_url(asked.url)
            assert (url.host, url.port, asked.method) == (host, None if name == "Weather" else 8443, method)
            assert asked.hosts.allow(url.host, url.port or 443)
            assert asked.headers.get("authorization") == ("kept" if name == "Weather" else None)
            if name == "Weather":
                assert url.path.startswith("/v1/")
                assert url.raw_path.split(b"?")[0].count(b"/") == 3
                assert (url.params.get_list("key"), [*url.params]) == (["fixed"], ["city", "key", "units"])
            else:
                assert url.raw_path == b"/orders"
        case "Docs":
            assert (asked.hosts.entries, asked.method, asked.content) == (("docs.example.com",), "GET", None)
        case "Web":
            assert asked[1] == 3
        case "Orders":
            assert asked[0] == "orders"
            told = [part for part in asked[1] if isinstance(part, str)]
            assert told == ["SELECT a FROM b WHERE c = ", " AND d = '{x}'"]
        case "Free":
            assert asked[0] == "orders"
            assert not any(isinstance(part, Parameter) for part in asked[1])
        case "Passages":
            assert (asked[0], asked[2]) == ("handbook", {"top_k": 3, "threshold": 0.5, "filters": {}})


@given(calls)
@settings(max_examples=1_500, deadline=None)
def test_no_argument_leaves_the_bounds(call: tuple[str, dict[str, Any]]) -> None:
    name, arguments = call
    tool, before = TOOLS[name], WIRED.components[name]
    try:
        after = set_arguments(before, tool, arguments)
    except RunError:
        return
    assert arguments.keys() <= {*tool.arguments}
    assert_untouched(tool, before, after)
    if name != "Inner" and (asked := run(after)) is not None:
        assert_inside(name, asked)


def test_what_fits_reaches_them() -> None:
    """There is something to check."""
    fits = {
        "Weather": {"country": "de", "city": "Köln & co", "units": "c"},
        "Order": {"item": "tea"},
        "Docs": {"urls": "https://docs.example.com/x"},
        "Web": {"query": "tea"},
        "Orders": {"number": "1' OR 1=1"},
        "Free": {"query": "SELECT '{a}', '{{b}}'"},
        "Passages": {"search_query": "tea"},
    }
    for name, arguments in fits.items():
        asked = run(set_arguments(WIRED.components[name], TOOLS[name], arguments))
        assert asked is not None, name
        assert_inside(name, asked)
        if name == "Free":
            assert "".join(asked[1]) == arguments["query"]
