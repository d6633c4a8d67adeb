"""Who gets what of a flow, in every state of its sharing: the one table that is tested, and shown in docs/sharing.md.

Add a door by adding its rows and its sentence; tests/test_access_matrix.py asks every cell of the doors it knows.
"""

from tests.access_to_knowledge import KNOWLEDGE_DOORS, KNOWLEDGE_ROWS

DOORS = {
    "page": "The flow's page, the playground and `/public_flow/{flow_id}` alike. *nothing*: one calm page, the same as "
    "for a flow that does not exist. *sign in*: the sign-in form; a token is no sign-in, and the sign-in of somebody "
    "deactivated is over. *visitor*: whoever is not signed in chats as a visitor, at `/public_flow/{flow_id}` only. "
    "Asked inside the process, and of a running server by raw websocket, pages that were open before included: those "
    "say that the flow is not shared any more.",
    "conversation": "`GET /chat?flow={flow_id}`, the page's socket: what it is told when it opens, and at "
    "its next message if it was open before. *nothing*: `closed` with `not_found`, as for a flow that does not exist; "
    "*sign in*: `closed` with `signed_out`; *visitor*: opens with `at=public` only. Asked of a running server.",
    "export": "`GET /export/chat?flow={flow_id}&session={session_id}&as=markdown`: a conversation of one's own as a "
    "file. *404*: as for one that does not exist, and for anybody else's; *visitor*: theirs, with `at=public` only. "
    "Asked of a running server.",
    "page file": "`POST /file/upload?flow={flow_id}&name={name}` from a page. *adds*: a file, which `/file/download`, "
    "`/file/image` and `/file/delete` give and delete, for whoever added it alone: for everybody else it is *404*, as "
    "for one that does not exist; *visitor*: with `at=public` only. Asked of a running server.",
    "shared chat": "`/shared_chat?id={key}`: a chat that the flow's owner shared as a link. *reads*: its messages, and "
    "*Continue as my copy*, whose copy is one's own. *nothing*: one calm page, the same as for a link that does not "
    "exist; nobody is a visitor there. Asked inside the process, and of a running server by raw websocket, where "
    "everybody presses the button, on new pages and on those that were open before; the page's address itself answers "
    "the same for every link.",
    "feedback": "`/feedback?flow={flow_id}` and `/usage?flow={flow_id}`: what people say of the flow's answers, and "
    "how often it runs and fails (counts, without names). *reads*: the list, and "
    "conversations as far as their people share them; sharing the flow changes nothing here. "
    "*nothing*: the page of an unknown address.",
    "feedback csv": "`GET /export/feedback?flow={flow_id}`: the same list as a file, and of conversations as much as "
    "stands in it. *404*: as for a flow that does not exist. Asked of a running server.",
    "inside": "`/inside?flow={flow_id}` and `/inside?file={name}`: the flow as a picture, and its file with the "
    "mistakes in it; its tests, and what makes a test of a turn of one's own. *reads*: all that, and runs the tests; "
    "*nothing*: the page of an unknown address, as for what is not there. "
    "Asked inside the process, and of a running server by raw websocket.",
    **KNOWLEDGE_DOORS,
    "run": "`POST /api/v1/run/{flow_id}`. A sign-in is no token: with the cookie alone the API answers 403.",
    "inner flow": "`POST /api/v1/run/outer`, where `outer` is a flow that is shared with the organization, its API "
    "too, and runs this one inside: whoever may run the outer flow runs this one there, however it is shared, and is "
    "told no more of it than the answer.",
    "messages": "`GET /api/v1/monitor/messages`: whether it still shows what the token, or another of its "
    "person, said to the flow before. Nobody is ever shown what others said.",
    "runs": "`GET /api/v1/runs/{run_id}`, its `/events`, `/stop` and `/decisions`: whether the token is still told of "
    "a run that it made. Anybody else's is 404, as one that never was.",
    "files": "`POST /api/v1/files/upload/{flow_id}`, and `list`, `download`, `delete` beside it. *own*: the token's "
    "own files, and those of its person's other tokens; anybody else's is 404, as one that never was. *404*: as for a "
    "flow that does not exist. `/api/v2/files` are a token's own files for every flow, whatever is shared.",
    "flows": "`GET /api/v1/flows/`: whether the flow is in the list.",
    "me": "`GET /api/v1/me`: who the token is and what is left of its limits; of a flow only where it may run it.",
    "openapi": "`GET /api/openapi.json`. *general*: the document is the same for everybody and names no flow.",
}
"""Door -> what its cells mean."""

TABLE = """
door         | who                  | off     | people  | group   | organization | page only | public  | expired
page         | signed out           | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | member               | nothing | nothing | nothing | opens        | opens     | opens   | nothing
page         | named member         | nothing | opens   | nothing | opens        | opens     | opens   | nothing
page         | group member         | nothing | nothing | opens   | opens        | opens     | opens   | nothing
page         | author               | opens   | opens   | opens   | opens        | opens     | opens   | opens
page         | owner                | opens   | opens   | opens   | opens        | opens     | opens   | opens
page         | admin                | opens   | opens   | opens   | opens        | opens     | opens   | opens
page         | deactivated          | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | member's token       | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | named member's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | group member's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | author's token       | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | organization's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | foreign token        | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
page         | deactivated's token  | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | signed out           | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | member               | nothing | nothing | nothing | opens        | opens     | opens   | nothing
conversation | named member         | nothing | opens   | nothing | opens        | opens     | opens   | nothing
conversation | group member         | nothing | nothing | opens   | opens        | opens     | opens   | nothing
conversation | author               | opens   | opens   | opens   | opens        | opens     | opens   | opens
conversation | owner                | opens   | opens   | opens   | opens        | opens     | opens   | opens
conversation | admin                | opens   | opens   | opens   | opens        | opens     | opens   | opens
conversation | deactivated          | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | member's token       | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | named member's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | group member's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | author's token       | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | organization's token | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | foreign token        | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
conversation | deactivated's token  | sign in | sign in | sign in | sign in      | sign in   | visitor | sign in
export       | signed out           | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | member               | 404     | 404     | 404     | own          | own       | own     | 404
export       | named member         | 404     | own     | 404     | own          | own       | own     | 404
export       | group member         | 404     | 404     | own     | own          | own       | own     | 404
export       | author               | own     | own     | own     | own          | own       | own     | own
export       | owner                | own     | own     | own     | own          | own       | own     | own
export       | admin                | own     | own     | own     | own          | own       | own     | own
export       | deactivated          | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | member's token       | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | named member's token | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | group member's token | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | author's token       | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | organization's token | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | foreign token        | 403     | 403     | 403     | 403          | 403       | visitor | 403
export       | deactivated's token  | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | signed out           | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | member               | 404     | 404     | 404     | adds         | adds      | adds    | 404
page file    | named member         | 404     | adds    | 404     | adds         | adds      | adds    | 404
page file    | group member         | 404     | 404     | adds    | adds         | adds      | adds    | 404
page file    | author               | adds    | adds    | adds    | adds         | adds      | adds    | adds
page file    | owner                | adds    | adds    | adds    | adds         | adds      | adds    | adds
page file    | admin                | adds    | adds    | adds    | adds         | adds      | adds    | adds
page file    | deactivated          | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | member's token       | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | named member's token | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | group member's token | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | author's token       | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | organization's token | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | foreign token        | 403     | 403     | 403     | 403          | 403       | visitor | 403
page file    | deactivated's token  | 403     | 403     | 403     | 403          | 403       | visitor | 403
shared chat  | signed out           | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | member               | nothing | nothing | nothing | reads        | reads     | reads   | nothing
shared chat  | named member         | nothing | reads   | nothing | reads        | reads     | reads   | nothing
shared chat  | group member         | nothing | nothing | reads   | reads        | reads     | reads   | nothing
shared chat  | author               | reads   | reads   | reads   | reads        | reads     | reads   | reads
shared chat  | owner                | reads   | reads   | reads   | reads        | reads     | reads   | reads
shared chat  | admin                | reads   | reads   | reads   | reads        | reads     | reads   | reads
shared chat  | deactivated          | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | member's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | named member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | group member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | author's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | organization's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | foreign token        | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
shared chat  | deactivated's token  | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | signed out           | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | member               | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
feedback     | named member         | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
feedback     | group member         | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
feedback     | author               | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
feedback     | owner                | reads   | reads   | reads   | reads        | reads     | reads   | reads
feedback     | admin                | reads   | reads   | reads   | reads        | reads     | reads   | reads
feedback     | deactivated          | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | member's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | named member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | group member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | author's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | organization's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | foreign token        | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback     | deactivated's token  | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
feedback csv | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | member               | 404     | 404     | 404     | 404          | 404       | 404     | 404
feedback csv | named member         | 404     | 404     | 404     | 404          | 404       | 404     | 404
feedback csv | group member         | 404     | 404     | 404     | 404          | 404       | 404     | 404
feedback csv | author               | 404     | 404     | 404     | 404          | 404       | 404     | 404
feedback csv | owner                | file    | file    | file    | file         | file      | file    | file
feedback csv | admin                | file    | file    | file    | file         | file      | file    | file
feedback csv | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | member's token       | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | named member's token | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | group member's token | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | author's token       | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | organization's token | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | foreign token        | 403     | 403     | 403     | 403          | 403       | 403     | 403
feedback csv | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
inside       | signed out           | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | member               | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
inside       | named member         | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
inside       | group member         | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
inside       | author               | reads   | reads   | reads   | reads        | reads     | reads   | reads
inside       | owner                | reads   | reads   | reads   | reads        | reads     | reads   | reads
inside       | admin                | reads   | reads   | reads   | reads        | reads     | reads   | reads
inside       | deactivated          | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | member's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | named member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | group member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | author's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | organization's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | foreign token        | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
inside       | deactivated's token  | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
run          | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
run          | member's token       | 404     | 404     | 404     | 200          | 404       | 200     | 404
run          | named member's token | 404     | 200     | 404     | 200          | 404       | 200     | 404
run          | group member's token | 404     | 404     | 200     | 200          | 404       | 200     | 404
run          | author's token       | 200     | 200     | 200     | 200          | 200       | 200     | 200
run          | organization's token | 200     | 200     | 200     | 200          | 200       | 200     | 200
run          | foreign token        | 404     | 404     | 404     | 404          | 404       | 404     | 404
run          | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
inner flow   | member's token       | 200     | 200     | 200     | 200          | 200       | 200     | 200
inner flow   | named member's token | 200     | 200     | 200     | 200          | 200       | 200     | 200
inner flow   | group member's token | 200     | 200     | 200     | 200          | 200       | 200     | 200
inner flow   | author's token       | 200     | 200     | 200     | 200          | 200       | 200     | 200
inner flow   | organization's token | 200     | 200     | 200     | 200          | 200       | 200     | 200
inner flow   | foreign token        | 404     | 404     | 404     | 404          | 404       | 404     | 404
inner flow   | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
messages     | member's token       | none    | none    | none    | own          | none      | own     | none
messages     | named member's token | none    | own     | none    | own          | none      | own     | none
messages     | group member's token | none    | none    | own     | own          | none      | own     | none
messages     | author's token       | own     | own     | own     | own          | own       | own     | own
messages     | organization's token | own     | own     | own     | own          | own       | own     | own
messages     | foreign token        | none    | none    | none    | none         | none      | none    | none
messages     | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
runs         | member's token       | 404     | 404     | 404     | 200          | 404       | 200     | 404
runs         | named member's token | 404     | 200     | 404     | 200          | 404       | 200     | 404
runs         | group member's token | 404     | 404     | 200     | 200          | 404       | 200     | 404
runs         | author's token       | 200     | 200     | 200     | 200          | 200       | 200     | 200
runs         | organization's token | 200     | 200     | 200     | 200          | 200       | 200     | 200
runs         | foreign token        | 404     | 404     | 404     | 404          | 404       | 404     | 404
runs         | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
files        | member's token       | 404     | 404     | 404     | own          | 404       | own     | 404
files        | named member's token | 404     | own     | 404     | own          | 404       | own     | 404
files        | group member's token | 404     | 404     | own     | own          | 404       | own     | 404
files        | author's token       | own     | own     | own     | own          | own       | own     | own
files        | organization's token | own     | own     | own     | own          | own       | own     | own
files        | foreign token        | 404     | 404     | 404     | 404          | 404       | 404     | 404
files        | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
flows        | member's token       | none    | none    | none    | listed       | none      | listed  | none
flows        | named member's token | none    | listed  | none    | listed       | none      | listed  | none
flows        | group member's token | none    | none    | listed  | listed       | none      | listed  | none
flows        | author's token       | listed  | listed  | listed  | listed       | listed    | listed  | listed
flows        | organization's token | listed  | listed  | listed  | listed       | listed    | listed  | listed
flows        | foreign token        | none    | none    | none    | none         | none      | none    | none
flows        | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | member               | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | named member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | group member         | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | author               | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | owner                | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | admin                | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
me           | member's token       | token   | token   | token   | token        | token     | token   | token
me           | named member's token | token   | token   | token   | token        | token     | token   | token
me           | group member's token | token   | token   | token   | token        | token     | token   | token
me           | author's token       | token   | token   | token   | token        | token     | token   | token
me           | organization's token | token   | token   | token   | token        | token     | token   | token
me           | foreign token        | token   | token   | token   | token        | token     | token   | token
me           | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
openapi      | signed out           | general | general | general | general      | general   | general | general
openapi      | member               | general | general | general | general      | general   | general | general
openapi      | named member         | general | general | general | general      | general   | general | general
openapi      | group member         | general | general | general | general      | general   | general | general
openapi      | author               | general | general | general | general      | general   | general | general
openapi      | owner                | general | general | general | general      | general   | general | general
openapi      | admin                | general | general | general | general      | general   | general | general
openapi      | deactivated          | general | general | general | general      | general   | general | general
openapi      | member's token       | general | general | general | general      | general   | general | general
openapi      | named member's token | general | general | general | general      | general   | general | general
openapi      | group member's token | general | general | general | general      | general   | general | general
openapi      | author's token       | general | general | general | general      | general   | general | general
openapi      | organization's token | general | general | general | general      | general   | general | general
openapi      | foreign token        | general | general | general | general      | general   | general | general
openapi      | deactivated's token  | general | general | general | general      | general   | general | general
"""
TABLE += KNOWLEDGE_ROWS
"""Columns after the first two are states of the sharing; with the API shared too, but for "page only"."""


BEFORE_THE_FIRST_ACCOUNT = """
door | who                                 | open    | link    | off
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


STATES = _rows(TABLE)[0][2:]
LOCAL_MODES = _rows(BEFORE_THE_FIRST_ACCOUNT)[0][2:]


def cells(door: str, state: str, table: str = TABLE) -> dict[str, str]:
    """Who -> what they get at this door in this state."""
    head, *rows = _rows(table)
    return {row[1]: row[head.index(state)] for row in rows if row[0] == door}


def token_rights() -> list[dict[str, str]]:
    """A row for each kind of token, by column."""
    head, *rows = _rows(TOKEN_RIGHTS)
    return [dict(zip(head, row, strict=True)) for row in rows]


def markdown() -> str:
    """One table a door, and one of the time before the first account."""
    parts = [
        f"### {door}\n\n{says}\n\n{_drawn([row[1:] for row in _rows(TABLE) if row[0] in ('door', door)])}"
        for door, says in DOORS.items()
    ]
    parts += ["### what a token sees and sets\n", _RIGHTS, _drawn(_rows(TOKEN_RIGHTS))]
    return "\n".join((*parts, "### before the first account\n", _LOCAL, _drawn(_rows(BEFORE_THE_FIRST_ACCOUNT))))


_RIGHTS = """\
Of a flow that the token may run. An admin's and the organization's tokens are as an author's. *lacks*: refused with
`token_may_not_set` (422) or `token_may_not_see` (403), which say where to make a token that may; *422*: refused, and no
token may.

- *opened*, *unprotected*, *protected*: a tweak of such a field. Opened are those that `api.overridable` lists; where
  there is a list nobody sets others.
- *debug*: `output_type: debug`, or an `output_component` that is no output: all texts, or those of outputs alone.
- *messages*: whether an answer names the component and the model that made it, or is its text alone.
- *failure*: told whole, or its kind alone. *components*: the `data` of `/api/v1/flows/`.

What a token sees and sets opens no flow and closes none: the tables above are the same for all of them.
"""
_LOCAL = """\
By `local_mode` in config.yaml. *code*: nothing but the question for the owner code. *account*: nothing but the page for
the first account. *refused*: HTTP 403, and no websocket. What *this computer* means: [security.md](security.md).
"""


def _drawn(rows: list[list[str]]) -> str:
    head, *others = rows
    shown = [["" if word in ("door", "who", "whose", "token") else word for word in head], ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown) + "\n"
