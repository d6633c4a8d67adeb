"""The receipts of the previous release, from which it answers repeats of a request for a day: read, no more written."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import structs

from flowground.core.citations import read_passages
from flowground.core.events import (
    Action,
    ComponentStarted,
    Event,
    OutputResult,
    Token,
    ToolReturned,
    TurnFinished,
    TurnStarted,
)
from flowground.core.messages import Usage
from flowground.core.values import FileReference
from flowground.store.runs.journals import ReadJournal, read_error
from flowground.store.runs.records import RunRecord, StoredMessage, read_action

_Fields = dict[str, Any]


def read_receipt(receipt: str, messages: Sequence[StoredMessage], run: RunRecord) -> ReadJournal:
    """The events between a run's begin and end, as `read_journal`; some that clients are not sent are missing."""
    data = json.loads(receipt)
    known = {message.id: message.text for message in messages}
    texts = [text if isinstance(text, str) else known.get(text[0]) for text in data["texts"]]
    whole = [text or "" for text in texts]
    started = TurnStarted(
        run_id=run.id,
        flow_id=run.flow_id,
        session_id=data["session"],
        started_at=run.started_at,
        user_message_id=data["question"],
        input_value=None if data["input"] is None else whole[data["input"]],
        answer_ids=data["answers"],
        warnings=tuple(data["warnings"]),
        files=tuple(FileReference(**file) for file in data.get("files", ())),
        senders=data.get("senders", {}),
        streamed=tuple(data["streamed"]),
        shows_tools=data.get("shows_tools", False),
    )
    events = [started, *_read_events(data, whole)]
    if "results" in data:
        events.append(_read_end(data, whole, started))
    failure = read_error(data["failure"]) if "failure" in data else None
    return ReadJournal(events, failure, data.get("names", {}), None not in texts)


def _read_end(data: _Fields, texts: Sequence[str], started: TurnStarted) -> TurnFinished:
    reasons, values = data.get("reasons", {}), data.get("values", {})
    results = {
        name: _read_result(name, row, texts, finish_reason=reasons.get(name), value=values.get(name))
        for name, row in data["results"].items()
    }
    for name, cited in data.get("citations", {}).items():
        results[name] = structs.replace(results[name], citations=read_passages(cited))
    used, actions = _read_usage(data["usage"]), tuple(_read_actions(data).values())
    return TurnFinished(results, tuple(data["selected"]), data["seconds"], used, started, actions)


def _read_events(data: _Fields, texts: Sequence[str]) -> Iterator[Event]:
    at, actions = dict.fromkeys(data["said"], 0), _read_actions(data)
    for part in data["events"]:
        if isinstance(part, dict):
            action = actions[part["action"]]
            yield action if part["is_end"] else _begin_action(action)
            continue
        if isinstance(part, int):
            yield ComponentStarted("")
            continue
        name, *lengths = part
        for item in lengths:
            length = item if isinstance(item, int) else item[0]
            yield Token(name, texts[data["said"][name]][at[name] : at[name] + length])
            at[name] += length


def _read_actions(data: _Fields) -> dict[int, Action]:
    found = map(read_action, data.get("actions", ()))
    return {(one.called if isinstance(one, ToolReturned) else one.began).number: one for one in found}


def _begin_action(action: Action) -> Event:
    return action.called if isinstance(action, ToolReturned) else action.began


def _read_result(
    name: str, row: Sequence[Any], texts: Sequence[str], *, finish_reason: str | None, value: Sequence[Any] | None
) -> OutputResult:
    kind, display_name, text, source_id, source_name, model, usage = row
    source = texts[text], source_id, source_name, model, _read_usage(usage), finish_reason
    shown: Any = value or ("text", None)
    return OutputResult(name, kind, display_name, *source, kind=shown[0], value=shown[1])


def _read_usage(row: Sequence[int] | None) -> Usage | None:
    return Usage(*row) if row else None
