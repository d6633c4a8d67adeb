"""Members: who they are, how they sign in, what programs act for them, and what is left of them."""

from sqlalchemy import (
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

_REVOKED = "revoked_at IS NOT NULL"

members = make_table(
    # What stands in the column `name` is the member's id: for most of them, the name that they were made with.
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
    # is "password". A member without such a row signs in by their id.
    "identities",
    Column("provider", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    *need(Text, "member"),
    *need(Double, "made_at"),
    Index("identities_of_member", "member"),
)

used_ids = make_table(
    # Ids of members who were removed, as digests: nobody gets one of them again.
    "used_ids",
    Column("digest", Text, primary_key=True),
    *need(Double, "used_at"),
)

config_entries = make_table(
    # The members of config.yaml as it named them last, by sign-in name; `identities` has their ids. Not `present`: it
    # names them no more. `display_name` and `role` are None where the release before wrote the row.
    "config_entries",
    Column("name", Text, primary_key=True),
    *need(Text, "fingerprint"),
    *allow(Text, "email"),
    *need(Boolean, "present"),
    *allow(Text, "display_name", "role"),
)

member_groups = make_table(
    # `folded` is the name as it is compared: no two differ by upper and lower case only.
    "member_groups",
    Column("id", Text, primary_key=True),
    *need(Text, "name", "folded"),
    UniqueConstraint("folded", name="member_groups_folded"),
)

group_members = make_table(
    "group_members",
    Column("group_id", ForeignKey("member_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("member", Text, primary_key=True),
    Index("group_members_by_member", "member"),
)

passwords = make_table(
    # Of all members: what stands in config.yaml, or was set in the app after it.
    "passwords",
    Column("name", Text, primary_key=True, key="member"),
    *need(Text, "hash"),
    *need(Double, "changed_at"),
)

password_links = make_table(
    # One-time links that set a password: invitations and resets.
    "password_links",
    Column("id", Text, primary_key=True),
    *need(Text, "hash", "kind", "member", "created_by"),
    *need(Double, "created_at", "expires_at"),
    *allow(Double, "ended_at"),
    UniqueConstraint("hash", name="password_links_hash"),
    Index("password_links_of_member", "member"),
    Index("password_links_by_expiry", "expires_at"),
)

sign_ins = make_table(
    "sign_ins",
    Column("id", Text, primary_key=True),
    *allow(Text, "member"),
    *need(Double, "created_at", "expires_at"),
    *allow(Double, "revoked_at"),
    *allow(Text, "agent"),
    Index("sign_ins_of_member", "member"),
    Index("sign_ins_by_expiry", "expires_at"),
    Index("sign_ins_revoked", "revoked_at", **narrow_index(_REVOKED)),
)

tickets = make_table(
    "tickets",
    Column("hash", Text, primary_key=True),
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
    Column("name", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    *need(Double, "at"),
    Index("known_addresses_by_time", "at"),
)

tokens = make_table(
    "tokens",
    Column("id", Text, primary_key=True),
    *need(Text, "name", "prefix", "hash"),
    *allow(Text, "owner", "flows"),
    *need(Double, "created_at"),
    *allow(Double, "expires_at", "revoked_at", "last_used_at"),
    *need(Integer, "uses"),
    *allow(Text, "sees", "sets"),  # None where a release made it that knew no choice: as much as its owner may
    UniqueConstraint("hash", name="tokens_hash"),
    Index("tokens_of_owner", "owner"),
)

removals = make_table(
    # People who were removed and of whom something is still to do (`people.removals`): their owners and the words that
    # name them, as JSON, and what stands for them from now on. `looked_at` is set in rows of earlier releases only.
    "removals",
    Column("pseudonym", Text, primary_key=True),
    *need(Text, "owners", "words"),
    *need(Double, "made_at"),
    *allow(Double, "looked_at"),
)
