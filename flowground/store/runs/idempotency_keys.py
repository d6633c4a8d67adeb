"""Idempotency keys: by which a request that is sent again is known, and leads to the first one's run.

A key is kept for a day. What its run answered stands where the run's contents do, and goes with them.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, bindparam, delete, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flowground.store import tables
from flowground.store.runs.conversations import make_session_key
from flowground.store.runs.records import RunRecord, read_run_row
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
from flowground.store.sql import Statement, mark_one_way, mark_recognizable, spell_json

KEPT_SECONDS = 86_400.0
_k = tables.idempotency_keys.c
_r = tables.runs.c
_c = tables.run_contents.c
_m = tables.messages.c
_INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for one request. `id` is a digest of whose it is, the flow and the name; `digest` one of what
    is asked."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """The request that had the key first, and its run."""

    digest: str
    run_id: str


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run as a repeated request finds it. `texts` are its stored messages by their ids; `receipt` None: what it
    answered is not kept, or it has no end yet."""

    run: RunRecord
    receipt: str | None
    texts: Mapping[str, str]

    @property
    def was_given_up(self) -> bool:
        """Whether it was ended before anything of it was done, since the store did not say in time that it has it."""
        return self.run.status == "failed" and not self.run.seconds and self.receipt is None


def _write_receipt(dialect: Any) -> Statement:
    """Adds a run's receipt, where it is there and takes an answer."""
    takes = select(literal_column("1")).where(_r.id == bindparam("of_run"), _r.status.in_(OPEN)).exists()
    added = insert_in_session(dialect.insert(tables.run_contents), ["run_id", "receipt"], takes)
    first = _c.receipt.is_(None)  # an end whose outcome was not known may be there
    return Statement(
        added.on_conflict_do_update(index_elements=[_c.run_id], set_={"receipt": added.excluded.receipt}, where=first)
    )


_ADD_RECEIPT = {"sqlite": _write_receipt(sqlite), "postgresql": _write_receipt(postgresql)}
_RELEASE = Statement(
    # Where an earlier try of the same end was stored after all, the run has an answer and keeps its key.
    delete(tables.idempotency_keys).where(
        _k.id == bindparam("key"),
        _k.run_id == bindparam("of_run"),
        select(literal_column("1"))
        .where(_r.id == bindparam("of_run"), _r.status != literal_column("'complete'"))
        .exists(),
    )
)


def digest_request(given: str, *, owner: str, flow_id: str, asked: Mapping[str, Any]) -> IdempotencyKey:
    """`given` is what the client sent, `asked` JSON of what it asks. Keys of two owners or flows are never the same."""
    return IdempotencyKey(_digest(spell_json([owner, flow_id, given])), _digest(spell_json(asked, is_sorted=True)))


def _digest(spelt: str) -> str:
    return blake2b(spelt.encode(), digest_size=16).hexdigest()


@mark_recognizable(landed=has_begun)
def begin_repeatable_turn(
    connection: Connection, /, *, idempotency_key: IdempotencyKey, run: RunRecord, **begins: Any
) -> FirstRequest | None:
    """As `begin_turn`, or `begin_run` where nothing but the run is given, and takes the key.

    Where another request has it, stores nothing and says which.
    """
    now = run.started_at.timestamp()
    connection.execute(
        delete(tables.idempotency_keys).where(_k.id == idempotency_key.id, _k.made_at < now - KEPT_SECONDS)
    )
    taken = {"id": idempotency_key.id, "digest": idempotency_key.digest, "run_id": run.id, "made_at": now}
    insert = _INSERT[connection.dialect.name](tables.idempotency_keys).values(taken)
    found = None
    while found is None:  # again where the key was freed in between
        connection.execute(insert.on_conflict_do_nothing(index_elements=[_k.id]))
        found = connection.execute(select(_k.digest, _k.run_id).where(_k.id == idempotency_key.id)).first()
    if found.run_id != run.id:
        return FirstRequest(*found)
    if begins:
        begin_turn(connection, run=run, **begins)
    else:
        begin_run(connection, run=run)
    return None


@mark_one_way(landed=has_ended, stays=True)
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
    """As `finish_turn`. `receipt` is what a repeated request is answered from (`receipts`); where the key `is_freed`,
    the same request may begin a new run."""
    if receipt:
        session = make_session_key(run.flow_id, run.owner, run.session_id)
        row = {"session": session, "run_id": run.id, "receipt": receipt, "of_run": run.id}
        _ADD_RECEIPT[connection.dialect.name].run(connection, row)
    finish_turn(connection, run=run, **ends)
    if is_freed:
        release(connection, key_id=idempotency_key.id, run_id=run.id)


def end_repeatable_run(
    connection: Connection, *, idempotency_key: IdempotencyKey, run: RunRecord, may_come_yet: bool
) -> None:
    """As `end_run`, and frees the key: nothing of the run was done."""
    end_run(connection, run=run, may_come_yet=may_come_yet)
    release(connection, key_id=idempotency_key.id, run_id=run.id)


def release(connection: Connection, *, key_id: str, run_id: str) -> None:
    """Frees the key of a run that has no answer."""
    _RELEASE.run(connection, {"key": key_id, "of_run": run_id})


def find_first_request(connection: Connection, *, key_id: str) -> FirstRequest | None:
    """Who has the key; None where it is free."""
    wanted = select(_k.digest, _k.run_id).where(_k.id == key_id, _k.made_at >= time.time() - KEPT_SECONDS)
    found = connection.execute(wanted).first()
    return FirstRequest(*found) if found else None


def find_kept_run(connection: Connection, *, run_id: str) -> KeptRun | None:
    """None where the run is not there."""
    found = connection.execute(select(tables.runs).where(tables.runs.c.id == run_id)).first()
    if found is None:
        return None
    receipt = connection.scalar(select(_c.receipt).where(_c.run_id == run_id))
    session = select(_c.session).where(_c.run_id == run_id).scalar_subquery()
    said = connection.execute(select(_m.id, _m.text).where(_m.session == session, _m.run_id == run_id))
    texts = {row.id: row.text for row in said} if receipt else {}
    return KeptRun(read_run_row(found), receipt, texts)


def forget(connection: Connection, *, before: float, limit: int = 200) -> int:
    """Deletes some of the keys made before this time, with what their runs' repeats were answered from; how many.

    0: there is none left.
    """
    old = select(_k.id, _k.run_id).where(_k.made_at < before).order_by(_k.made_at).limit(limit)
    found = connection.execute(old).all()
    if found:
        runs, keys = [row.run_id for row in found], [row.id for row in found]
        connection.execute(update(tables.run_contents).where(_c.run_id.in_(runs)).values(receipt=None))
        connection.execute(delete(tables.idempotency_keys).where(_k.id.in_(keys), _k.made_at < before))
    return len(found)
