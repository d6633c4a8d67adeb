"""Idempotency keys, by which a repeated request is recognized, and receipts, from which it is answered event by event.

A key is kept for a day. Its run's receipt belongs to the run's contents and is deleted with them. A receipt is small:
texts of the run's messages are named by the message's id, and of a streamed answer it has the length of each piece.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from hashlib import blake2b
from typing import Any, assert_never

from sqlalchemy import Connection, bindparam, delete, literal_column, select, update

from flowground.core.citations import describe_passages, read_passages
from flowground.core.errors import FlowgroundError
from flowground.core.events import (
    Action,
    ActionLog,
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    OutputResult,
    PassagesFound,
    RunFinished,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
)
from flowground.core.messages import Usage
from flowground.core.values import FileReference
from flowground.store import tables
from flowground.store.runs.conversations import make_session_key
from flowground.store.runs.progress import find_run
from flowground.store.runs.records import RunRecord, StoredMessage, describe_actions, read_action
from flowground.store.runs.turns import (
    OPEN,
    begin_run,
    begin_turn,
    end_run,
    finish_turn,
    has_begun,
    has_ended,
    insert_in_session,
)
from flowground.store.sql import Statement, encode_json, make_storable, mark_job, write_insert

KEPT_SECONDS = 86_400.0
"""How long a key is kept."""
_k = tables.idempotency_keys.c
_r = tables.runs.c
_c = tables.run_contents.c
_m = tables.messages.c
_RELEASE = Statement(
    # A complete run keeps its key: an earlier try to store its end may have succeeded.
    delete(tables.idempotency_keys).where(
        _k.id == bindparam("key"),
        _k.run_id == bindparam("of_run"),
        select(literal_column("1"))
        .where(_r.id == bindparam("of_run"), _r.status != literal_column("'complete'"))
        .exists(),
    )
)
_MOST_PIECES = 20_000
"""Pieces of a run whose lengths are kept one by one; the following ones are replayed as one piece."""
_Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for one request. `id` is a digest of owner, flow and name; `digest` one of the request."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """The first request with a key, and its run."""

    digest: str
    run_id: str


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run as a repeated request finds it. `texts` are its stored messages by id; `receipt` is None where none is
    kept, or the run has not ended."""

    run: RunRecord
    receipt: str | None
    texts: Mapping[str, str]

    @property
    def was_given_up(self) -> bool:
        """Whether the run was ended before it did anything, because the store did not confirm it in time."""
        return self.run.status == "failed" and not self.run.seconds and self.receipt is None


@cache
def _write_receipt(database: str) -> Statement:
    """The statement that adds a run's receipt, if the run exists and takes an answer."""
    takes = select(literal_column("1")).where(_r.id == bindparam("of_run"), _r.status.in_(OPEN)).exists()
    added = insert_in_session(write_insert(database, tables.run_contents), ["run_id", "receipt"], takes)
    first = _c.receipt.is_(None)  # an earlier try to store the end may have succeeded
    return Statement(
        added.on_conflict_do_update(index_elements=[_c.run_id], set_={"receipt": added.excluded.receipt}, where=first)
    )


def digest_request(name: str, *, owner: str, flow_id: str, asked: Mapping[str, Any]) -> IdempotencyKey:
    """The key of a request: `name` is the client's name for it, `asked` the request as JSON values. Keys of two owners
    or flows always differ."""
    return IdempotencyKey(_digest(encode_json([owner, flow_id, name])), _digest(encode_json(asked, is_sorted=True)))


def _digest(spelt: str) -> str:
    return blake2b(spelt.encode(), digest_size=16).hexdigest()


@mark_job(is_one_way=False, landed=has_begun)
def begin_repeatable_turn(
    connection: Connection, /, *, idempotency_key: IdempotencyKey, run: RunRecord, **begins: Any
) -> FirstRequest | None:
    """Like `begin_turn`, or `begin_run` where only the run is passed, and acquires the key.

    Where another request has the key, stores nothing and returns that request.
    """
    now = run.started_at.timestamp()
    connection.execute(
        delete(tables.idempotency_keys).where(_k.id == idempotency_key.id, _k.made_at < now - KEPT_SECONDS)
    )
    taken = {"id": idempotency_key.id, "digest": idempotency_key.digest, "run_id": run.id, "made_at": now}
    insert = write_insert(connection.dialect.name, tables.idempotency_keys).values(taken)
    found = None
    while found is None:  # repeats where the key was released in between
        connection.execute(insert.on_conflict_do_nothing(index_elements=[_k.id]))
        found = connection.execute(select(_k.digest, _k.run_id).where(_k.id == idempotency_key.id)).first()
    if found.run_id != run.id:
        return FirstRequest(*found)
    if begins:
        begin_turn(connection, run=run, **begins)
    else:
        begin_run(connection, run=run)
    return None


@mark_job(landed=has_ended, stays=True)
def finish_repeatable_turn(
    connection: Connection,
    /,
    *,
    idempotency_key: IdempotencyKey,
    receipt: str | None,
    is_freed: bool,
    run: RunRecord,
    **ends: Any,
) -> None:
    """Like `finish_turn`. `receipt` answers repeated requests; where the key `is_freed`, the same request may begin a
    new run."""
    if receipt:
        session = make_session_key(run.flow_id, run.owner, run.session_id)
        row = {"session": session, "run_id": run.id, "receipt": receipt, "of_run": run.id}
        _write_receipt(connection.dialect.name).run(connection, row)
    finish_turn(connection, run=run, **ends)
    if is_freed:
        release(connection, key_id=idempotency_key.id, run_id=run.id)


def end_repeatable_run(
    connection: Connection, *, idempotency_key: IdempotencyKey, run: RunRecord, may_come_yet: bool
) -> None:
    """Like `end_run`, and releases the key, because nothing of the run was done."""
    end_run(connection, run=run, may_come_yet=may_come_yet)
    release(connection, key_id=idempotency_key.id, run_id=run.id)


def release(connection: Connection, *, key_id: str, run_id: str) -> None:
    """Releases the key of a run that has no answer."""
    _RELEASE.run(connection, {"key": key_id, "of_run": run_id})


def find_first_request(connection: Connection, *, key_id: str) -> FirstRequest | None:
    """The request that has the key; None where the key is free."""
    wanted = select(_k.digest, _k.run_id).where(_k.id == key_id, _k.made_at >= time.time() - KEPT_SECONDS)
    found = connection.execute(wanted).first()
    return FirstRequest(*found) if found else None


def find_kept_run(connection: Connection, *, run_id: str) -> KeptRun | None:
    """The run with its receipt; None where the run does not exist."""
    run = find_run(connection, run_id=run_id)
    if run is None:
        return None
    receipt = connection.scalar(select(_c.receipt).where(_c.run_id == run_id))
    session = select(_c.session).where(_c.run_id == run_id).scalar_subquery()
    rows = connection.execute(select(_m.id, _m.text).where(_m.session == session, _m.run_id == run_id))
    texts = {row.id: row.text for row in rows} if receipt else {}
    return KeptRun(run, receipt, texts)


def forget(connection: Connection, *, before: float, limit: int = 200) -> int:
    """Deletes some of the keys made before this time, and the receipts of their runs; returns their number.

    0: none is left.
    """
    old = select(_k.id, _k.run_id).where(_k.made_at < before).order_by(_k.made_at).limit(limit)
    found = connection.execute(old).all()
    if found:
        runs, keys = [row.run_id for row in found], [row.id for row in found]
        connection.execute(update(tables.run_contents).where(_c.run_id.in_(runs)).values(receipt=None))
        connection.execute(delete(tables.idempotency_keys).where(_k.id.in_(keys), _k.made_at < before))
    return len(found)


@dataclass(slots=True)
class ReplayedEvents:
    """The events between a turn's first and last, in the form in which a receipt keeps them."""

    count: int = 0
    pieces: dict[str, list[str]] = field(default_factory=dict)
    """The pieces of each answer."""
    parts: list[Any] = field(default_factory=list)
    """A number of events that clients are not sent; `[component, length, …]` for pieces of an answer, with `[length,
    n]` for n pieces; or `{action, is_end}` for a model's action, by its number."""
    action_log: ActionLog = field(default_factory=ActionLog)
    _pieces: int = 0

    def add(self, event: ComponentEvent) -> None:
        self.count += 1
        match event:
            case Token():
                self._add_piece(event.component_id, event.text)
            case ToolCalled() | ToolReturned() | ThinkingBegan() | ModelThought():
                number, is_end = self.action_log.add(event), isinstance(event, ToolReturned | ModelThought)
                self.parts.append({"action": number, "is_end": is_end} if number else 1)
            case ComponentStarted() | ComponentFinished() | ModelProgress() | PassagesFound() | ToolWaits():
                if self.parts and isinstance(self.parts[-1], int):
                    self.parts[-1] += 1
                else:
                    self.parts.append(1)
            case _:
                assert_never(event)

    def _add_piece(self, component_id: str, text: str) -> None:
        self.pieces.setdefault(component_id, []).append(text)
        last = self.parts[-1] if self.parts else 0
        if not isinstance(last, list) or last[0] != component_id:
            self.parts.append(last := [component_id])
        self._pieces += 1
        if self._pieces <= _MOST_PIECES or len(last) == 1:
            last.append(len(text))
        elif isinstance(last[-1], int):
            last[-1] = [last[-1] + len(text), 2]
        else:
            last[-1] = [last[-1][0] + len(text), last[-1][1] + 1]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A finished turn: its first event, the following ones, and its answer or failure.

    `types` has the component type of each result, `names` the label of a failed component, `streamed` the answers that
    show a model's text while it is written. `shows_tools` is the flow's setting.
    """

    started: TurnStarted
    version: str
    events: tuple[tuple[int, Event], ...]
    """Events with their original numbers; a group that clients are not sent is replaced by its last one."""
    failure: FlowgroundError | None
    types: Mapping[str, str]
    names: Mapping[str, str]
    streamed: frozenset[str]
    shows_tools: bool


class _Texts:
    """Stores each text once: itself, or the id of the message that has it."""

    def __init__(self, messages: Sequence[StoredMessage]) -> None:
        self.kept: list[str | list[str]] = []
        self._known: dict[str, int] = {}
        self._messages = {message.text: message.id for message in messages}

    def place(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = len(self.kept)
            message = self._messages.get(text)
            self.kept.append([message] if message and make_storable(text) == text else text)
        return self._known[text]


def write_receipt(
    started: TurnStarted,
    replayed: ReplayedEvents,
    *,
    end: RunFinished | FlowgroundError,
    messages: Sequence[StoredMessage],
    names: Mapping[str, str],
    streamed: Sequence[str],
    shows_tools: bool,
) -> str:
    """A receipt as JSON text. `messages` are the run's stored messages; `names` are labels of components; `streamed`
    and `shows_tools` are as in `Receipt`."""
    texts = _Texts(messages)
    data: _Fields = {
        "session": started.session_id,
        "question": started.user_message_id,
        "input": None if started.input_value is None else texts.place(started.input_value),
        "answers": dict(started.answer_ids),
        "warnings": started.warnings,
        "events": replayed.parts,
        "said": {name: texts.place("".join(pieces)) for name, pieces in replayed.pieces.items()},
        "streamed": streamed,
    }
    if actions := replayed.action_log.list_actions():
        data |= {"actions": describe_actions(actions), "shows_tools": shows_tools}
    if started.files:
        data["files"] = [asdict(file) for file in started.files]
    if started.senders:
        data["senders"] = dict(started.senders)
    if isinstance(end, RunFinished):
        data["results"] = {name: _write_result(result, texts) for name, result in end.results.items()}
        data["reasons"] = {name: item.finish_reason for name, item in end.results.items() if item.finish_reason}
        shown = {name: item for name, item in end.results.items() if item.kind in ("data", "records")}
        data["values"] = {name: [item.kind, item.value] for name, item in shown.items()}
        data["citations"] = {
            name: describe_passages(item.citations) for name, item in end.results.items() if item.citations
        }
        data |= {"selected": end.selected, "seconds": end.seconds, "usage": _write_usage(end.usage)}
    else:
        data["failure"] = _write_failure(end)
        if component := data["failure"].get("component_id"):
            data["names"] = {component: names.get(component, component)}
    data["texts"] = texts.kept
    return encode_json(data)


def read_receipt(kept: KeptRun) -> Receipt | None:
    """The receipt; None where it is not kept, or a message of it was deleted."""
    if kept.receipt is None:
        return None
    data = json.loads(kept.receipt)
    texts = [text if isinstance(text, str) else kept.texts.get(text[0]) for text in data["texts"]]
    whole = [text for text in texts if text is not None]
    if len(whole) < len(texts):
        return None
    started = TurnStarted(
        run_id=kept.run.id,
        flow_id=kept.run.flow_id,
        session_id=data["session"],
        started_at=kept.run.started_at,
        user_message_id=data["question"],
        input_value=None if data["input"] is None else whole[data["input"]],
        answer_ids=data["answers"],
        warnings=tuple(data["warnings"]),
        files=tuple(FileReference(**file) for file in data.get("files", ())),
        senders=data.get("senders", {}),
    )
    reasons, values = data.get("reasons", {}), data.get("values", {})
    results = {
        name: _read_result(name, row, whole, finish_reason=reasons.get(name), value=values.get(name))
        for name, row in data.get("results", {}).items()
    }
    for name, cited in data.get("citations", {}).items():
        results[name] = replace(results[name], citations=read_passages(cited))
    events = list(_read_events(started, data, whole))
    if "results" in data:
        used, actions = _read_usage(data["usage"]), tuple(_read_actions(data).values())
        end = TurnFinished(results, tuple(data["selected"]), data["seconds"], used, started, actions)
        events.append((events[-1][0] + 1, end))
    return Receipt(
        started=started,
        version=kept.run.flow_version,
        events=tuple(events),
        failure=_read_failure(data["failure"]) if "failure" in data else None,
        types={name: result.type for name, result in results.items()},
        names=data.get("names", {}),
        streamed=frozenset(data["streamed"]),
        shows_tools=data.get("shows_tools", False),
    )


def _read_events(started: TurnStarted, data: _Fields, texts: Sequence[str]) -> Iterator[tuple[int, Event]]:
    number = 1
    yield number, started
    at, actions = dict.fromkeys(data["said"], 0), _read_actions(data)
    for part in data["events"]:
        if isinstance(part, dict):
            number += 1
            action = actions[part["action"]]
            yield number, action if part["is_end"] else _begin_action(action)
            continue
        if isinstance(part, int):
            number += part
            yield number, ComponentStarted("")
            continue
        name, *lengths = part
        for item in lengths:
            length, count = (item, 1) if isinstance(item, int) else item
            number += count
            yield number, Token(name, texts[data["said"][name]][at[name] : at[name] + length])
            at[name] += length


def _read_actions(data: _Fields) -> dict[int, Action]:
    found = map(read_action, data.get("actions", ()))
    return {(one.called if isinstance(one, ToolReturned) else one.began).number: one for one in found}


def _begin_action(action: Action) -> Event:
    return action.called if isinstance(action, ToolReturned) else action.began


def _write_result(result: OutputResult, texts: _Texts) -> list[Any]:
    return [
        result.type,
        result.display_name,
        texts.place(result.text),
        result.source_id,
        result.source_name,
        result.model,
        _write_usage(result.usage),
    ]


def _read_result(
    name: str, row: Sequence[Any], texts: Sequence[str], *, finish_reason: str | None, value: Sequence[Any] | None
) -> OutputResult:
    kind, display_name, text, source_id, source_name, model, usage = row
    source = texts[text], source_id, source_name, model, _read_usage(usage), finish_reason
    shown: Any = value or ("text", None)
    return OutputResult(name, kind, display_name, *source, kind=shown[0], value=shown[1])


def _write_usage(usage: Usage | None) -> list[int] | None:
    return [usage.input_tokens, usage.output_tokens] if usage else None


def _read_usage(row: Sequence[int] | None) -> Usage | None:
    return Usage(*row) if row else None


def _write_failure(error: FlowgroundError) -> _Fields:
    """An error as JSON values: all its attributes are such values, except its cause, which is another error."""
    attributes = {name: value for name, value in vars(error).items() if value is not None and name != "cause"}
    cause = getattr(error, "cause", None)
    return {"kind": type(error).__name__, **attributes} | ({"cause": _write_failure(cause)} if cause else {})


def _read_failure(data: _Fields) -> FlowgroundError:
    kind = next((kind for kind in _list_kinds(FlowgroundError) if kind.__name__ == data["kind"]), FlowgroundError)
    error = kind.__new__(kind, data["message"])
    vars(error).update({"hint": None, "retry_after": None, "status": None, "component_id": None, "run_id": None})
    vars(error).update({name: value for name, value in data.items() if name not in ("kind", "cause")})
    if "cause" in data:
        vars(error)["cause"] = _read_failure(data["cause"])
    return error


def _list_kinds(base: type[FlowgroundError]) -> Iterator[type[FlowgroundError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _list_kinds(kind)
