"""What models did on the way to an answer, as a page shows it: a line each, and of most people's only its name."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flowground.events import (
    ActionEvent,
    ModelThought,
    ThinkingBegan,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    spell_arguments,
)
from flowground.messages import Usage, mend

Written = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a person sees of a flow: its `inside`, and of its `tools` what they are called with and give."""

    inside: bool = False
    tools: bool = False


def write_actions(actions: Iterable[ActionEvent], sight: Sight) -> list[Written]:
    """As they stand: one that has its end, or only its beginning."""
    return [_write_action(action, sight) for action in actions]


def _write_action(action: ActionEvent, sight: Sight) -> Written:
    match action:
        case ThinkingBegan():
            return _write_start(action, "thought", "running")
        case ModelThought(began=began):
            told = _write_start(began, "thought", "done")
            return told | {"seconds": round(action.seconds, 6)} | ({"gives": mend(action.text)} if sight.inside else {})
        case ToolCalled():
            return _write_call(action, "running", sight)
        case ToolWaits(called=called):
            told = _write_call(called, "running" if action.is_decided else "waiting", sight)
            asked: Written = {"takes": mend(action.takes), "digest": action.digest}  # who is asked sees what about
            if action.sends is not None:
                asked["sends"] = mend(action.sends)
            if action.is_always_asked:
                asked["always"] = True
            return told if action.is_decided else told | asked
        case ToolReturned(called=called):
            told = _write_call(called, action.status, sight)
            if sight.tools:
                told |= {
                    "seconds": round(action.seconds, 6),
                    "gives": mend(action.text),
                    "tokens": write_tokens(action.usage),
                }
            return told


def _write_call(called: ToolCalled, state: str, sight: Sight) -> Written:
    told = _write_start(called, "call", state)
    told["name"] = mend(called.label or called.name)
    return told | ({"takes": mend(spell_arguments(called.arguments))} if sight.tools else {})


def _write_start(began: ToolCalled | ThinkingBegan, kind: str, state: str) -> Written:
    told: Written = {"number": began.number, "kind": kind, "within": began.within, "state": state}
    return told | ({"after": began.after} if began.after else {})


def write_tokens(usage: Usage | None) -> Written | None:
    return None if usage is None else {"input": usage.input_tokens, "output": usage.output_tokens}
