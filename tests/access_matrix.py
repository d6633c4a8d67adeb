"""Who gets what of a flow, in every state of its sharing: the one table that is tested, and shown in docs/sharing.md.

Add a door by adding its rows and its sentence; tests/test_access_matrix.py asks every cell of the doors it knows.
"""

DOORS = {
    "page": "The flow's page, the playground and `/public_flow/{flow_id}` alike. *nothing*: one calm page, the same as "
    "for a flow that does not exist. *sign in*: the sign-in form; a token is no sign-in, and the sign-in of somebody "
    "deactivated is over. *visitor*: whoever is not signed in chats as a visitor, at `/public_flow/{flow_id}` only. "
    "Asked inside the process, and of a running server by raw websocket, pages that were open before included.",
    "run": "`POST /api/v1/run/{flow_id}`. A sign-in is no token: with the cookie alone the API answers 403.",
    "messages": "`GET /api/v1/monitor/messages`: whether it still shows what this very token said to the flow before. "
    "Nobody is ever shown what others said.",
    "flows": "`GET /api/v1/flows/`: whether the flow is in the list.",
    "openapi": "`GET /api/openapi.json`. *general*: the document is the same for everybody and names no flow.",
}
"""Door -> what its cells mean."""

TABLE = """
door     | who                  | off     | people  | group   | organization | page only | public  | expired
page     | signed out           | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | member               | nothing | nothing | nothing | opens        | opens     | opens   | nothing
page     | named member         | nothing | opens   | nothing | opens        | opens     | opens   | nothing
page     | group member         | nothing | nothing | opens   | opens        | opens     | opens   | nothing
page     | author               | opens   | opens   | opens   | opens        | opens     | opens   | opens
page     | owner                | opens   | opens   | opens   | opens        | opens     | opens   | opens
page     | admin                | opens   | opens   | opens   | opens        | opens     | opens   | opens
page     | deactivated          | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | member's token       | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | named member's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | group member's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | author's token       | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | organization's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | foreign token        | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page     | deactivated's token  | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
run      | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
run      | member's token       | 404     | 404     | 404     | 200          | 404       | 200     | 404
run      | named member's token | 404     | 200     | 404     | 200          | 404       | 200     | 404
run      | group member's token | 404     | 404     | 200     | 200          | 404       | 200     | 404
run      | author's token       | 200     | 200     | 200     | 200          | 200       | 200     | 200
run      | organization's token | 200     | 200     | 200     | 200          | 200       | 200     | 200
run      | foreign token        | 404     | 404     | 404     | 404          | 404       | 404     | 404
run      | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages | member's token       | none    | none    | none    | own          | none      | own     | none
messages | named member's token | none    | own     | none    | own          | none      | own     | none
messages | group member's token | none    | none    | own     | own          | none      | own     | none
messages | author's token       | own     | own     | own     | own          | own       | own     | own
messages | organization's token | own     | own     | own     | own          | own       | own     | own
messages | foreign token        | none    | none    | none    | none         | none      | none    | none
messages | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows    | member's token       | none    | none    | none    | listed       | none      | listed  | none
flows    | named member's token | none    | listed  | none    | listed       | none      | listed  | none
flows    | group member's token | none    | none    | listed  | listed       | none      | listed  | none
flows    | author's token       | listed  | listed  | listed  | listed       | listed    | listed  | listed
flows    | organization's token | listed  | listed  | listed  | listed       | listed    | listed  | listed
flows    | foreign token        | none    | none    | none    | none         | none      | none    | none
flows    | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
openapi  | signed out           | general | general | general | general      | general   | general | general
openapi  | member               | general | general | general | general      | general   | general | general
openapi  | named member         | general | general | general | general      | general   | general | general
openapi  | group member         | general | general | general | general      | general   | general | general
openapi  | author               | general | general | general | general      | general   | general | general
openapi  | owner                | general | general | general | general      | general   | general | general
openapi  | admin                | general | general | general | general      | general   | general | general
openapi  | deactivated          | general | general | general | general      | general   | general | general
openapi  | member's token       | general | general | general | general      | general   | general | general
openapi  | named member's token | general | general | general | general      | general   | general | general
openapi  | group member's token | general | general | general | general      | general   | general | general
openapi  | author's token       | general | general | general | general      | general   | general | general
openapi  | organization's token | general | general | general | general      | general   | general | general
openapi  | foreign token        | general | general | general | general      | general   | general | general
openapi  | deactivated's token  | general | general | general | general      | general   | general | general
"""
"""Columns after the first two are states of the sharing; with the API shared too, but for "page only"."""


def _rows() -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]


STATES = _rows()[0][2:]


def cells(door: str, state: str) -> dict[str, str]:
    """Who -> what they get at this door in this state."""
    column = _rows()[0].index(state)
    return {row[1]: row[column] for row in _rows()[1:] if row[0] == door}


def markdown() -> str:
    """One table a door."""
    parts = []
    for door, says in DOORS.items():
        lines = [["", *STATES], ["---"] * (len(STATES) + 1), *(row[1:] for row in _rows()[1:] if row[0] == door)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"### {door}\n\n{says}\n\n{table}\n")
    return "\n".join(parts)
