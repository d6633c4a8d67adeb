"""Idempotency keys, by which a repeated request is recognized: it is answered from the journal of the first one's run.

A key is kept for a day. The previous release kept a receipt for its repeats in place of a journal: it is still read.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from msgspec import structs
from sqlalchemy import Connection, bindparam, delete, literal_column, select, update

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
from flowground.store import tables
from flowground.store.runs.journals import ReadJournal, find_journals, read_error
from flowground.store.runs.progress import find_run, list_messages
from flowground.store.runs.records import RunRecord, StoredMessage, read_action
from flowground.store.runs.turns import (
    begin_run,
    begin_turn,
    end_run,
    finish_turn,
    has_begun,
    has_ended,
)
from flowground.store.sql import Statement, encode_json, mark_job, write_insert

_Fields = dict[str, Any]
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
    """A run as a repeated request finds it, with its stored messages; `journal` is None where none is kept, or the run
    has not ended, and `receipt` where none of the previous release is kept."""

    run: RunRecord
    journal: str | None
    receipt: str | None
    messages: Sequence[StoredMessage]

    @property
    def was_given_up(self) -> bool:
        """Whether the run was ended before it did anything, because the store did not confirm it in time."""
        return self.run.status == "failed" and not self.run.seconds and not (self.journal or self.receipt)


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
    is_freed: bool,
    run: RunRecord,
    **ends: Any,
) -> None:
    """Like `finish_turn`. Where the key `is_freed`, the same request may begin a new run."""
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
    """The run with its journal; None where the run does not exist."""
    run = find_run(connection, run_id=run_id)
    if run is None:
        return None
    receipt = connection.scalar(select(_c.receipt).where(_c.run_id == run_id))
    messages = list_messages(connection, run=run)
    journal = next(iter(find_journals(connection, messages).values()), None)
    return KeptRun(run, journal, receipt, messages)


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
