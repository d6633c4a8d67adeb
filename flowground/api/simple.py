"""`?shape=simple`: the clean body that Langflow's users ask for (langflow issues 3378 and 12851)."""

from typing import Any

from flowground.api.wire import usage_json
from flowground.events import TurnFinished, TurnStarted
from flowground.wiring import WiredFlow


def simple_result(flow: WiredFlow, turn: TurnStarted, end: TurnFinished) -> dict[str, Any]:
    """`{text, session_id, flow_id, version, usage}`; several selected outputs are joined by a blank line.

    `version` is the flow's content hash; `usage` sums all models of the run, or is null.
    """
    body: dict[str, Any] = {
        "text": "\n\n".join(output.text for output in end.outputs),
        "session_id": turn.session_id,
        "flow_id": turn.flow_id,
        "version": flow.version,
        "usage": usage_json(end.usage),
    }
    if turn.warnings:
        body["warnings"] = list(turn.warnings)
    return body
