"""Idempotency keys, by which a repeated request is recognized: it is answered from the journal of the first one's run.

A key is kept for a day.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, bindparam, delete, literal_column, select

from flowground.store import tables
from flowground.store.runs.journals import find_journals
from flowground.store.runs.progress import find_run, list_messages
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.turns import (
    begin_run,
    begin_turn,
    end_run,
    finish_turn,
    has_begun,
    has_ended,
)
from flowground.store.sql import Statement, encode_json, mark_job, write_insert

KEPT_SECONDS = 86_400.0
"""How long a key is kept."""
_k = tables.idempotency_keys.c
_r = tables.runs.c
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
    has not ended."""

    run: RunRecord
    journal: str | None
    messages: Sequence[StoredMessage]

    @property
    def was_given_up(self) -> bool:
        """Whether the run was ended before it did anything, because the store did not confirm it in time."""
        return self.run.status == "failed" and not self.run.seconds and not self.journal


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
    messages = list_messages(connection, run=run)
    journal = next(iter(find_journals(connection, messages).values()), None)
    return KeptRun(run, journal, messages)
