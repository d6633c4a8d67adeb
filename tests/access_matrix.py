"""Who gets what of a flow, in every state of its sharing: the one table, which tests ask cell by cell at each endpoint.

tests/test_access_matrix.py asks in this process, what is behind the pages and the API over HTTP;
tests/test_access_websocket.py asks a running server: its pages, its WebSockets and its routes for files.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from flowground.access.sign_in import SignIn
from flowground.core.caller import Role
from flowground.store import Store
from flowground.store.people import groups
from flowground.store.publications import Sharing
from tests.running import chat_flow

OUTER = """
components:
  Said: {type: ChatInput}
  Sub: {type: RunFlow, flow: talk, input_value: "${Said}"}
  Out: {type: ChatOutput, input_value: "${Sub}"}
"""
FLOWS = {
    "talk": "owners: [owner]\nchat: {accepts: [text/*]}\nknowledge: {handbook: {uploads: true}}\n"
    + chat_flow("scripted", "Talk"),
    "other": chat_flow("scripted", "Other"),
    "outer": OUTER,
}
PEOPLE: Mapping[str, Role] = {
    "member": "member", "named member": "member", "group member": "member", "deactivated": "member",
    "author": "author", "owner": "author", "admin": "admin",
}  # fmt: skip
TOKENS = {
    "member's token": "member", "named member's token": "named-member", "group member's token": "group-member",
    "author's token": "author", "organization's token": None, "foreign token": None,
    "deactivated's token": "deactivated",
}  # fmt: skip
"""Of whom; the foreign one is for another flow."""

RIGHTS = """
what   | who                                  | off | people | group | organization | page only | public  | expired
chat   | member                               | no  | no     | no    | yes          | yes       | yes     | no
chat   | named member                         | no  | yes    | no    | yes          | yes       | yes     | no
chat   | group member                         | no  | no     | yes   | yes          | yes       | yes     | no
chat   | author, owner, admin                 | yes | yes    | yes   | yes          | yes       | yes     | yes
inside | member, named member, group member   | no  | no     | no    | no           | no        | no      | no
inside | author, owner, admin                 | yes | yes    | yes   | yes          | yes       | yes     | yes
own    | member, named member, group member   | no  | no     | no    | no           | no        | no      | no
own    | author                               | no  | no     | no    | no           | no        | no      | no
own    | owner, admin                         | yes | yes    | yes   | yes          | yes       | yes     | yes
API    | member's token                       | no  | no     | no    | yes          | no        | yes     | no
API    | named member's token                 | no  | yes    | no    | yes          | no        | yes     | no
API    | group member's token                 | no  | no     | yes   | yes          | no        | yes     | no
API    | author's token, organization's token | yes | yes    | yes   | yes          | yes       | yes     | yes
API    | foreign token                        | no  | no     | no    | no           | no        | no      | no
"""
"""Who has no row is *nobody* there: a token is no sign-in, a sign-in is no token, and whoever is deactivated has
neither. Nobody is a visitor where a flow is public, at the shareable playground alone. *no* looks like a flow that does
not exist. Columns after the first two are states of the sharing; with the API shared too, but for "page only"."""


def sharings(group: str) -> dict[str, Sharing]:
    """Who is deactivated is named too, and in the group: it must not matter."""
    named, of_group = frozenset({"named-member", "deactivated"}), frozenset({group})
    return {
        "off": Sharing(False, "people", named, of_group, shares_api=True),
        "people": Sharing(True, "people", named, shares_api=True),
        "group": Sharing(True, "people", groups=of_group, shares_api=True),
        "organization": Sharing(True, shares_api=True),
        "page only": Sharing(True),
        "public": Sharing(True, "public", shares_api=True),
        "expired": Sharing(True, "public", named, of_group, True, datetime.now(UTC) - timedelta(seconds=1)),
    }


async def add_people(store: Store, sign_in: SignIn) -> str:
    """The id of the group."""
    for who, role in PEOPLE.items():
        await sign_in.roster.add(who.replace(" ", "-"), role=role, by="tests")
    group = await store.write(groups.add, name="Group", by="tests")
    await store.write(groups.change_members, group_id=group.id, added=["group-member", "deactivated"], by="tests")
    return group.id


BEFORE_THE_FIRST_ACCOUNT = """
what | who                                 | open    | link    | off
page | this computer                       | opens   | code    | code
page | the browser of the printed link     | opens   | opens   | account
page | a TCP forward that leaves no trace  | opens   | code    | code
page | a proxy that leaves a trace         | refused | refused | refused
page | another name for this computer      | refused | refused | refused
run  | this computer                       | 403     | 403     | 403
run  | a token from this computer          | 200     | 200     | 200
run  | a token through such a forward      | 200     | 200     | 200
run  | a token through such a proxy        | 403     | 403     | 403
run  | a token under another name          | 403     | 403     | 403
"""
"""While there is no account: columns are values of `local_mode`; tests/test_local_mode.py asks every cell."""

TOKEN_RIGHTS = """
whose  | token              | opened | unprotected | protected | debug   | messages | failure | components
author | of before          | sets   | sets        | 422       | all     | sources  | whole   | all
author | new                | sets   | lacks       | lacks     | lacks   | texts    | kind    | none
author | that sets          | sets   | sets        | 422       | lacks   | texts    | kind    | none
author | that sees          | sets   | lacks       | 422       | all     | sources  | whole   | all
author | that sees and sets | sets   | sets        | 422       | all     | sources  | whole   | all
member | any                | sets   | 422         | 422       | outputs | texts    | kind    | none
"""
"""What a token sees and sets, by whose it is; an admin's and the organization's are an author's. Every cell is asked by
tests/api/test_token_rights.py, plain and streamed."""


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


STATES = _rows(RIGHTS)[0][2:]
LOCAL_MODES = _rows(BEFORE_THE_FIRST_ACCOUNT)[0][2:]


def cells(what: str, state: str, table: str = RIGHTS) -> dict[str, str]:
    """Who -> what they get in this state."""
    head, *rows = _rows(table)
    return {who: row[head.index(state)] for row in rows if row[0] == what for who in row[1].split(", ")}


def token_rights() -> list[dict[str, str]]:
    """A row for each kind of token, by column."""
    head, *rows = _rows(TOKEN_RIGHTS)
    return [dict(zip(head, row, strict=True)) for row in rows]
