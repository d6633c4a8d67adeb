"""Flows of one step, whose result is shown, or which the model of an agent calls as a tool."""

from collections.abc import Mapping
from typing import Any

import yaml


def make_flow(name: str, step: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    components = {
        "ChatInput": {"type": "ChatInput"},
        name: step,
        "Said": said,
        "ChatOutput": {"type": "ChatOutput", "input_value": "${Said}"},
    }
    return yaml.safe_dump({"components": components}, sort_keys=False)


def show(value: str) -> dict[str, Any]:
    return {"type": "Prompt", "template": "{v}", "v": value}


def offer(tool: Any) -> dict[str, Any]:
    """An agent with this tool, whose model is the scripted one."""
    return {"type": "Agent", "input_value": "${ChatInput}", "tools": [tool]}
