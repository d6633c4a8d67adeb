"""What models did, as Langflow's clients read it: the block "Agent Steps" among a message's `content_blocks`."""

from collections.abc import Iterable, Mapping
from typing import Any

from flowground.events import ActionEvent, ToolCalled, ToolReturned, ToolWaits, spell_arguments

Json = dict[str, Any]
_HEADERS = {"done": "Executed", "failed": "Error using", "refused": "Refused", "stopped": "Stopped"}


def write_steps(actions: Iterable[ActionEvent], *, sees_tools: bool) -> list[Json]:
    """One block, or none where no tool was called. Who does not see what tools do is told names, and `is_hidden`.

    The other shapes are those of Langflow's `schema/content_types.py`: durations are whole milliseconds.
    """
    begun = (action.called if isinstance(action, ToolWaits) else action for action in actions)
    calls = [action for action in begun if isinstance(action, ToolCalled | ToolReturned)]
    if not calls:
        return []
    known = [call.called if isinstance(call, ToolReturned) else call for call in calls]
    by_number = {called.number: called for called in known}
    contents = [
        _write_call(call, _write_way(called, by_number), sees_tools=sees_tools)
        for call, called in zip(calls, known, strict=True)
    ]
    return [{"title": "Agent Steps", "contents": contents, "allow_markdown": True, "media_url": None}]


def _write_way(called: ToolCalled, by_number: Mapping[int, ToolCalled]) -> str:
    """Its name, with those of the calls within which it was made before it: Langflow's list has no levels."""
    names = [called.name]
    while called.within is not None and (outer := by_number.get(called.within)):
        names.append(outer.name)
        called = outer
    return " › ".join(reversed(names))


def _write_call(action: ToolCalled | ToolReturned, way: str, *, sees_tools: bool) -> Json:
    called, word = (action, "Accessing") if isinstance(action, ToolCalled) else (action.called, _HEADERS[action.status])
    told = _write_content(called, f"{word} **{way}**")
    if not sees_tools:
        return told | {"is_hidden": True}
    told["tool_input"] = _read_input(called)
    if isinstance(action, ToolReturned):
        told["error" if action.status in ("failed", "refused") else "output"] = action.text
        told["duration"] = round(action.seconds * 1000)
    return told


def _write_content(called: ToolCalled, title: str) -> Json:
    header = {"title": title, "icon": "Hammer"}
    return {
        "type": "tool_use", "duration": None, "header": header, "name": called.name, "tool_input": {}, "output": None,
        "error": None,
    }  # fmt: skip


def _read_input(called: ToolCalled) -> Json:
    """Very long arguments are cut, and are a text then."""
    if called.arguments.keys() == {""}:
        return {"input": spell_arguments(called.arguments)}
    return dict(called.arguments)
