"""What is left of somebody who was removed: facts for counting, under an owner that nobody can compute; and lines of
the audit trail and other records, in which one word stands for all who were removed.

What they could act with or be found by ends in the removal's own transaction. The rest may be much, so it follows in
small steps, and a row says until the end what is still to do: another process goes on with it, and one that is
started anew.
"""

import json
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Column, Connection, delete, select, update

from flowground.core.caller import Owner
from flowground.store import tables
from flowground.store.people import identities, sign_ins
from flowground.store.runs import requests
from flowground.store.runs.conversations import list_owners
from flowground.store.sql import add_row

SOMEBODY = str(Owner("removed", "person"))
"""Stands where somebody did something, or something was done to them, who was removed."""
_ROWS = 500
"""Rows that one step looks at."""
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
"""Actions in whose lines of the audit trail a bare word may be a member's id."""


@dataclass(frozen=True, slots=True)
class Removal:
    """`owners` are those under whom anything of the person is kept, `words` how a line of the audit trail names them:
    by id. Their sign-in name may be somebody else's id."""

    pseudonym: str
    owners: tuple[str, ...]
    words: tuple[str, ...]


def begin_removal(connection: Connection, *, member: str) -> None:
    """Notes what is still to do, has every process stop what runs of theirs, and deletes what their rights left, which
    `members.end_rights` has ended. Before their identities are given up."""
    pseudonym = str(Owner("removed", secrets.token_hex(8)))
    owners = list_owners(connection, member=member)
    requests.ask_stops(connection, owners=owners)
    row = {"pseudonym": pseudonym, "owners": json.dumps(owners), "words": json.dumps([member])}
    add_row(connection, tables.removals, **row, made_at=time.time())
    sign_ins.forget_attempts(connection, name=identities.find_name(connection, member=member), member=member)
    for table in (tables.sign_ins, tables.password_links):
        connection.execute(delete(table).where(table.c.member == member))
    mine = update(tables.tokens).where(tables.tokens.c.owner == member)
    connection.execute(mine.values(owner=pseudonym, name=""))


def list_removals(connection: Connection) -> list[Removal]:
    """Those of which something is still to do, the oldest first."""
    wanted = select(_x.pseudonym, _x.owners, _x.words).where(_x.looked_at.is_(None)).order_by(_x.made_at)
    rows = connection.execute(wanted).all()
    return [Removal(name, tuple(json.loads(owners)), tuple(json.loads(words))) for name, owners, words in rows]


def rename_runs(connection: Connection, *, removal: Removal, after: str) -> str | None:
    """Gives the pseudonym to those of the person's runs that are among the next behind this id; how far it came, None
    at the end. The runs have an index by owner for nobody: no run would pay for it."""
    rows = connection.execute(select(_r.id, _r.owner).where(_r.id > after).order_by(_r.id).limit(_ROWS)).all()
    if mine := [row.id for row in rows if row.owner in removal.owners]:
        hidden = {"owner": removal.pseudonym, "session_id": "", "counted_as": None}
        connection.execute(update(tables.runs).where(_r.id.in_(mine)).values(hidden))
    return rows[-1].id if len(rows) == _ROWS else None


def rename_lines(connection: Connection, *, removal: Removal, after: int) -> int | None:
    """As `rename_runs`, for lines of the audit trail that name the person."""
    rows = connection.execute(
        select(_a.id, _a.actor, _a.action, _a.subject).where(_a.id > after).order_by(_a.id).limit(_ROWS)
    ).all()
    for key, actor, action, subject in rows:
        shown = _hide(removal, actor), _hide(removal, subject, action=action)
        if shown != (actor, subject):
            connection.execute(update(tables.audit).where(_a.id == key).values(actor=shown[0], subject=shown[1]))
    return rows[-1].id if len(rows) == _ROWS else None


def finish_removal(connection: Connection, *, removal: Removal) -> None:
    """Small tables that say who did something; then nothing is left to do. Rows with `looked_at` are an earlier
    release's: digests of people of whom nothing was left."""
    for column in _WHO_DID_IT:
        theirs = update(column.table).where(column.in_(removal.owners))
        connection.execute(theirs.values({column.name: SOMEBODY}))
    is_over = (_x.pseudonym == removal.pseudonym) | _x.looked_at.is_not(None)
    connection.execute(delete(tables.removals).where(is_over))


def _hide(removal: Removal, said: str, *, action: str = "") -> str:
    """The actor or subject of a line without the person. Of a change of name nothing is left: it has both names."""
    words = said.split(" ")
    if action == "member.renamed":
        return SOMEBODY if words[0] in removal.words else said  # the second word is a name, not an id
    named = {*removal.owners, *(removal.words if action.startswith(_OF_MEMBERS) else ())}
    return " ".join(SOMEBODY if word in named else word for word in words)
