"""What flows and config.yaml say of MCP servers: what cannot be is told where it stands."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flowground.core.errors import FlowError
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.settings import Settings
from flowground.tools.settings import McpServerEntry

FLOW = """
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, input_value: "${ChatInput}", tools: [{use: Orders, confirm: false}]}
  Orders: {type: MCP, server: orders, tools: [find_order, cancel_order, die, hostile]}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""


def wired(text: str, servers: Mapping[str, McpServerEntry] | None = None) -> WiredFlow:
    return wire(parse_flow(text, "it.yaml"), servers=servers)


LOADED = {"orders": McpServerEntry(command=("orders",), tools=("find_order", "cancel_order"))}


@pytest.mark.parametrize(
    ("fields", "says", "suggestion"),
    [
        ("server: ordrs, tools: [find_order]", "There is no MCP server `ordrs`", "orders"),
        ("server: orders, tools: [find_ordr]", "in config.yaml do not name `find_ordr`", "find_order"),
        ("server: orders", "Orders (MCP) needs `tools`", None),
        ('server: "${ChatInput}", tools: [find_order]', "`server` of MCP is protected", None),
        ("server: orders, tools: [find_order, cancel_order], arguments: {}", "are those of one tool", None),
        ("server: orders, tools: [find_order, find_order]", "Two of `tools` would have one name", None),
    ],
)
def test_what_cannot_be_called_is_a_mistake_with_its_place(fields: str, says: str, suggestion: str | None) -> None:
    with pytest.raises(FlowError) as caught:
        wired(re.sub(r"Orders: \{type.*", f"Orders: {{type: MCP, {fields}}}", FLOW), LOADED)
    problem = caught.value.problems[-1]
    assert says in problem.message
    assert (problem.line, problem.suggestion) == (5, suggestion)


def test_a_server_that_nobody_calls_is_a_mistake() -> None:
    with pytest.raises(FlowError, match="`Orders` is called by nobody"):
        wired(FLOW.replace("tools: [{use: Orders, confirm: false}]", "tools: []"))


def test_names_for_models_follow_the_rule() -> None:
    text = FLOW.replace("[find_order, cancel_order, die, hostile]", f"[find-order, {'long' * 20}]")
    tools = wired(text).tools["Agent"]
    assert [tool.spec.name for tool in tools] == ["orders_find_order", f"orders_{'long' * 20}"[:64]]
    assert all(tool.writes for tool in tools), "until the server says that it only reads"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"command": ["a"], "url": "http://127.0.0.1/mcp"}, "has either a `command` or a `url`"),
        ({"command": "orders --all"}, "is a list: write [orders --all]"),
        ({"command": ["a"], "headers": {"a": "b"}}, "`headers` belong to a `url`"),
        ({"url": "http://127.0.0.1/mcp", "environment": {"a": "b"}}, "`environment` belongs to a `command`"),
        ({"command": ["${env:KEY}"]}, "`${env:…}` is read in secrets only"),
        ({"command": ["a"], "environment": {"KEY": "${env:NOT_SET_HERE}"}}, "NOT_SET_HERE is not set"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, entry: dict[str, Any], says: str) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps({"mcp_servers": {"orders": entry}}))
    with pytest.raises(Exception, match=re.escape(says)):
        Settings.load(tmp_path / "config.yaml")


def test_settings_fill_secrets_and_count_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_KEY", "canary")
    entries = {
        "orders": {"command": ["orders"], "environment": {"KEY": "${env:ORDERS_KEY}"}, "folder": "tools"},
        "far": {"url": "https://tools.example.com/mcp", "headers": {"authorization": "Bearer ${env:ORDERS_KEY}"}},
    }
    (tmp_path / "config.yaml").write_text(json.dumps({"mcp_servers": entries}))
    settings = Settings.load(tmp_path / "config.yaml")
    assert settings.mcp_servers["orders"].folder == tmp_path / "tools"
    assert settings.mcp_servers["far"].list_secrets() == ("Bearer canary",)
    assert "canary" not in repr(settings.mcp_servers)
