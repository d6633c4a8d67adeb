"""Overrides that a message of the chat was said with, so that its very call can be told again later."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from flowground.store import tables
from flowground.store.runs.conversations import address

_t = tables.turn_overrides.c
_m = tables.messages.c


def keep(connection: Connection, *, message_id: str, values: Mapping[str, Mapping[str, Any]]) -> None:
    """For a user's message that is stored; they go when it does. No secret belongs into `values`."""
    text = json.dumps(values, default=dict, allow_nan=False)
    connection.execute(insert(tables.turn_overrides).values(message_id=message_id, overrides=text))


def find(
    connection: Connection, *, flow_id: str, owner: str, session_id: str, message_id: str
) -> dict[str, dict[str, Any]]:
    """Those of a message of this owner's session; empty where it had none, or is not there."""
    text = connection.scalar(
        select(_t.overrides)
        .join_from(tables.turn_overrides, tables.messages, _m.id == _t.message_id)
        .where(_t.message_id == message_id, _m.session == address(flow_id, owner, session_id))
    )
    found: dict[str, dict[str, Any]] = json.loads(text) if text else {}
    return found
