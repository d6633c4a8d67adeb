"""Under which owners a person's conversations are kept.

Those of their pages under the member, those of their programs under one owner for all tokens. Releases before kept the
latter apart, under the token that each began with; they stay there and go on.
"""

from sqlalchemy import Connection, select

from flowground.caller import Owner
from flowground.store import tables
from flowground.store.runs.conversations import make_session_key

_s = tables.sessions.c
_t = tables.tokens.c


def list_owners(connection: Connection, *, member: str) -> list[str]:
    """Of all that the member said, on pages and by programs."""
    return [str(Owner("member", member)), *list_programs(connection, member=member)]


def list_programs(connection: Connection, *, member: str) -> list[str]:
    """Of what the member's programs said."""
    mine = connection.scalars(select(_t.id).where(_t.owner == member))
    return [str(Owner("programs", member)), *(str(Owner("token", key)) for key in mine)]


def find_session(connection: Connection, *, flow_id: str, member: str, session_id: str, token: str) -> str:
    """The owner of the session that is meant when this token of the member's names it.

    The one that this token began in a release before, else the one used last; a new one is the programs'.
    """
    owners = list_programs(connection, member=member)
    keys = [make_session_key(flow_id, owner, session_id) for owner in owners]
    wanted = select(_s.owner).where(_s.id.in_(keys)).order_by(_s.updated_at.desc())
    found = list(connection.scalars(wanted))
    own = str(Owner("token", token))
    return own if own in found else next(iter(found), owners[0])
