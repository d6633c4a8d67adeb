"""The remains of removed members in run facts, audit lines and other records.

Runs keep their facts for counting, under a random owner; in records one word stands for all removed members. Rights
end, and sign-in data is deleted, in the removal's own transaction. The rest may be much, so it follows in small steps.
A row records the unfinished work, so that another process, or the next one, can go on.
"""

import json
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Column, Connection, delete, select, update

from flowground.core.caller import Owner
from flowground.store import tables
from flowground.store.people import identities, sign_ins
from flowground.store.runs import counters, requests
from flowground.store.runs.conversations import list_owners
from flowground.store.sql import add_row

SOMEBODY = str(Owner("removed", "person"))
"""The word for a removed member in records of what somebody did, or what was done to them."""
_ROWS = 500
"""Rows that one step reads."""
_x = tables.removals.c
_r = tables.runs.c
_a = tables.audit.c
_WHO_DID_IT: tuple[Column[str], ...] = (
    tables.publications.c.changed_by,
    tables.switches.c.changed_by,
    tables.password_links.c.created_by,
    tables.access_requests.c.decided_by,
)
_OF_MEMBERS = ("member.", "invitation.", "reset.", "group.member_")
"""Actions in whose audit lines a single word may be a member's id."""


@dataclass(frozen=True, slots=True)
class Removal:
    """An unfinished removal. `owners` are all owners of the person's data, `words` the person's names in audit lines:
    only the id, since the sign-in name may be somebody else's id."""

    pseudonym: str
    owners: tuple[str, ...]
    words: tuple[str, ...]


def begin_removal(connection: Connection, *, member: str) -> None:
    """Records the unfinished work, has every process stop the person's runs, and deletes what the ended rights left.

    `members.end_rights` comes before, the end of the identities after.
    """
    pseudonym = str(Owner("removed", secrets.token_hex(8)))
    owners = list_owners(member)
    requests.ask_stops(connection, owners=owners)
    row = {"pseudonym": pseudonym, "owners": json.dumps(owners), "words": json.dumps([member])}
    add_row(connection, tables.removals, **row, made_at=time.time())
    sign_ins.forget_attempts(connection, name=identities.find_name(connection, member=member), member=member)
    for table in (tables.sign_ins, tables.password_links):
        connection.execute(delete(table).where(table.c.member == member))
    mine = update(tables.tokens).where(tables.tokens.c.owner == member)
    connection.execute(mine.values(owner=pseudonym, name=""))


def list_removals(connection: Connection) -> list[Removal]:
    """The unfinished removals, oldest first."""
    rows = connection.execute(select(_x.pseudonym, _x.owners, _x.words).order_by(_x.made_at)).all()
    return [Removal(name, tuple(json.loads(owners)), tuple(json.loads(words))) for name, owners, words in rows]


def rename_runs(connection: Connection, *, removal: Removal, after: str) -> str | None:
    """Gives the pseudonym to the person's runs among the next runs after this id. Returns the last id read, None at the
    end.

    Runs have no index for this, because every run would pay for it.
    """
    rows = connection.execute(select(_r.id, _r.owner).where(_r.id > after).order_by(_r.id).limit(_ROWS)).all()
    if mine := [row.id for row in rows if row.owner in removal.owners]:
        hidden = {"owner": removal.pseudonym, "session_id": "", "counted_as": None, "exclusive": None}
        connection.execute(update(tables.runs).where(_r.id.in_(mine)).values(hidden))
    return rows[-1].id if len(rows) == _ROWS else None


def rename_lines(connection: Connection, *, removal: Removal, after: int) -> int | None:
    """Like `rename_runs`, for audit lines that name the person."""
    rows = connection.execute(
        select(_a.id, _a.actor, _a.action, _a.subject).where(_a.id > after).order_by(_a.id).limit(_ROWS)
    ).all()
    for key, actor, action, subject in rows:
        shown = _hide(removal, actor), _hide(removal, subject, action=action)
        if shown != (actor, subject):
            connection.execute(update(tables.audit).where(_a.id == key).values(actor=shown[0], subject=shown[1]))
    return rows[-1].id if len(rows) == _ROWS else None


def finish_removal(connection: Connection, *, removal: Removal) -> None:
    """Renames the person in small tables, and ends the removal."""
    counters.erase(connection, keys=removal.owners)
    for column in _WHO_DID_IT:
        theirs = update(column.table).where(column.in_(removal.owners))
        connection.execute(theirs.values({column.name: SOMEBODY}))
    connection.execute(delete(tables.removals).where(_x.pseudonym == removal.pseudonym))


def _hide(removal: Removal, text: str, *, action: str = "") -> str:
    """An audit line's actor or subject without the person. A change of name is hidden whole, because it has both
    names."""
    words = text.split(" ")
    if action == "member.renamed":
        return SOMEBODY if words[0] in removal.words else text  # the second word is a name, not an id
    named = {*removal.owners, *(removal.words if action.startswith(_OF_MEMBERS) else ())}
    return " ".join(SOMEBODY if word in named else word for word in words)
