"""Langflow's shapes of a finished turn, field for field as recorded from 1.13, and our simple shape.

What models did is the block "Agent Steps" in a message's `content_blocks`, as Langflow's clients read it.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, AnyStr

from flowground.api.incoming import ApiRequest
from flowground.app.live_turns import ReplayedFlow
from flowground.core.caller import RunRequest
from flowground.core.citations import NumberedPassage, describe_passages
from flowground.core.events import (
    ActionEvent,
    OutputResult,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
    write_arguments,
)
from flowground.core.messages import SENDERS, Usage
from flowground.flows.wiring import WiredFlow
from flowground.runs.files import write_sent_path

Json = dict[str, Any]
_HEADERS = {"done": "Executed", "failed": "Error using", "refused": "Refused", "stopped": "Stopped"}
_USER, _MACHINE = SENDERS["user"], SENDERS["assistant"]
LONG = 100_000
"""Characters of texts from which `write_pieces` is faster than the plain encoder."""
_SHORT = 1_000
"""Texts up to so many characters are encoded with the rest of the body."""


def write_steps(actions: Iterable[ActionEvent], *, sees_tools: bool) -> list[Json]:
    """The block "Agent Steps", or none where no tool was called. Without `sees_tools` it has names, and `is_hidden`.

    The other shapes are those of Langflow's `schema/content_types.py`; durations are whole milliseconds.
    """
    begun = (action.called if isinstance(action, ToolWaits) else action for action in actions)
    calls = [action for action in begun if isinstance(action, ToolCalled | ToolReturned)]
    if not calls:
        return []
    known = [call.called if isinstance(call, ToolReturned) else call for call in calls]
    by_number = {called.number: called for called in known}
    contents = [
        _write_call(call, _write_path(called, by_number), sees_tools=sees_tools)
        for call, called in zip(calls, known, strict=True)
    ]
    return [{"title": "Agent Steps", "contents": contents, "allow_markdown": True, "media_url": None}]


def write_body(wired: WiredFlow | ReplayedFlow, request: ApiRequest, end: TurnFinished, *, sees_inside: bool) -> Json:
    """The body of a plain run, in the requested shape."""
    if request.shape == "simple":
        return write_simple(wired, end)
    return Wire(wired, request, end.turn, sees_inside).write_result(end)


def write_simple(wired: WiredFlow | ReplayedFlow, end: TurnFinished) -> Json:
    """The body of `?shape=simple`, which Langflow's users ask for (langflow issues 3378 and 12851).

    `{text, run_id, session_id, flow_id, version, usage}`; several selected outputs are joined by a blank line.

    `version` is the flow's content hash; `usage` sums all models of the run, or is null. `finish_reason` is there where
    an answer is incomplete ("length": `max_tokens` cut it); `data` where an answer shows data or records, as the value
    of the first such answer; `citations` where the text cites passages.
    """
    reason = next((output.finish_reason for output in end.outputs if output.finish_reason not in (None, "stop")), None)
    shown = next((output for output in end.outputs if output.kind in ("data", "records")), None)
    return (
        {
            "text": "\n\n".join(output.text for output in end.outputs),
            "run_id": end.turn.run_id,
            "session_id": end.turn.session_id,
            "flow_id": end.turn.flow_id,
            "version": wired.version,
            "usage": write_usage(end.usage),
        }
        | write_reason(reason)
        | ({"data": shown.value} if shown else {})
        | write_citations([passage for output in end.outputs for passage in output.citations])
        | _write_warnings(end.turn)
    )


def write_reason(reason: str | None) -> Json:
    """`finish_reason` of an incomplete answer; nothing for a complete one, as Langflow has no such field."""
    return {} if reason is None or reason == "stop" else {"finish_reason": reason}


def write_citations(citations: Iterable[NumberedPassage]) -> Json:
    """`{"citations": [{number, text, source, …}]}`, each passage once; nothing where no passage is cited."""
    once = {passage.number: passage for passage in citations}
    return {"citations": describe_passages(once.values())} if once else {}


@dataclass(frozen=True, slots=True)
class Wire:
    """Writes one turn's messages and result. Without `sees_inside`, answers name neither their component nor its
    model."""

    wired: WiredFlow | ReplayedFlow
    request: RunRequest
    turn: TurnStarted
    sees_inside: bool

    def write_result(self, end: TurnFinished) -> Json:
        """The body of a plain run, and `end.data.result` of a stream."""
        input_value = self.request.input_value
        inputs = {} if input_value is None else {"input_value": input_value}
        outputs = [{"inputs": inputs, "outputs": [self._write_output(item, end) for item in end.outputs]}]
        return {"session_id": self.turn.session_id, "outputs": outputs} | _write_warnings(end.turn)

    def write_question(self) -> Json:
        """The Chat Input's message as a stream's first event shows it."""
        return self._write_message(self.turn.user_message_id, self.turn.input_value or "", name_source())

    def find_first(self, end: TurnFinished | None = None) -> str | None:
        """The component of the answer whose message carries the agent's steps: at the end, the first answer there
        is."""
        return next((name for name in self.turn.answer_ids if end is None or name in end.results), None)

    def write_answer(
        self,
        component_id: str,
        text: str,
        *,
        state: str = "complete",
        result: OutputResult | None = None,
        actions: Iterable[ActionEvent] = (),
    ) -> Json:
        """A Chat Output's message, or that of a Chat Input whose text comes back: state "partial" while it streams,
        "complete" with its result."""
        answer_id = self.turn.answer_ids.get(component_id)
        message = self._write_message(
            answer_id or self.turn.user_message_id,
            text,
            self._name_source(result) if result and answer_id else name_source(),
            state=state,
            usage=result.usage if result and answer_id else None,
            icon=self._find_icon(component_id),
            finish_reason=result.finish_reason if result else None,
        )
        if actions:
            sees_tools = self.sees_inside or self.wired.shows_tools
            message["content_blocks"] = message["data"]["content_blocks"] = write_steps(actions, sees_tools=sees_tools)
        return message

    def write_failure(self, component_id: str | None, text: str) -> Json:
        """The message-shaped first half of a stream's error, without the traceback that Langflow sends."""
        name = self.wired.display_names.get(component_id or "", "Flow")
        origin = name_source(component_id, name, name)
        message_id = next(iter(self.turn.answer_ids.values()), self.turn.run_id)
        message = self._write_message(message_id, text, origin, sender=(name, name))
        message["category"] = message["data"]["category"] = "error"
        return message

    def _write_output(self, item: OutputResult, end: TurnFinished) -> Json:
        component = self.wired.components[item.component_id]
        is_chat = "chat" in (component.output_kind, component.input_kind)
        return self._write_chat_output(item, end) if is_chat else self._write_text_output(item)

    def _write_chat_output(self, item: OutputResult, end: TurnFinished) -> Json:
        actions = end.actions if item.component_id == self.find_first(end) else ()
        message = self.write_answer(item.component_id, item.text, result=item, actions=actions)
        sender, name = message["sender"], message["sender_name"]
        return {
            "results": {"message": message},
            "artifacts": {"message": item.text, "sender": sender, "sender_name": name, "files": [], "type": "object"}
            | write_citations(item.citations),
            "outputs": {"message": {"message": item.text, "type": "text"}},
            "logs": {"message": []},
            "messages": [self._write_line(item, sender, name, self.turn.session_id)],
            **_write_tail(item),
        }

    def _write_text_output(self, item: OutputResult) -> Json:
        component = self.wired.components[item.component_id]
        key, is_message = next(iter(component.outputs)), "text" in (component.output_kind, component.input_kind)
        return {
            "results": {"text": _write_text_message(item.text, self.turn)} if is_message else {},
            "artifacts": {key: {"repr": item.text, "raw": item.text, "type": "text"} | write_citations(item.citations)},
            "outputs": {key: {"message": item.text, "type": "text"}},
            "logs": {key: []},
            "messages": [self._write_line(item, *_MACHINE, "")] if is_message else [],
            **_write_tail(item),
        }

    def _write_line(self, item: OutputResult, sender: str, name: str, session_id: str) -> Json:
        return {
            "message": item.text,
            "sender": sender,
            "sender_name": name,
            "session_id": session_id,
            "stream_url": None,
            "component_id": item.component_id,
            "files": [],
            "type": "text",
        }

    def _name_sender(self, message_id: str) -> tuple[str, str]:
        """The sender and its name for a message of the turn."""
        kind, name = _USER if message_id == self.turn.user_message_id else _MACHINE
        return kind, self.turn.senders.get(message_id, name)

    def _find_icon(self, component_id: str) -> str | None:
        """The icon that Langflow puts on answers which a model streams."""
        streamed = self.request.stream and any(component_id in shown for shown in self.wired.streams_to.values())
        return "brain-circuit" if streamed else None

    def _name_source(self, item: OutputResult) -> Json:
        if not self.sees_inside:
            return name_source()
        return name_source(item.source_id, item.source_name, item.model or item.source_name)

    def _write_message(
        self,
        message_id: str,
        text: str,
        source: Json,
        *,
        sender: tuple[str, str] | None = None,
        state: str = "complete",
        usage: Usage | None = None,
        icon: str | None = None,
        finish_reason: str | None = None,
    ) -> Json:
        turn, moment = self.turn, write_time(self.turn.started_at)
        shown, metadata = write_properties(source, state, usage, icon), {"graph_run_id": turn.run_id}
        shown.update(write_reason(finish_reason))
        kind, name = sender or self._name_sender(message_id)
        sent = turn.files if message_id == turn.user_message_id else ()
        paths = [write_sent_path(turn.flow_id, file) for file in sent]
        data = {
            "timestamp": moment, "sender": kind, "sender_name": name, "session_id": turn.session_id,
            "context_id": "", "text": text, "files": paths, "error": False, "edit": False, "properties": shown,
            "category": "message", "content_blocks": [], "session_metadata": metadata, "id": message_id,
            "flow_id": turn.flow_id, "run_id": turn.run_id, "duration": None,
        }  # fmt: skip
        return {
            "text_key": "text", "data": data, "default_value": "", "sender": kind, "sender_name": name, "files": paths,
            "session_id": turn.session_id, "context_id": "", "run_id": turn.run_id, "timestamp": moment,
            "flow_id": turn.flow_id, "error": False, "edit": False, "properties": shown, "category": "message",
            "content_blocks": [], "duration": None, "session_metadata": metadata, "text": text,
        }  # fmt: skip


def name_source(component_id: str | None = None, name: str | None = None, model: str | None = None) -> Json:
    """The `source` of a message: the component whose text it shows; Langflow puts the model's name there too."""
    return {"id": component_id, "display_name": name, "source": model}


def write_properties(origin: Json, state: str, usage: Usage | None, icon: str | None = None) -> Json:
    """A message's properties, in Langflow's order."""
    return {
        "text_color": None, "background_color": None, "edited": False, "source": origin, "icon": icon,
        "allow_markdown": False, "positive_feedback": None, "state": state, "targets": [], "usage": write_usage(usage),
        "build_duration": None,
    }  # fmt: skip


def write_usage(usage: Usage | None) -> Json | None:
    """Token counts under Langflow's names; null where no model counted."""
    names = ("input_tokens", "output_tokens", "total_tokens")
    return None if usage is None else {name: getattr(usage, name) for name in names}


def write_time(moment: datetime) -> str:
    """A time as Langflow 1.13 writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")


def write_pieces(body: Any, texts: Iterable[str], encode: Callable[[Any], AnyStr]) -> list[AnyStr]:
    """`encode(body)`, in pieces where that is faster: with one call of `encode` for each distinct long text and one for
    the rest. `texts` are the answer's texts in the body.

    A text that occurs in the body ten times is held once.
    """
    if sum(map(len, texts)) <= LONG:
        return [encode(body)]
    mark = secrets.token_hex(16)
    found: list[str] = []
    pieces = encode(_replace_long_texts(body, mark, found)).split(encode(mark))
    known = {text: encode(text) for text in dict.fromkeys(found)}
    result = [pieces[0]]
    for text, piece in zip(found, pieces[1:], strict=True):
        result += (known[text], piece)
    return result


def _write_path(called: ToolCalled, by_number: Mapping[int, ToolCalled]) -> str:
    """The call's name behind the names of the calls it was made in, since Langflow's list has no levels."""
    names = [called.name]
    while called.within is not None and (outer := by_number.get(called.within)):
        names.append(outer.name)
        called = outer
    return " › ".join(reversed(names))


def _write_call(action: ToolCalled | ToolReturned, path: str, *, sees_tools: bool) -> Json:
    called, word = (action, "Accessing") if isinstance(action, ToolCalled) else (action.called, _HEADERS[action.status])
    content: Json = {
        "type": "tool_use", "duration": None, "header": {"title": f"{word} **{path}**", "icon": "Hammer"},
        "name": called.name, "tool_input": {}, "output": None, "error": None,
    }  # fmt: skip
    if not sees_tools:
        return content | {"is_hidden": True}
    unread = called.arguments.keys() == {""}  # very long ones are cut, and become a text
    content["tool_input"] = {"input": write_arguments(called.arguments)} if unread else dict(called.arguments)
    if isinstance(action, ToolReturned):
        content["error" if action.status in ("failed", "refused") else "output"] = action.text
        content["duration"] = round(action.seconds * 1000)
    return content


def _write_warnings(turn: TurnStarted) -> Json:
    return {"warnings": list(turn.warnings)} if turn.warnings else {}


def _write_tail(item: OutputResult) -> Json:
    return {
        "timedelta": None,
        "duration": None,
        "component_display_name": item.display_name,
        "component_id": item.component_id,
        "used_frozen_result": False,
        "token_usage": None,
    }


def _write_text_message(text: str, turn: TurnStarted) -> Json:
    data: Json = {
        "text": text, "files": [], "sender": None, "sender_name": None, "session_id": "", "context_id": "",
        "run_id": None, "timestamp": write_time(turn.started_at), "flow_id": turn.flow_id, "error": False,
        "edit": False, "properties": write_properties(name_source(), "complete", None), "category": "message",
        "content_blocks": [], "duration": None, "session_metadata": None,
    }  # fmt: skip
    outside = {key: value for key, value in data.items() if key not in ("text", "files")}
    named = {key: outside.pop(key) for key in ("sender", "sender_name")}
    return {"text_key": "text", "data": data, "default_value": "", **named, "files": [], **outside, "text": text}


def _replace_long_texts(value: Any, mark: str, texts: list[str]) -> Any:
    """The value with `mark` in the place of each long text; the texts are appended to `texts` in order."""
    if isinstance(value, str) and len(value) > _SHORT:
        texts.append(value)
        return mark
    if isinstance(value, dict):
        return {key: _replace_long_texts(inner, mark, texts) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_long_texts(inner, mark, texts) for inner in value]
    return value
