"""The tables as they are now. `migrations` makes them; a test holds the two together.

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
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

metadata = MetaData()

_Key = BigInteger().with_variant(Integer, "sqlite")
"""A key that counts up by itself: it is also the order in which rows were written."""

VISITORS = "substr(owner, 1, 8) = 'visitor:'"
"""Whose rows are visitors': `Caller.key` begins with the caller's kind."""
RUNNING = "status = 'running'"
"""Spelt the same in queries, so that they use the index."""


def _make_table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts)


def _need(kind: type[TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    """Columns that every row fills."""
    return [Column(name, kind, nullable=False) for name in names]


def _allow(kind: type[TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    """Columns that a row may leave empty."""
    return [Column(name, kind) for name in names]


sessions = _make_table(
    # The id is a digest of flow, owner and session id (`conversations.make_session_key`): one short key to find it by.
    "sessions",
    Column("id", Text, primary_key=True),
    *_need(Text, "flow_id", "owner", "session_id", "title"),
    *_need(Double, "created_at", "updated_at"),
    *_need(Integer, "messages"),
    Index("sessions_recent", "owner", "flow_id", "updated_at"),
    Index(
        "sessions_of_visitors", "flow_id", "updated_at", sqlite_where=text(VISITORS), postgresql_where=text(VISITORS)
    ),
)

messages = _make_table(
    "messages",
    Column("position", _Key, primary_key=True),
    *_need(Text, "id"),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    *_need(Text, "role", "text", "state"),
    *_need(Double, "created_at"),
    *_allow(Text, "run_id", "model"),
    *_allow(Integer, "input_tokens", "output_tokens"),
    *_allow(Double, "seconds"),
    *_allow(Text, "trace", "error", "steps"),  # `trace` is of releases that did not know `steps`
    UniqueConstraint("id", name="messages_id"),
    Index("messages_in_session", "session", "position"),
)

runs = _make_table(
    "runs",
    Column("id", Text, primary_key=True),
    *_need(Text, "flow_id", "flow_version", "owner", "session_id", "status"),
    *_need(Double, "started_at", "seconds"),
    *_allow(Integer, "input_tokens", "output_tokens"),
    *_allow(Text, "error_code"),
    *_need(Boolean, "streamed"),
    *_allow(Text, "holder"),
    Index("runs_recent", "flow_id", "started_at"),
    Index("runs_running", "holder", sqlite_where=text(RUNNING), postgresql_where=text(RUNNING)),
)

run_contents = _make_table(
    # What a run was asked beside its message, and what it has said so far: it goes with its conversation, while the
    # run's facts stay. Only runs that have such have a row. `answers` maps ids of messages to their text so far.
    "run_contents",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    *_allow(Text, "request", "answers"),
    Index("run_contents_in_session", "session"),
)

members = _make_table(
    "members",
    Column("name", Text, primary_key=True),
    *_need(Text, "display_name"),
    *_allow(Text, "email"),
    *_need(Text, "role"),
    *_need(Boolean, "active"),
    *_need(Double, "created_at"),
)

passwords = _make_table(
    # Apart from `members`: a member of config.yaml has a row here once the password was set in the app.
    "passwords",
    Column("name", Text, primary_key=True),
    *_need(Text, "hash"),
    *_need(Double, "changed_at"),
)

marks = _make_table(
    # What happened once, such as the first account.
    "marks",
    Column("name", Text, primary_key=True),
    *_need(Double, "made_at"),
)

sign_ins = _make_table(
    "sign_ins",
    Column("id", Text, primary_key=True),
    *_allow(Text, "member"),
    *_need(Double, "created_at", "expires_at"),
    *_allow(Double, "revoked_at"),
    *_allow(Text, "agent"),
    Index("sign_ins_of_member", "member"),
)

tickets = _make_table(
    "tickets",
    Column("hash", Text, primary_key=True),
    *_allow(Text, "member"),
    *_need(Text, "browser"),
    *_need(Double, "expires_at"),
)

attempts = _make_table(
    # Passwords tried and not (yet) found right.
    "attempts",
    Column("id", _Key, primary_key=True),
    *_need(Text, "name", "address"),
    *_need(Double, "at"),
    Index("attempts_by_name", "name", "at"),
    Index("attempts_by_time", "at"),
    Index("attempts_by_address", "address", "at"),
)

known_addresses = _make_table(
    # Where a member signed in from: others' attempts do not shut these out.
    "known_addresses",
    Column("name", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    *_need(Double, "at"),
)

config_entries = _make_table(
    # The members of config.yaml, as it named them last. Not `present`: at the last start it named them no more.
    "config_entries",
    Column("name", Text, primary_key=True),
    *_need(Text, "fingerprint"),
    *_allow(Text, "email"),
    *_need(Boolean, "present"),
)

tokens = _make_table(
    "tokens",
    Column("id", Text, primary_key=True),
    *_need(Text, "name", "prefix", "hash"),
    *_allow(Text, "owner", "flows"),
    *_need(Double, "created_at"),
    *_allow(Double, "expires_at", "revoked_at", "last_used_at"),
    *_need(Integer, "uses"),
    UniqueConstraint("hash", name="tokens_hash"),
)

publications = _make_table(
    "publications",
    Column("flow_id", Text, primary_key=True),
    *_need(Boolean, "shared"),
    *_need(Text, "changed_by"),
    *_need(Double, "changed_at"),
    *_need(Text, "audience"),
    *_need(Boolean, "api"),
    *_allow(Double, "expires_at"),
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
    *_need(Text, "name", "folded"),
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
    *_need(Text, "hash", "kind", "member", "created_by"),
    *_need(Double, "created_at", "expires_at"),
    *_allow(Double, "ended_at"),
    UniqueConstraint("hash", name="password_links_hash"),
    Index("password_links_of_member", "member"),
)

access_requests = _make_table(
    "access_requests",
    Column("id", Text, primary_key=True),
    *_need(Text, "flow_id", "member", "note", "state"),
    *_need(Double, "created_at"),
    *_allow(Text, "decided_by"),
    *_allow(Double, "decided_at"),
    Index("access_requests_of_member", "member", "flow_id"),
    Index("access_requests_by_state", "state", "created_at"),
)

presets = _make_table(
    "presets",
    Column("owner", Text, primary_key=True),
    Column("flow_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    *_need(Text, "overrides"),
    *_need(Double, "changed_at"),
)

turn_overrides = _make_table(
    "turn_overrides",
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    *_need(Text, "overrides"),
)

audit = _make_table(
    "audit",
    Column("id", _Key, primary_key=True),
    *_need(Double, "at"),
    *_need(Text, "actor", "action", "subject"),
    Index("audit_by_time", "at"),
)
