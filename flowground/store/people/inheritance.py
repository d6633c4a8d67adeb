"""What somebody said and kept, handed to the name they have now: the local owner who made the first account, a visitor
whose browser is known by another cookie. It is the same person."""

from sqlalchemy import Connection, delete, insert, select, update

from flowground.store import audit, tables
from flowground.store.runs.conversations import address

_s = tables.sessions.c
_m = tables.messages.c


def has_conversations(connection: Connection, *, owner: str) -> bool:
    """Whether anything is kept under this `Caller.key`."""
    return connection.execute(select(_s.id).where(_s.owner == owner).limit(1)).first() is not None


def hand_over(connection: Connection, *, old: str, new: str, by: str) -> int:
    """Everything kept under one `Caller.key` is kept under another; how many conversations that were.

    A session's key is a digest of its owner too, so sessions are written anew, and their messages follow.
    """
    rows = connection.execute(select(tables.sessions).where(_s.owner == old)).mappings().all()
    for row in rows:
        key = address(row["flow_id"], new, row["session_id"])
        connection.execute(insert(tables.sessions).values({**row, "id": key, "owner": new}))
        connection.execute(update(tables.messages).where(_m.session == row["id"]).values(session=key))
    connection.execute(delete(tables.sessions).where(_s.owner == old))
    for table in (tables.runs, tables.presets):
        connection.execute(update(table).where(table.c.owner == old).values(owner=new))
    if rows:
        audit.record(connection, actor=by, action="conversations.handed_over", subject=f"{old} {new}")
    return len(rows)
