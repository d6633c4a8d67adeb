"""What models did on their way to an answer, as it is kept with the answer: calls of tools, and thoughts."""

import json
from collections.abc import Sequence
from typing import Any

from flowground.events import Action, ModelThought, ThinkingBegan, ToolCalled, ToolReturned
from flowground.messages import Usage
from flowground.store.sql import spell_json


def write_actions(actions: Sequence[Action]) -> str:
    """JSON. `ActionLog` has bounded it."""
    return spell_json(list_rows(actions))


def read_actions(written: str) -> tuple[Action, ...]:
    return tuple(read_row(row) for row in json.loads(written))


def list_rows(actions: Sequence[Action]) -> list[list[Any]]:
    """As JSON values."""
    return [_write_row(action) for action in actions]


def read_row(row: Sequence[Any]) -> Action:
    kind, number, within, component_id, at, seconds, text, *call = row
    if kind == "thought":
        return ModelThought(ThinkingBegan(component_id, number, at, within, *call), text, seconds)
    call_id, tool, name, label, is_inner, arguments, status, usage, *after = call
    called = ToolCalled(component_id, call_id, tool, name, arguments, at, number, within, label, is_inner, *after)
    return ToolReturned(called, text, seconds, status, Usage(*usage) if usage else None)


def _write_row(action: Action) -> list[Any]:
    match action:
        case ModelThought(began=began):
            return ["thought", *_write_start(began), round(action.seconds, 6), action.text, *_write_after(began)]
        case ToolReturned(called=called):
            usage = [action.usage.input_tokens, action.usage.output_tokens] if action.usage else None
            names = [called.call_id, called.tool, called.name, called.label, called.is_inner]
            told = [dict(called.arguments), action.status, usage, *_write_after(called)]
            return ["call", *_write_start(called), round(action.seconds, 6), action.text, *names, *told]


def _write_after(began: ToolCalled | ThinkingBegan) -> list[int]:
    """Left out where nothing was said before, as nearly always: rows that a release before wrote read so, too."""
    return [began.after] if began.after else []


def _write_start(began: ToolCalled | ThinkingBegan) -> list[Any]:
    return [began.number, began.within, began.component_id, round(began.at, 6)]
