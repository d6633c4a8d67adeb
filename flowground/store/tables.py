"""The tables as they are now. `schema` creates them; a test compares these with what it makes of an old database.

Times are seconds since 1970 (UTC) in double precision: exact to the microsecond, one type on both databases.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

metadata = MetaData()
Counting = BigInteger().with_variant(Integer, "sqlite")
"""A key that counts up by itself, so it is also the order in which rows were written."""
LASTING_SECONDS = 3600
"""Sessions that lasted longer are few: `transcripts` finds those that were in use at some time."""


def narrow_index(condition: str, name: str, *columns: str, unique: bool = False) -> Index:
    """An index of the rows only that meet the condition."""
    return Index(name, *columns, unique=unique, sqlite_where=text(condition))


def narrow_postgresql_indexes() -> None:
    """The same conditions for PostgreSQL, whose dialect is not imported before."""
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        if "sqlite_where" in index.kwargs:
            index.kwargs["postgresql_where"] = index.kwargs["sqlite_where"]


def make_table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts)


def key(*names: str) -> list[Column[Any]]:
    """Columns of text by which a row is found."""
    return [Column(name, Text, primary_key=True) for name in names]


def need(kind: type[TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    """Columns that every row fills."""
    return [Column(name, kind, nullable=False) for name in names]


def allow(kind: type[TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    """Columns that a row may leave empty."""
    return [Column(name, kind) for name in names]


sessions = make_table(
    # Clients know a session by owner, flow and session id (`conversations.find_key`), other tables by its number.
    "sessions",
    Column("id", Counting, primary_key=True),
    *need(Text, "flow_id", "owner", "session_id", "title"),
    *need(Double, "created_at", "updated_at"),
    *need(Integer, "messages"),
    Index("sessions_by_id", "owner", "session_id", "flow_id", unique=True),
    Index("sessions_recent", "owner", "flow_id", "updated_at"),
    Index("sessions_begun", "owner", "flow_id", "created_at"),
    narrow_index(f"updated_at - created_at > {LASTING_SECONDS}", "sessions_lasting", "owner", "flow_id", "created_at"),
    narrow_index("substr(owner, 1, 8) = 'visitor:'", "sessions_of_visitors", "flow_id", "updated_at"),
)

session_pins = make_table(
    # Conversations that their owner pinned. Owner and flow are columns here too, for the index.
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
    # A question of several versions has the first one's id in `version_of`; what is put aside, the id of the version
    # under which it waits (`runs.versions`).
    *allow(Text, "error", "version_of", "aside", "finish_reason"),
    # `value`: what an answer's text is made of; `citations`: the passages that it cites.
    *allow(Text, "value", "citations"),
    # For messages that a flow's Store Message added: the sender (Langflow's word), and the name that is shown.
    *allow(Text, "sender", "sender_name"),
    UniqueConstraint("id", name="messages_id"),
    Index("messages_in_session", "session", "position"),
    narrow_index("version_of IS NOT NULL", "messages_versions", "version_of"),
    narrow_index("aside IS NOT NULL", "messages_aside", "aside"),
)

journals = make_table(
    # What happened in a run (`runs.journals`), beside its first answer, else its question: both are deleted together.
    "journals",
    Column("message", ForeignKey("messages.position", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    *need(Integer, "version"),
    *need(Text, "body"),
)

ratings = make_table(
    # People's ratings of answers. The owner is the conversation's: a rating goes with its message. `labels` are
    # words with blanks between them; `explained_at` is filled where there is a label or a reason.
    "ratings",
    Column("message", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    *need(Text, "flow_id", "value", "labels", "reason"),
    *need(Boolean, "shares_conversation"),
    *need(Double, "at"),
    *allow(Double, "explained_at"),
    Index("ratings_of_flow", "flow_id", "at"),
    Index("ratings_by_value", "flow_id", "value", "at"),
    narrow_index("explained_at IS NOT NULL", "ratings_explained", "flow_id", "at"),
)

shared_chats = make_table(
    # Copies of conversations that members shared: `contents` is a JSON list of role, text, state and time. By the
    # number of an answer, from 1, `ends` has why it is not whole, and `citations` what it cites.
    "shared_chats",
    *key("id"),
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

forgotten_to = make_table(
    # The position of the last message whose run contents were deleted (`erasing.forget_contents`).
    "forgotten_to",
    *key("what"),
    *need(BigInteger, "position"),
)

publications = make_table(
    "publications",
    *key("flow_id"),
    *need(Boolean, "shared"),
    *need(Text, "changed_by"),
    *need(Double, "changed_at"),
    *need(Text, "audience"),
    *need(Boolean, "api"),
    *allow(Double, "expires_at"),
)

audiences = make_table(
    # With whom a flow is shared: `kind` is "member" or "group", `name` the id of one.
    "audiences",
    *key("flow_id", "kind", "name"),
    Index("audiences_by_name", "kind", "name"),
)

access_requests = make_table(
    "access_requests",
    *key("id"),
    *need(Text, "flow_id", "member", "note", "state"),
    *need(Double, "created_at"),
    *allow(Text, "decided_by"),
    *allow(Double, "decided_at"),
    Index("access_requests_of_member", "member", "flow_id"),
    Index("access_requests_by_state", "state", "created_at"),
    narrow_index("decided_at IS NOT NULL", "access_requests_decided", "decided_at"),
)

switches = make_table(
    # Flows and providers that are switched off; one that is on has no row.
    "switches",
    *key("kind", "name"),
    *need(Text, "changed_by"),
    *need(Double, "changed_at"),
    *need(Text, "says"),
)

marks = make_table(
    # Events that happen once, such as the first account.
    "marks",
    *key("name"),
    *need(Double, "made_at"),
)

audit = make_table(
    "audit",
    Column("id", Counting, primary_key=True),
    *need(Double, "at"),
    *need(Text, "actor", "action", "subject"),
    Index("audit_by_time", "at"),
)

members = make_table(
    # The column `name` has the member's id: for most members, the name that they were made with.
    "members",
    Column("name", Text, primary_key=True, key="id"),
    *need(Text, "display_name"),
    *allow(Text, "email"),
    *need(Text, "role"),
    *need(Boolean, "active"),
    *need(Double, "created_at"),
)

identities = make_table(
    # The sign-in name of a member is `subject`: of one of config.yaml where `provider` is "config", of others where it
    # is "password".
    "identities",
    *key("provider", "subject"),
    *need(Text, "member"),
    *need(Double, "made_at"),
    Index("identities_of_member", "member"),
)

used_ids = make_table(
    # Ids of members who were removed, as digests: nobody gets one of them again.
    "used_ids",
    *key("digest"),
    *need(Double, "used_at"),
)

config_entries = make_table(
    # The members of config.yaml as it named them last, by sign-in name; `identities` has their ids. Not `present`: it
    # names them no more.
    "config_entries",
    *key("name"),
    *need(Text, "fingerprint"),
    *allow(Text, "email"),
    *need(Boolean, "present"),
    *need(Text, "display_name", "role"),
)

member_groups = make_table(
    # `folded` is the name as it is compared: no two differ by upper and lower case only.
    "member_groups",
    *key("id"),
    *need(Text, "name", "folded"),
    UniqueConstraint("folded", name="member_groups_folded"),
)

group_members = make_table(
    "group_members",
    Column("group_id", ForeignKey("member_groups.id", ondelete="CASCADE"), primary_key=True),
    *key("member"),
    Index("group_members_by_member", "member"),
)

passwords = make_table(
    # Of all members: the password of config.yaml, or one that was set in the app later.
    "passwords",
    Column("name", Text, primary_key=True, key="member"),
    *need(Text, "hash"),
    *need(Double, "changed_at"),
)

password_links = make_table(
    # One-time links that set a password: invitations and resets.
    "password_links",
    *key("id"),
    *need(Text, "hash", "kind", "member", "created_by"),
    *need(Double, "created_at", "expires_at"),
    *allow(Double, "ended_at"),
    UniqueConstraint("hash", name="password_links_hash"),
    Index("password_links_of_member", "member"),
    Index("password_links_by_expiry", "expires_at"),
)

sign_ins = make_table(
    "sign_ins",
    *key("id"),
    *allow(Text, "member"),
    *need(Double, "created_at", "expires_at"),
    *allow(Double, "revoked_at"),
    *allow(Text, "agent"),
    Index("sign_ins_of_member", "member"),
    Index("sign_ins_by_expiry", "expires_at"),
    narrow_index("revoked_at IS NOT NULL", "sign_ins_revoked", "revoked_at"),
)

tickets = make_table(
    "tickets",
    *key("hash"),
    *allow(Text, "member"),
    *need(Text, "browser"),
    *need(Double, "expires_at"),
    Index("tickets_by_expiry", "expires_at"),
)

attempts = make_table(
    # Passwords tried and not (yet) found right.
    "attempts",
    Column("id", Counting, primary_key=True),
    *need(Text, "name", "address"),
    *need(Double, "at"),
    Index("attempts_by_name", "name", "at"),
    Index("attempts_by_time", "at"),
    Index("attempts_by_address", "address", "at"),
)

known_addresses = make_table(
    # Where a member signed in from: others' attempts do not shut these out.
    "known_addresses",
    *key("name", "address"),
    *need(Double, "at"),
    Index("known_addresses_by_time", "at"),
)

tokens = make_table(
    "tokens",
    *key("id"),
    *need(Text, "name", "prefix", "hash"),
    *allow(Text, "owner", "flows"),
    *need(Double, "created_at"),
    *allow(Double, "expires_at", "revoked_at", "last_used_at"),
    *need(Integer, "uses"),
    *need(Text, "sees", "sets"),
    UniqueConstraint("hash", name="tokens_hash"),
    Index("tokens_of_owner", "owner"),
)

removals = make_table(
    # People who were removed and of whom something is still to do (`people.removals`): their owners and the words that
    # name them, as JSON, and what stands for them from now on.
    "removals",
    *key("pseudonym"),
    *need(Text, "owners", "words"),
    *need(Double, "made_at"),
)

runs = make_table(
    "runs",
    *key("id"),
    *need(Text, "flow_id", "flow_version", "owner", "session_id", "status"),
    *need(Double, "started_at", "seconds"),
    *allow(Integer, "input_tokens", "output_tokens"),
    *allow(Text, "error_code"),
    *need(Boolean, "streamed"),
    # `counted_as` (person, token or visitor) and `came_from` (a digest of a visitor's address) are filled where limits
    # count by them. `cost` is what its models cost, where prices were given. `exclusive` is what only one running run
    # may have: of a page, its conversation or visitor.
    *allow(Text, "holder", "token", "counted_as", "came_from"),
    *allow(Double, "cost"),
    *allow(Text, "exclusive"),
    Index("runs_recent", "flow_id", "started_at"),
    Index("runs_of_owner", "owner", "flow_id", "started_at"),
    narrow_index("status = 'running'", "runs_running", "holder"),
    narrow_index("exclusive IS NOT NULL AND status = 'running'", "runs_exclusive", "exclusive", unique=True),
)

counters = make_table(
    # What limits count of a subject in its present window, a minute or a day (`runs.counters`).
    "counters",
    *key("subject", "window"),
    *need(Double, "ends"),
    *need(Integer, "runs"),
    *need(BigInteger, "tokens"),
    *need(Double, "money", "reserved"),
    Index("counters_by_end", "ends"),
)

IS_RUNNING = runs.c.status == literal_column("'running'")
"""Written so that both databases recognize the index's condition: a bound value, or `… = 1`, would hide it."""

run_contents = make_table(
    # A run's request beside its message: deleted with the conversation, while the run's facts stay. Only runs with
    # such contents have a row.
    "run_contents",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    *need(Text, "request"),
    Index("run_contents_in_session", "session"),
)

run_events = make_table(
    # What a running run's journal has so far (`runs.chunks`): these rows go with its end, and with the conversation.
    "run_events",
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("first", Integer, primary_key=True, autoincrement=False),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    *need(Integer, "last", "version"),
    *need(Text, "body"),
    Index("run_events_in_session", "session"),
)

run_requests = make_table(
    # What others want of a running run (`runs.requests`); the process that runs it reads this table. `kind` is "stop",
    # "decide" (`number` is the call's, `outcome` what came of it) or "follow".
    "run_requests",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    *key("kind"),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *need(Text, "body"),
    *need(Double, "asked_at"),
    *allow(Text, "outcome"),
)

idempotency_keys = make_table(
    # Clients' keys, by which a repeated request is recognized for a day. `id` is a digest of owner, flow and key,
    # `digest` one of the request.
    "idempotency_keys",
    *key("id"),
    *need(Text, "digest", "run_id"),
    *need(Double, "made_at"),
    Index("idempotency_keys_by_time", "made_at"),
)

files = make_table(
    # `message` is what the file was sent with, and goes with; without one it waits to be sent, or is its owner's until
    # they delete it. Without `flow_id` it is for every flow.
    "files",
    *key("id"),
    *need(Text, "owner", "name", "media_type", "sha256"),
    *need(BigInteger, "size"),
    *need(Double, "created_at"),
    *allow(Text, "flow_id", "message"),
    Index("files_of_owner", "owner", "created_at"),
    Index("files_of_flow", "flow_id"),
    Index("files_of_message", "message"),
    Index("files_with_bytes", "sha256"),
    narrow_index("message IS NULL", "files_unsent", "created_at"),
)

loose_files = make_table(
    # Bytes that may have no row in `files`: from the time `look_at` on they are deleted unless a row has them.
    "loose_files",
    *key("sha256"),
    *need(Double, "look_at"),
)
