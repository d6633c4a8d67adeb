"""Who sees and changes what a flow looks things up in: rows of the access matrix, asked by test_access_knowledge.py."""

KNOWLEDGE_DOORS = {
    "knowledge": "`/knowledge?flow={flow_id}`: what the flow looks things up in, how far that is indexed, and passages "
    "that are found; also what config.yaml names for all flows, without a flow `/knowledge`. *reads*: all that; "
    "*nothing*: the page of an unknown address.",
    "added": "`POST /file/knowledge?flow={flow_id}&knowledge={name}&name={name}` from that page. *adds*: a file, which "
    "the page removes for the same people; *404*: as for a knowledge that does not exist. What all flows share is "
    "changed by admins.",
}
KNOWLEDGE_ROWS = """\
knowledge    | signed out           | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | member               | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
knowledge    | named member         | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
knowledge    | group member         | nothing | nothing | nothing | nothing      | nothing   | nothing | nothing
knowledge    | author               | reads   | reads   | reads   | reads        | reads     | reads   | reads
knowledge    | owner                | reads   | reads   | reads   | reads        | reads     | reads   | reads
knowledge    | admin                | reads   | reads   | reads   | reads        | reads     | reads   | reads
knowledge    | deactivated          | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | member's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | named member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | group member's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | author's token       | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | organization's token | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | foreign token        | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
knowledge    | deactivated's token  | sign in | sign in | sign in | sign in      | sign in   | sign in | sign in
added        | signed out           | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | member               | 404     | 404     | 404     | 404          | 404       | 404     | 404
added        | named member         | 404     | 404     | 404     | 404          | 404       | 404     | 404
added        | group member         | 404     | 404     | 404     | 404          | 404       | 404     | 404
added        | author               | 404     | 404     | 404     | 404          | 404       | 404     | 404
added        | owner                | adds    | adds    | adds    | adds         | adds      | adds    | adds
added        | admin                | adds    | adds    | adds    | adds         | adds      | adds    | adds
added        | deactivated          | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | member's token       | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | named member's token | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | group member's token | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | author's token       | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | organization's token | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | foreign token        | 403     | 403     | 403     | 403          | 403       | 403     | 403
added        | deactivated's token  | 403     | 403     | 403     | 403          | 403       | 403     | 403
"""
"""As those of `TABLE` in tests/access_matrix.py."""
