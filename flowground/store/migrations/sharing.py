"""Migrations of sharing: who may open what, and how people get in. Never changed, see `migrations`."""

from sqlalchemy import Connection

from flowground.store.database.definitions import run


def m004_audiences_groups_invitations(connection: Connection) -> None:
    run(
        connection,
        """
        ALTER TABLE publications ADD COLUMN audience TEXT NOT NULL DEFAULT 'organization';
        ALTER TABLE publications ADD COLUMN api BOOLEAN NOT NULL DEFAULT FALSE;
        ALTER TABLE publications ADD COLUMN expires_at DOUBLE PRECISION;
        CREATE TABLE audiences (
            flow_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            PRIMARY KEY (flow_id, kind, name)
        );
        CREATE INDEX audiences_by_name ON audiences (kind, name);
        CREATE TABLE member_groups (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            folded TEXT NOT NULL,
            CONSTRAINT member_groups_folded UNIQUE (folded)
        );
        CREATE TABLE group_members (
            group_id TEXT NOT NULL,
            member TEXT NOT NULL,
            PRIMARY KEY (group_id, member),
            FOREIGN KEY (group_id) REFERENCES member_groups (id) ON DELETE CASCADE
        );
        CREATE INDEX group_members_by_member ON group_members (member);
        CREATE TABLE password_links (
            id TEXT NOT NULL PRIMARY KEY,
            hash TEXT NOT NULL,
            kind TEXT NOT NULL,
            member TEXT NOT NULL,
            created_by TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL,
            ended_at DOUBLE PRECISION,
            CONSTRAINT password_links_hash UNIQUE (hash)
        );
        CREATE INDEX password_links_of_member ON password_links (member);
        CREATE TABLE access_requests (
            id TEXT NOT NULL PRIMARY KEY,
            flow_id TEXT NOT NULL,
            member TEXT NOT NULL,
            note TEXT NOT NULL,
            state TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            decided_by TEXT,
            decided_at DOUBLE PRECISION
        );
        CREATE INDEX access_requests_of_member ON access_requests (member, flow_id);
        CREATE INDEX access_requests_by_state ON access_requests (state, created_at);
        ALTER TABLE sign_ins ADD COLUMN agent TEXT
        """,
    )
