"""Conversations, and what people do with them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
)

from flowground.store.tables.columns import Counting, allow, make_table, narrow_index, need

VISITORS = "substr(owner, 1, 8) = 'visitor:'"
"""Whose rows are visitors': an `Owner` begins with its kind."""

VERSIONS, ASIDE = "version_of IS NOT NULL", "aside IS NOT NULL"
"""Which messages the indexes of questions with versions, and of what is put aside, have."""

LASTING_SECONDS = 3600
LASTING = f"updated_at - created_at > {LASTING_SECONDS}"
"""Which sessions went on for long: `transcripts` finds those that went on at some time, and few did."""

_EXPLAINED = "explained_at IS NOT NULL"

sessions = make_table(
    # The id is a digest of flow, owner and session id (`conversations.make_session_key`): one short key to find it by.
    "sessions",
    Column("id", Text, primary_key=True),
    *need(Text, "flow_id", "owner", "session_id", "title"),
    *need(Double, "created_at", "updated_at"),
    *need(Integer, "messages"),
    Index("sessions_recent", "owner", "flow_id", "updated_at"),
    Index("sessions_begun", "owner", "flow_id", "created_at"),
    Index("sessions_lasting", "owner", "flow_id", "created_at", **narrow_index(LASTING)),
    Index("sessions_of_visitors", "flow_id", "updated_at", **narrow_index(VISITORS)),
)

session_pins = make_table(
    # Conversations that their owner keeps above the others of a flow. Owner and flow stand here too, to find them by.
    "session_pins",
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    *need(Text, "owner", "flow_id"),
    *need(Double, "pinned_at"),
    Index("session_pins_of_owner", "owner", "flow_id"),
)

messages = make_table(
    "messages",
    Column("position", Counting, primary_key=True),
    *need(Text, "id"),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    *need(Text, "role", "text", "state"),
    *need(Double, "created_at"),
    *allow(Text, "run_id", "model"),
    *allow(Integer, "input_tokens", "output_tokens"),
    *allow(Double, "seconds"),
    *allow(Text, "trace", "error", "steps"),  # `trace` is of releases that did not know `steps`
    # A question of several versions has the first one's id in `version_of`; what is put aside, the id of the version
    # under which it waits (`runs.versions`).
    *allow(Text, "version_of", "aside", "finish_reason"),
    # `timeline`: when the steps of a trace began, and the flows they ran; `value`: what an answer's text is made of.
    # `actions`: what models did on their way; `citations`: the passages that the answer cites.
    *allow(Text, "timeline", "value", "actions", "citations"),
    # Of what a flow's Store Message added: who is said to have said it (Langflow's word), and the name that is shown.
    *allow(Text, "sender", "sender_name"),
    UniqueConstraint("id", name="messages_id"),
    Index("messages_in_session", "session", "position"),
    Index("messages_versions", "version_of", **narrow_index(VERSIONS)),
    Index("messages_aside", "aside", **narrow_index(ASIDE)),
)

ratings = make_table(
    # What people say of answers. Whose they are, the conversation tells: a rating goes with its message. `labels` are
    # words with blanks between them; `explained_at` is filled where there is a label or a reason.
    "ratings",
    Column("message", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    *need(Text, "flow_id", "value", "labels", "reason"),
    *need(Boolean, "shares_conversation"),
    *need(Double, "at"),
    *allow(Double, "explained_at"),
    Index("ratings_of_flow", "flow_id", "at"),
    Index("ratings_by_value", "flow_id", "value", "at"),
    Index("ratings_explained", "flow_id", "at", **narrow_index(_EXPLAINED)),
)

shared_chats = make_table(
    # What members shared of conversations of theirs: `contents` is a list of role, text, state and time, as JSON. Of
    # answers that are not whole `ends` says why, and `citations` has what answers cite, by their numbers, from 1.
    "shared_chats",
    Column("id", Text, primary_key=True),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    *need(Text, "owner", "flow_id", "title", "contents"),
    *need(Integer, "messages"),
    *need(Boolean, "is_cut"),
    *need(Double, "created_at"),
    *allow(Double, "expires_at"),
    *allow(Text, "ends", "citations"),
    Index("shared_chats_in_session", "session"),
    Index("shared_chats_of_owner", "owner", "created_at"),
    Index("shared_chats_by_expiry", "expires_at"),
)

turn_overrides = make_table(
    "turn_overrides",
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    *need(Text, "overrides"),
)

forgotten_to = make_table(
    # How far in the order of messages something was forgotten (`runs.contents`).
    "forgotten_to",
    Column("what", Text, primary_key=True),
    *need(BigInteger, "position"),
)
