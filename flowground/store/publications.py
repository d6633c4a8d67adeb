"""Which flows are shared with the organization."""

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from flowground.store import audit, tables
from flowground.store.statements import Statement
from flowground.store.times import moment

_p = tables.publications.c
_FIND = Statement(select(_p.flow_id, _p.shared, _p.changed_by, _p.changed_at).where(_p.flow_id == bindparam("flow_id")))


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether the shareable playground of a flow is on; who changed that last (a `Caller.key`), and when."""

    flow_id: str
    shared: bool
    changed_by: str
    changed_at: datetime


def find(connection: Connection, *, flow_id: str) -> Publication | None:
    """None: it never was shared."""
    found = _FIND.rows(connection, {"flow_id": flow_id})
    return _publication(*found[0]) if found else None


def list_publications(connection: Connection) -> list[Publication]:
    return [_publication(*row) for row in connection.execute(select(tables.publications).order_by(_p.flow_id))]


def set_shared(connection: Connection, *, flow_id: str, shared: bool, by: str) -> Publication:
    at = time.time()
    connection.execute(delete(tables.publications).where(_p.flow_id == flow_id))
    connection.execute(insert(tables.publications).values(flow_id=flow_id, shared=shared, changed_by=by, changed_at=at))
    audit.record(connection, actor=by, action="flow.shared" if shared else "flow.unshared", subject=flow_id)
    return Publication(flow_id, shared, by, moment(at))


def _publication(flow_id: str, shared: bool | int, changed_by: str, changed_at: float) -> Publication:
    return Publication(flow_id, bool(shared), changed_by, moment(changed_at))
