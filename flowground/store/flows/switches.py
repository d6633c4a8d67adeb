"""Flows and providers that an admin switched off. One that is on has no row."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, select

from flowground.store import audit, tables
from flowground.store.sql import add_row, make_storable, read_moment

SwitchKind = Literal["flow", "provider"]
SAYS_CHARS = 300
"""Characters of the sentence that people are told, at most."""
_w = tables.switches.c


@dataclass(frozen=True, slots=True)
class Switch:
    """What is off, by its flow's id or its provider's name; who switched it (an `Owner`, or "cli"), and when.

    `says` is what the admin wrote for people; "" where that is nothing.
    """

    kind: SwitchKind
    name: str
    changed_by: str
    changed_at: datetime
    says: str


def list_switches(connection: Connection) -> list[Switch]:
    """All that are off, flows first, by name."""
    found = connection.execute(select(tables.switches).order_by(_w.kind, _w.name))
    return [Switch(kind, name, by, read_moment(at), says) for kind, name, by, at, says in found]


def switch_off(connection: Connection, *, kind: SwitchKind, name: str, says: str, by: str) -> None:
    """Also where it is off: then it says something else."""
    connection.execute(delete(tables.switches).where(_w.kind == kind, _w.name == name))
    said = make_storable(says)
    add_row(connection, tables.switches, kind=kind, name=name, changed_by=by, changed_at=time.time(), says=said)
    audit.record(connection, actor=by, action=f"{kind}.switched_off", subject=name)


def switch_on(connection: Connection, *, kind: SwitchKind, name: str, by: str) -> bool:
    """False when it was on."""
    gone = delete(tables.switches).where(_w.kind == kind, _w.name == name)
    return audit.execute(connection, gone, actor=by, action=f"{kind}.switched_on", subject=name)
