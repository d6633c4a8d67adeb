"""Flows: with whom they are shared, who asks for them, what is kept or switched off of them; and the audit trail."""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Text,
)

from flowground.store.tables.columns import Counting, allow, make_table, narrow_index, need

_DECIDED = "decided_at IS NOT NULL"

publications = make_table(
    "publications",
    Column("flow_id", Text, primary_key=True),
    *need(Boolean, "shared"),
    *need(Text, "changed_by"),
    *need(Double, "changed_at"),
    *need(Text, "audience"),
    *need(Boolean, "api"),
    *allow(Double, "expires_at"),
)

audiences = make_table(
    # Whom a flow is shared with by name: `kind` "member" (name: a member's) or "group" (name: a group's id).
    "audiences",
    Column("flow_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Index("audiences_by_name", "kind", "name"),
)

access_requests = make_table(
    "access_requests",
    Column("id", Text, primary_key=True),
    *need(Text, "flow_id", "member", "note", "state"),
    *need(Double, "created_at"),
    *allow(Text, "decided_by"),
    *allow(Double, "decided_at"),
    Index("access_requests_of_member", "member", "flow_id"),
    Index("access_requests_by_state", "state", "created_at"),
    Index("access_requests_decided", "decided_at", **narrow_index(_DECIDED)),
)

presets = make_table(
    "presets",
    Column("owner", Text, primary_key=True),
    Column("flow_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    *need(Text, "overrides"),
    *need(Double, "changed_at"),
)

switches = make_table(
    # Flows and providers that are switched off; one that is on has no row.
    "switches",
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    *need(Text, "changed_by"),
    *need(Double, "changed_at"),
    *need(Text, "says"),
)

marks = make_table(
    # What happened once, such as the first account.
    "marks",
    Column("name", Text, primary_key=True),
    *need(Double, "made_at"),
)

audit = make_table(
    "audit",
    Column("id", Counting, primary_key=True),
    *need(Double, "at"),
    *need(Text, "actor", "action", "subject"),
    Index("audit_by_time", "at"),
)
