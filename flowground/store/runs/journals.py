"""The journals of ended runs, from which steps, actions and the answers to repeated requests are read.

A journal is JSON of the run's events, each text once, in a row that is deleted with the run's first answer, or its
question where it has no answer. A text that stands in the run's messages or in an earlier event is a reference: NUL,
which no stored text has, and `?` for the question, `!` and a component for its answer, `#` and a number for the text of
that event, or a number of characters of the answer that a streamed text continues. What stands in the run's row is left
out. So are passages, which the messages have, and what a person was asked.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, assert_never

import msgspec
from msgspec import Struct, structs
from sqlalchemy import Connection, bindparam, select

from flowground.core.errors import FlowgroundError
from flowground.core.events import (
    ActionEvent,
    ActionLog,
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    Event,
    InnerRun,
    ModelProgress,
    ModelThought,
    OutputResult,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
    fold,
)
from flowground.core.messages import Usage
from flowground.core.values import AddedMessage
from flowground.store import tables
from flowground.store.runs.records import TRACE_CHARS, RunRecord, StoredMessage
from flowground.store.sql import Statement, make_storable, write_insert

_STEPS_MOST = 32_000
"""Most characters of all texts of a run's steps together."""
_INNER_MOST = 16_000
"""Most characters of all texts of the flows that a run's components ran, together."""
VERSION = 1
"""The version of the rows that this release writes; it reads no other."""
_MARK = "\0"
_j = tables.journals.c
_m = tables.messages.c


class _Ended(Struct, frozen=True, array_like=True, tag_field="event", tag="ended"):
    """The end of a run with answers, as `TurnFinished` without what other events have."""

    results: Mapping[str, OutputResult]
    selected: tuple[str, ...]
    seconds: float
    usage: Usage | None
    warnings: tuple[str, ...]
    added: Mapping[str, AddedMessage] = {}


class _Failed(Struct, frozen=True, array_like=True, tag_field="event", tag="failed"):
    """The end of a run without them. `names` has the failed component's label by its id."""

    error: dict[str, Any]
    names: Mapping[str, str] = {}


_Kept = TurnStarted | ComponentEvent | _Ended | _Failed
_DECODER = msgspec.json.Decoder(list[_Kept])
_ENCODER = msgspec.json.Encoder(enc_hook=str)


class ReadJournal(NamedTuple):
    """A run's events. `failure` is why it has no answer, `names` the label of a failed component by its id. Not
    `is_whole`: a message of the run is missing, and its text is "" here."""

    events: Sequence[Event]
    failure: FlowgroundError | None
    names: Mapping[str, str]
    is_whole: bool


def write_journal(
    events: Sequence[Event],
    failure: FlowgroundError | None,
    *,
    messages: Sequence[StoredMessage],
    names: Mapping[str, str],
    is_replayed: bool,
) -> str:
    """The events of an ended run as JSON text; the first is `TurnStarted`. `failure` is why it has no answer,
    `messages` are those that are stored of it, `names` the components' labels by id.

    Not `is_replayed`: nobody is told the run's end again, so that its results, which the messages have, are left out.
    """
    kept = _Writer(events, messages, is_replayed=is_replayed).shorten_all()
    if failure:
        error = write_error(failure)
        failed = error.get("component_id")
        kept.append(_Failed(error, {failed: names.get(failed, failed)} if failed else {}))
    return _encode(kept)


def encode_events(events: Sequence[Event]) -> str:
    """Events as JSON text, without any reference; they are none that ends a run."""
    return _encode([event for event in events if not isinstance(event, TurnFinished)])


def decode_events(body: str) -> list[Event]:
    """The inverse of `encode_events`."""
    return [event for event in _DECODER.decode(body) if not isinstance(event, _Ended | _Failed)]


def _encode(kept: Sequence[_Kept]) -> str:
    try:
        return _ENCODER.encode(kept).decode()
    except UnicodeEncodeError:  # half a surrogate pair in a value
        mended = make_storable(json.dumps(msgspec.to_builtins(kept, enc_hook=str), ensure_ascii=False))
        return _ENCODER.encode(json.loads(mended)).decode()


class _Writer:
    """Shortens events to what is kept of them."""

    def __init__(self, events: Sequence[Event], messages: Sequence[StoredMessage], *, is_replayed: bool) -> None:
        started = events[0]
        assert isinstance(started, TurnStarted)  # noqa: S101 - a turn begins so
        self._events, self._ids, self._is_replayed = events, started.answer_ids, is_replayed
        texts = {message.id: message.text for message in messages if make_storable(message.text) == message.text}
        self._answers = {name: texts[key] for name, key in started.answer_ids.items() if key in texts}
        self._cited = {message.id: message.citations for message in messages} if is_replayed else {}
        self._places = {text: f"{_MARK}!{name}" for name, text in self._answers.items()}
        if (asked := texts.get(started.user_message_id)) is not None:
            self._places[asked] = f"{_MARK}?"
        self._beginnings = {text[:TRACE_CHARS]: place for text, place in self._places.items()}
        self._count = 0
        self._action_log = ActionLog()
        self._steps, self._inner = _Budget(_STEPS_MOST), _Budget(_INNER_MOST)

    def shorten_all(self) -> list[_Kept]:
        """What is kept of each event."""
        kept: list[_Kept] = []
        said: defaultdict[str, str] = defaultdict(str)
        for event in self._events:
            if isinstance(event, Token):
                said[event.component_id] += event.text
        whole = {name for name, text in said.items() if text and self._answers.get(name) == text}
        for event in self._events:
            if isinstance(event, Token) and event.component_id in whole:
                kept.append(Token(event.component_id, f"{_MARK}{len(event.text)}"))
            else:
                kept.append(self._shorten(event))
            self._count += 1
        return kept

    def _shorten_start(self, started: TurnStarted) -> TurnStarted:
        asked = started.input_value
        here: dict[str, Any] = {"run_id": "", "flow_id": "", "session_id": ""}
        return structs.replace(started, **here, input_value=None if asked is None else self._place(asked))

    def _shorten_end(self, end: TurnFinished) -> _Ended:
        if not self._is_replayed:
            return _Ended({}, (), round(end.seconds, 6), end.usage, end.turn.warnings)
        results = {name: self._shorten_result(result, self._ids.get(name)) for name, result in end.results.items()}
        added = {key: structs.replace(one, text="") for key, one in end.added.items()}
        return _Ended(results, end.selected, end.seconds, end.usage, end.turn.warnings, added)

    def _place(self, text: str) -> str:
        return self._places.get(text) or make_storable(text)

    def _shorten(self, event: Event) -> _Kept:
        match event:
            case ComponentStarted() | ModelProgress():
                return event
            case ComponentFinished():
                return self._shorten_step(event)
            case TurnStarted():
                return self._shorten_start(event)
            case ToolCalled() | ToolReturned() | ThinkingBegan() | ModelThought():
                return self._keep_action(event) or ComponentStarted("")
            case PassagesFound():
                return PassagesFound(())
            case Token():
                return Token(event.component_id, make_storable(event.text))
            case ToolWaits():
                return ComponentStarted("")
            case TurnFinished():
                return self._shorten_end(event)
            case _:
                assert_never(event)

    def _keep_action(self, event: ActionEvent) -> ActionEvent | None:
        """The event as the log keeps it; None where it keeps no more."""
        number = self._action_log.add(event)
        kept = None if number is None else self._action_log.found[number]
        if isinstance(kept, ToolReturned):  # the call stands in an earlier event
            called = structs.replace(kept.called, call_id="", tool="", name="", label="", arguments={})
            return structs.replace(kept, called=called, seconds=round(kept.seconds, 6))
        return kept

    def _shorten_step(self, step: ComponentFinished) -> ComponentFinished:
        text = step.text[:TRACE_CHARS]
        if text and (place := self._beginnings.get(text)):
            kept = place
        else:
            self._beginnings[text], kept = f"{_MARK}#{self._count}", self._steps.cut(text)
        return self._shorten_facts(step, kept)

    def _shorten_facts(self, step: ComponentFinished, text: str) -> ComponentFinished:
        facts: dict[str, Any] = {"seconds": round(step.seconds, 6), "at": round(step.at, 6), "text": text}
        if step.note or step.unseen or step.inner:
            facts["note"] = self._inner.cut(step.note[:TRACE_CHARS])
            facts["unseen"] = tuple(map(self._inner.cut, step.unseen))
            facts["inner"] = tuple(map(self._shorten_inner, step.inner))
        return structs.replace(step, **facts)

    def _shorten_inner(self, run: InnerRun) -> InnerRun:
        steps = tuple(self._shorten_facts(step, self._inner.cut(step.text)) for step in run.steps)
        error = None if run.error is None else self._inner.cut(run.error)
        return structs.replace(run, at=round(run.at, 6), seconds=round(run.seconds, 6), steps=steps, error=error)

    def _shorten_result(self, result: OutputResult, message_id: str | None) -> OutputResult:
        has_value = result.kind in ("data", "records")
        is_known = message_id is not None and self._cited.get(message_id) == result.citations
        return structs.replace(
            result,
            text=self._place(result.text),
            value=result.value if has_value else None,
            kind=result.kind if has_value else "text",
            citations=() if is_known else result.citations,
        )


class _Budget:
    """A number of characters that texts use up."""

    def __init__(self, left: int) -> None:
        self._left = left

    def cut(self, text: str) -> str:
        """As much of the text as the budget allows."""
        part = make_storable(text[: self._left])
        self._left -= len(part)
        return part


def read_journal(body: str, messages: Iterable[StoredMessage], run: RunRecord | None = None) -> ReadJournal:
    """The inverse of `write_journal`; `messages` are the run's. Without `run` its first event lacks the run's facts."""
    here = {"run_id": run.id, "flow_id": run.flow_id, "session_id": run.session_id} if run else {}
    return _Reader(_DECODER.decode(body), {message.id: message for message in messages}).read(here)


class _Reader:
    """Makes whole events of what was kept of them."""

    def __init__(self, kept: Sequence[_Kept], messages: Mapping[str, StoredMessage]) -> None:
        self._kept, self._messages = kept, messages
        start = kept[0]
        assert isinstance(start, TurnStarted)  # noqa: S101 - `write_journal` begins with it
        self._start = start
        self._called: dict[int, ToolCalled] = {}
        self._said: Counter[str] = Counter()
        self._is_whole = True

    def read(self, here: Mapping[str, Any]) -> ReadJournal:
        asked = self._start.input_value
        started = structs.replace(self._start, **here, input_value=None if asked is None else self._find(asked))
        events: list[Event] = [started]
        failed: _Failed | None = None
        for kept in self._kept[1:]:
            match kept:
                case _Ended():
                    events.append(self._read_end(kept, structs.replace(started, warnings=kept.warnings), events))
                case _Failed():
                    failed = kept
                case _:
                    events.append(self._read_event(kept))
        failure = read_error(failed.error) if failed else None
        return ReadJournal(events, failure, failed.names if failed else {}, self._is_whole)

    def _read_event(self, event: Event) -> Event:
        match event:
            case Token(text=text) if text.startswith(_MARK):
                name = event.component_id
                before, self._said[name] = self._said[name], self._said[name] + int(text[1:])
                return Token(name, self._find_answer(name)[before : self._said[name]])
            case ComponentFinished(text=text) if text.startswith(_MARK):
                return structs.replace(event, text=self._find(text)[:TRACE_CHARS])
            case ToolCalled():
                self._called[event.number] = event
            case ToolReturned(called=called):
                return structs.replace(event, called=self._called.get(called.number, called))
        return event

    def _read_end(self, end: _Ended, started: TurnStarted, events: Sequence[Event]) -> TurnFinished:
        results = {name: self._read_result(name, result) for name, result in end.results.items()}
        added = {key: structs.replace(one, text=self._find_message(key)) for key, one in end.added.items()}
        actions = fold(events).action_log.list_actions()
        return TurnFinished(results, end.selected, end.seconds, end.usage, started, actions, added)

    def _read_result(self, name: str, result: OutputResult) -> OutputResult:
        message = self._messages.get(self._start.answer_ids.get(name, ""))
        cited = result.citations or (message.citations if message else ())
        return structs.replace(result, text=self._find(result.text), citations=cited)

    def _find(self, kept: str) -> str:
        """The text, or that of the reference."""
        if not kept.startswith(_MARK):
            return kept
        match kept[1], kept[2:]:
            case "?", _:
                return self._find_message(self._start.user_message_id)
            case "!", name:
                return self._find_answer(name)
            case _, number:
                event = self._kept[int(number)]
                return event.text if isinstance(event, ComponentFinished) else ""

    def _find_answer(self, name: str) -> str:
        return self._find_message(self._start.answer_ids.get(name, ""))

    def _find_message(self, key: str) -> str:
        if message := self._messages.get(key):
            return message.text
        self._is_whole = False
        return ""


def write_error(error: FlowgroundError) -> dict[str, Any]:
    """An error as JSON values: all its attributes are such values, except its cause, which is another error."""
    attributes = {name: value for name, value in vars(error).items() if value is not None and name != "cause"}
    cause = getattr(error, "cause", None)
    return {"kind": type(error).__name__, **attributes} | ({"cause": write_error(cause)} if cause else {})


def read_error(data: Mapping[str, Any]) -> FlowgroundError:
    """The inverse of `write_error`."""
    kind = next((kind for kind in _list_kinds(FlowgroundError) if kind.__name__ == data["kind"]), FlowgroundError)
    error = kind.__new__(kind, data["message"])
    vars(error).update({"hint": None, "retry_after": None, "status": None, "component_id": None, "run_id": None})
    vars(error).update({name: value for name, value in data.items() if name not in ("kind", "cause")})
    if "cause" in data:
        vars(error)["cause"] = read_error(data["cause"])
    return error


def _list_kinds(base: type[FlowgroundError]) -> Iterable[type[FlowgroundError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _list_kinds(kind)


@cache
def _write_row(database: str) -> Statement:
    """The statement that adds a journal to a message, if that was stored and has none: an earlier try to store the end
    may have succeeded."""
    values = [_m.position, *(bindparam(name, type_=_j[name].type) for name in ("version", "body"))]
    wanted = select(*values).where(_m.id == bindparam("at"))
    added = write_insert(database, tables.journals).from_select(["message", "version", "body"], wanted).inline()
    return Statement(added.on_conflict_do_nothing(index_elements=[_j.message]))


def add_journal(connection: Connection, *, message: str, body: str) -> None:
    """Stores a run's journal beside the message with this id: the run's first answer, or its question."""
    row = {"version": VERSION, "body": body, "at": message}
    _write_row(connection.dialect.name).run(connection, row)


def find_journals(connection: Connection, messages: Iterable[StoredMessage]) -> dict[str, str]:
    """The journals beside these messages as they are stored, by the message's id."""
    ids = [message.id for message in messages]
    wanted = select(_m.id, _j.body).join_from(tables.journals, tables.messages, _m.position == _j.message)
    rows = connection.execute(wanted.where(_m.id.in_(ids), _j.version == VERSION))
    return {row.id: row.body for row in rows}


def add_steps(connection: Connection, messages: Sequence[StoredMessage]) -> list[StoredMessage]:
    """The messages, the first answer of each run with its steps and the actions of its models."""
    found = find_journals(connection, messages)
    return [_add_steps(one, found[one.id], messages) if one.id in found else one for one in messages]


def _add_steps(answer: StoredMessage, body: str, messages: Sequence[StoredMessage]) -> StoredMessage:
    view = fold(read_journal(body, (one for one in messages if one.run_id == answer.run_id)).events)
    return replace(answer, trace=tuple(view.steps), actions=view.action_log.list_actions())
