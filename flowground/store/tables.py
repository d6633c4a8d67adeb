"""The tables as they are now. `migrations` makes them; a test holds the two together.

Times are seconds since 1970 (UTC) in double precision: exact to the microsecond, one type on both databases.
"""

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
    text,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData()

_Key = BigInteger().with_variant(Integer, "sqlite")
"""A key that counts up by itself: it is also the order in which rows were written."""

VISITORS = "substr(owner, 1, 8) = 'visitor:'"
"""Whose rows are visitors': `Caller.key` begins with the caller's kind."""


def _make_table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts)


sessions = _make_table(
    # The id is a digest of flow, owner and session id (`conversations.make_session_key`): one short key to find it by.
    "sessions",
    Column("id", Text, primary_key=True),
    Column("flow_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("messages", Integer, nullable=False),
    Index("sessions_recent", "owner", "flow_id", "updated_at"),
    Index(
        "sessions_of_visitors", "flow_id", "updated_at", sqlite_where=text(VISITORS), postgresql_where=text(VISITORS)
    ),
)

messages = _make_table(
    "messages",
    Column("position", _Key, primary_key=True),
    Column("id", Text, nullable=False),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("run_id", Text),
    Column("model", Text),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("seconds", Double),
    Column("trace", Text),
    Column("error", Text),
    UniqueConstraint("id", name="messages_id"),
    Index("messages_in_session", "session", "position"),
)

runs = _make_table(
    "runs",
    Column("id", Text, primary_key=True),
    Column("flow_id", Text, nullable=False),
    Column("flow_version", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("error_code", Text),
    Column("streamed", Boolean, nullable=False),
    Index("runs_recent", "flow_id", "started_at"),
)

members = _make_table(
    "members",
    Column("name", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("email", Text),
    Column("role", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

passwords = _make_table(
    # Apart from `members`: a member of config.yaml has a row here once the password was set in the app.
    "passwords",
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
)

marks = _make_table(
    # What happened once, such as the first account.
    "marks",
    Column("name", Text, primary_key=True),
    Column("made_at", Double, nullable=False),
)

sign_ins = _make_table(
    "sign_ins",
    Column("id", Text, primary_key=True),
    Column("member", Text),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("agent", Text),
    Index("sign_ins_of_member", "member"),
)

tickets = _make_table(
    "tickets",
    Column("hash", Text, primary_key=True),
    Column("member", Text),
    Column("browser", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
)

attempts = _make_table(
    # Passwords tried and not (yet) found right.
    "attempts",
    Column("id", _Key, primary_key=True),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("attempts_by_name", "name", "at"),
    Index("attempts_by_time", "at"),
    Index("attempts_by_address", "address", "at"),
)

known_addresses = _make_table(
    # Where a member signed in from: others' attempts do not shut these out.
    "known_addresses",
    Column("name", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("at", Double, nullable=False),
)

config_entries = _make_table(
    # The members of config.yaml, as it named them last. Not `present`: at the last start it named them no more.
    "config_entries",
    Column("name", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("email", Text),
    Column("present", Boolean, nullable=False),
)

tokens = _make_table(
    "tokens",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("owner", Text),
    Column("flows", Text),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
    Column("uses", Integer, nullable=False),
    UniqueConstraint("hash", name="tokens_hash"),
)

publications = _make_table(
    "publications",
    Column("flow_id", Text, primary_key=True),
    Column("shared", Boolean, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("audience", Text, nullable=False),
    Column("api", Boolean, nullable=False),
    Column("expires_at", Double),
)

audiences = _make_table(
    # Whom a flow is shared with by name: `kind` "member" (name: a member's) or "group" (name: a group's id).
    "audiences",
    Column("flow_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Index("audiences_by_name", "kind", "name"),
)

member_groups = _make_table(
    # `folded` is the name as it is compared: no two differ by upper and lower case only.
    "member_groups",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("folded", Text, nullable=False),
    UniqueConstraint("folded", name="member_groups_folded"),
)

group_members = _make_table(
    "group_members",
    Column("group_id", ForeignKey("member_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("member", Text, primary_key=True),
    Index("group_members_by_member", "member"),
)

password_links = _make_table(
    # One-time links that set a password: invitations and resets.
    "password_links",
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ended_at", Double),
    UniqueConstraint("hash", name="password_links_hash"),
    Index("password_links_of_member", "member"),
)

access_requests = _make_table(
    "access_requests",
    Column("id", Text, primary_key=True),
    Column("flow_id", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Double),
    Index("access_requests_of_member", "member", "flow_id"),
    Index("access_requests_by_state", "state", "created_at"),
)

presets = _make_table(
    "presets",
    Column("owner", Text, primary_key=True),
    Column("flow_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("overrides", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
)

turn_overrides = _make_table(
    "turn_overrides",
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("overrides", Text, nullable=False),
)

audit = _make_table(
    "audit",
    Column("id", _Key, primary_key=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Index("audit_by_time", "at"),
)
