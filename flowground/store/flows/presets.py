"""Presets: named sets of overrides that one person keeps for one flow."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select

from flowground.errors import InvalidRequest
from flowground.store import tables
from flowground.store.sql import add_row, make_storable, read_moment
from flowground.words import read_name

LONGEST_NAME = 60
_MOST = 50
_LARGEST = 200_000
_p = tables.presets.c


@dataclass(frozen=True, slots=True)
class Preset:
    """`values` are component id -> field -> value as they were saved: checked again whenever they are applied."""

    name: str
    values: dict[str, dict[str, Any]]
    changed_at: datetime


def save(
    connection: Connection, *, flow_id: str, owner: str, name: str, values: Mapping[str, Mapping[str, Any]]
) -> Preset:
    """Keeps `values` under a name of this owner ; one of the same name is replaced.

    Raises InvalidRequest for a name that is none, values over 200 kB, and the 51st preset of one flow.
    """
    said = read_name(name, most=LONGEST_NAME)
    if said is None:
        raise InvalidRequest(f"A preset's name is one line of 1 to {LONGEST_NAME} characters.")
    text = json.dumps(values, default=dict, allow_nan=False)
    if len(text) > _LARGEST:
        raise InvalidRequest("These overrides are too large for a preset.")
    here = (_p.owner == owner) & (_p.flow_id == flow_id)
    at = time.time()
    name = make_storable(said)
    connection.execute(delete(tables.presets).where(here, _p.name == name))
    if (connection.scalar(select(func.count()).where(here)) or 0) >= _MOST:
        raise InvalidRequest(f"There are {_MOST} presets for this flow already.", hint="Delete one first.")
    add_row(connection, tables.presets, owner=owner, flow_id=flow_id, name=name, overrides=text, changed_at=at)
    return Preset(name, json.loads(text), read_moment(at))


def list_presets(connection: Connection, *, flow_id: str, owner: str) -> list[Preset]:
    """The owner's presets for the flow, by name."""
    wanted = select(_p.name, _p.overrides, _p.changed_at).where(_p.owner == owner, _p.flow_id == flow_id)
    found = [Preset(name, json.loads(text), read_moment(at)) for name, text, at in connection.execute(wanted)]
    return sorted(found, key=lambda preset: (preset.name.casefold(), preset.name))


def remove(connection: Connection, *, flow_id: str, owner: str, name: str) -> bool:
    """False when there is no such preset."""
    meant = delete(tables.presets).where(_p.owner == owner, _p.flow_id == flow_id, _p.name == name)
    return connection.execute(meant).rowcount == 1
