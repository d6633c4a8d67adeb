"""The migrations m011 to m047, which lead to what `conversion` converts: never changed."""

import hashlib
import time

from sqlalchemy import Connection, text

from flowground.store.migration_steps import Migration, run_statements

KNOWLEDGE_TABLES = """
CREATE TABLE knowledge_indexes (
    id KEY_COLUMN,
    name TEXT NOT NULL UNIQUE,
    version BIGINT NOT NULL DEFAULT 0,
    about TEXT NOT NULL DEFAULT '{}',
    passages INTEGER NOT NULL DEFAULT 0,
    words BIGINT NOT NULL DEFAULT 0,
    model TEXT NOT NULL DEFAULT '',
    vectors TEXT NOT NULL DEFAULT '',
    changes TEXT NOT NULL DEFAULT '{}',
    wanted_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE knowledge_files (
    id KEY_COLUMN,
    index_id BIGINT NOT NULL REFERENCES knowledge_indexes (id) ON DELETE CASCADE,
    build TEXT NOT NULL,
    source TEXT NOT NULL,
    signature TEXT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    keys TEXT NOT NULL,
    note TEXT NOT NULL,
    passages INTEGER NOT NULL
);
CREATE INDEX knowledge_files_of_index ON knowledge_files (index_id, build);
CREATE TABLE knowledge_passages (
    id KEY_COLUMN,
    file_id BIGINT NOT NULL REFERENCES knowledge_files (id) ON DELETE CASCADE,
    page INTEGER,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    length INTEGER NOT NULL,
    trail TEXT NOT NULL,
    text TEXT NOT NULL,
    words TSVECTOR NOT NULL
) WITH (toast_tuple_target = 128);
CREATE INDEX knowledge_passages_of_file ON knowledge_passages (file_id);
CREATE INDEX knowledge_passages_by_words ON knowledge_passages USING gin (words);
CREATE TABLE knowledge_words (
    index_id BIGINT NOT NULL REFERENCES knowledge_indexes (id) ON DELETE CASCADE,
    build TEXT NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    passages INTEGER NOT NULL,
    PRIMARY KEY (index_id, build, word)
);
CREATE TABLE knowledge_vectors (
    passage_id BIGINT NOT NULL REFERENCES knowledge_passages (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BYTEA NOT NULL,
    PRIMARY KEY (passage_id, model)
)
"""
"""The tables of PostgreSQL for indexes of knowledge, in their first form."""


def m011_runs_in_progress(connection: Connection) -> None:
    run_statements(
        connection,
        """
        ALTER TABLE runs ADD COLUMN holder TEXT;
        CREATE INDEX runs_running ON runs (holder) WHERE status = 'running';
        ALTER TABLE messages ADD COLUMN steps TEXT;
        CREATE TABLE run_contents (
            run_id TEXT NOT NULL PRIMARY KEY,
            session TEXT NOT NULL,
            request TEXT,
            answers TEXT,
            FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE,
            FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
        );
        CREATE INDEX run_contents_in_session ON run_contents (session)
        """,
    )


def m012_member_ids(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE identities (
            provider TEXT NOT NULL,
            subject TEXT NOT NULL,
            member TEXT NOT NULL,
            made_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (provider, subject)
        );
        CREATE INDEX identities_of_member ON identities (member);
        CREATE TABLE used_ids (
            digest TEXT NOT NULL PRIMARY KEY,
            used_at DOUBLE PRECISION NOT NULL
        );
        CREATE INDEX tokens_of_owner ON tokens (owner)
        """,
    )
    removed = connection.exec_driver_sql("SELECT DISTINCT subject FROM audit WHERE action = 'member.removed'")
    insert = text("INSERT INTO used_ids VALUES (:digest, :at)")
    for (name,) in removed.all():
        digest = hashlib.sha256(name.encode()).hexdigest()
        connection.execute(insert, {"digest": digest, "at": time.time()})


def m017_token_rights(connection: Connection) -> None:
    run_statements(
        connection,
        """
        ALTER TABLE tokens ADD COLUMN sees TEXT;
        ALTER TABLE tokens ADD COLUMN sets TEXT
        """,
    )


def m018_switches(connection: Connection) -> None:
    run_statements(
        connection,
        """
        ALTER TABLE runs ADD COLUMN token TEXT;
        CREATE TABLE switches (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            changed_by TEXT NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL,
            says TEXT NOT NULL,
            PRIMARY KEY (kind, name)
        );
        CREATE TABLE stop_requests (
            run_id TEXT NOT NULL PRIMARY KEY,
            kind TEXT NOT NULL,
            asked_at DOUBLE PRECISION NOT NULL,
            FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
        )
        """,
    )


def m014_idempotency_keys(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE idempotency_keys (
            id TEXT NOT NULL PRIMARY KEY,
            digest TEXT NOT NULL,
            run_id TEXT NOT NULL,
            made_at DOUBLE PRECISION NOT NULL
        );
        CREATE INDEX idempotency_keys_by_time ON idempotency_keys (made_at);
        ALTER TABLE run_contents ADD COLUMN receipt TEXT
        """,
    )


def m016_retention(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE INDEX sign_ins_by_expiry ON sign_ins (expires_at);
        CREATE INDEX sign_ins_revoked ON sign_ins (revoked_at) WHERE revoked_at IS NOT NULL;
        CREATE INDEX tickets_by_expiry ON tickets (expires_at);
        CREATE INDEX known_addresses_by_time ON known_addresses (at);
        CREATE INDEX password_links_by_expiry ON password_links (expires_at);
        CREATE TABLE forgotten_to (
            what TEXT NOT NULL PRIMARY KEY,
            position BIGINT NOT NULL
        );
        CREATE TABLE removals (
            pseudonym TEXT NOT NULL PRIMARY KEY,
            owners TEXT NOT NULL,
            words TEXT NOT NULL,
            made_at DOUBLE PRECISION NOT NULL
        )
        """,
    )


def m013_run_counts(connection: Connection) -> None:
    run_statements(
        connection,
        """
        ALTER TABLE runs ADD COLUMN counted_as TEXT;
        ALTER TABLE runs ADD COLUMN came_from TEXT;
        ALTER TABLE runs ADD COLUMN cost DOUBLE PRECISION;
        CREATE INDEX runs_counted ON runs (counted_as, started_at) WHERE counted_as IS NOT NULL;
        CREATE INDEX runs_from ON runs (came_from, started_at) WHERE came_from IS NOT NULL
        """,
    )


def m019_removals_watched(connection: Connection) -> None:
    run_statements(connection, "ALTER TABLE removals ADD COLUMN looked_at DOUBLE PRECISION")


def m020_access_requests_decided(connection: Connection) -> None:
    run_statements(
        connection,
        "CREATE INDEX access_requests_decided ON access_requests (decided_at) WHERE decided_at IS NOT NULL",
    )


def m024_session_pins(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE session_pins (
            session TEXT NOT NULL PRIMARY KEY,
            owner TEXT NOT NULL,
            flow_id TEXT NOT NULL,
            pinned_at DOUBLE PRECISION NOT NULL,
            FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
        );
        CREATE INDEX session_pins_of_owner ON session_pins (owner, flow_id)
        """,
    )


def m028_versions(connection: Connection) -> None:
    run_statements(
        connection,
        """
        ALTER TABLE messages ADD COLUMN version_of TEXT;
        ALTER TABLE messages ADD COLUMN aside TEXT;
        CREATE INDEX messages_versions ON messages (version_of) WHERE version_of IS NOT NULL;
        CREATE INDEX messages_aside ON messages (aside) WHERE aside IS NOT NULL
        """,
    )


def m029_ratings(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE ratings (
            message TEXT NOT NULL PRIMARY KEY,
            flow_id TEXT NOT NULL,
            value TEXT NOT NULL,
            labels TEXT NOT NULL,
            reason TEXT NOT NULL,
            shares_conversation BOOLEAN NOT NULL,
            at DOUBLE PRECISION NOT NULL,
            explained_at DOUBLE PRECISION,
            FOREIGN KEY (message) REFERENCES messages (id) ON DELETE CASCADE
        );
        CREATE INDEX ratings_of_flow ON ratings (flow_id, at);
        CREATE INDEX ratings_by_value ON ratings (flow_id, value, at);
        CREATE INDEX ratings_explained ON ratings (flow_id, at) WHERE explained_at IS NOT NULL
        """,
    )


def m030_shared_chats(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE shared_chats (
            id TEXT NOT NULL PRIMARY KEY,
            session TEXT NOT NULL,
            owner TEXT NOT NULL,
            flow_id TEXT NOT NULL,
            title TEXT NOT NULL,
            contents TEXT NOT NULL,
            messages INTEGER NOT NULL,
            is_cut BOOLEAN NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            expires_at DOUBLE PRECISION,
            FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
        );
        CREATE INDEX shared_chats_in_session ON shared_chats (session);
        CREATE INDEX shared_chats_of_owner ON shared_chats (owner, created_at);
        CREATE INDEX shared_chats_by_expiry ON shared_chats (expires_at)
        """,
    )


def m031_finish_reasons(connection: Connection) -> None:
    run_statements(connection, "ALTER TABLE messages ADD COLUMN finish_reason TEXT")


def m032_values(connection: Connection) -> None:
    run_statements(
        connection, "ALTER TABLE messages ADD COLUMN timeline TEXT; ALTER TABLE messages ADD COLUMN value TEXT"
    )


def m033_shared_ends(connection: Connection) -> None:
    run_statements(connection, "ALTER TABLE shared_chats ADD COLUMN ends TEXT")


def m034_files(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE files (
            id TEXT NOT NULL PRIMARY KEY,
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            media_type TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            size BIGINT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            flow_id TEXT,
            message TEXT
        );
        CREATE INDEX files_of_owner ON files (owner, created_at);
        CREATE INDEX files_of_flow ON files (flow_id);
        CREATE INDEX files_of_message ON files (message);
        CREATE INDEX files_with_bytes ON files (sha256);
        CREATE INDEX files_unsent ON files (created_at) WHERE message IS NULL;
        CREATE TABLE loose_files (
            sha256 TEXT NOT NULL PRIMARY KEY,
            look_at DOUBLE PRECISION NOT NULL
        )
        """,
    )


def m035_citations(connection: Connection) -> None:
    run_statements(
        connection,
        "ALTER TABLE messages ADD COLUMN citations TEXT; ALTER TABLE shared_chats ADD COLUMN citations TEXT",
    )


def m037_actions(connection: Connection) -> None:
    run_statements(connection, "ALTER TABLE messages ADD COLUMN actions TEXT")


def m038_senders(connection: Connection) -> None:
    run_statements(
        connection,
        "ALTER TABLE messages ADD COLUMN sender TEXT; ALTER TABLE messages ADD COLUMN sender_name TEXT",
    )


def m039_knowledge(connection: Connection) -> None:
    """Indexes of knowledge. Beside SQLite each is a file of its own; all else that knows these is in `knowledge`."""
    if connection.dialect.name == "postgresql":
        run_statements(connection, KNOWLEDGE_TABLES)


def m040_passed_decisions(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE passed_decisions (
            run_id TEXT NOT NULL,
            call INTEGER NOT NULL,
            digest TEXT NOT NULL,
            decision TEXT NOT NULL,
            asked_at DOUBLE PRECISION NOT NULL,
            outcome TEXT,
            PRIMARY KEY (run_id, call),
            FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
        )
        """,
    )


def m041_waiting_calls(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE waiting_calls (
            run_id TEXT NOT NULL,
            call INTEGER NOT NULL,
            name TEXT NOT NULL,
            takes TEXT NOT NULL,
            digest TEXT NOT NULL,
            until DOUBLE PRECISION NOT NULL,
            sends TEXT,
            PRIMARY KEY (run_id, call),
            FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
        )
        """,
    )


def m042_knowledge_pages(connection: Connection) -> None:
    """How the pages of the web answered that a knowledge names; beside SQLite a file of its index says it."""
    if connection.dialect.name == "postgresql":
        run_statements(connection, "ALTER TABLE knowledge_indexes ADD COLUMN pages TEXT NOT NULL DEFAULT '{}'")


def m043_lists_of_owners(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE INDEX runs_of_owner ON runs (owner, flow_id, started_at);
        CREATE INDEX sessions_begun ON sessions (owner, flow_id, created_at);
        CREATE INDEX sessions_lasting ON sessions (owner, flow_id, created_at) WHERE updated_at - created_at > 3600
        """,
    )


def m044_config_members(connection: Connection) -> None:
    run_statements(
        connection,
        "ALTER TABLE config_entries ADD COLUMN display_name TEXT; ALTER TABLE config_entries ADD COLUMN role TEXT",
    )


def m045_journals(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE journals (
            message BIGINT NOT NULL PRIMARY KEY,
            version INTEGER NOT NULL,
            body TEXT NOT NULL,
            FOREIGN KEY (message) REFERENCES messages (position) ON DELETE CASCADE
        );
        CREATE TABLE run_events (
            run TEXT NOT NULL,
            session TEXT NOT NULL,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            version INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (run, first),
            FOREIGN KEY (run) REFERENCES runs (id) ON DELETE CASCADE,
            FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
        );
        CREATE INDEX run_events_in_session ON run_events (session)
        """.replace("BIGINT", "INTEGER" if connection.dialect.name == "sqlite" else "BIGINT"),
    )


def m046_run_requests(connection: Connection) -> None:
    run_statements(
        connection,
        """
        CREATE TABLE run_requests (
            run_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            number INTEGER NOT NULL,
            body TEXT NOT NULL,
            asked_at DOUBLE PRECISION NOT NULL,
            outcome TEXT,
            PRIMARY KEY (run_id, kind, number),
            FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
        );
        DROP TABLE stop_requests;
        DROP TABLE passed_decisions;
        DROP TABLE waiting_calls
        """,
    )


def m047_knowledge_in_files(connection: Connection) -> None:
    """Indexes are files again; their tables held texts of documents."""
    if connection.dialect.name == "postgresql":
        names = (f"knowledge_{name}" for name in ("words", "vectors", "passages", "files", "indexes"))
        run_statements(connection, f"DROP TABLE {', '.join(names)}")


def m048_counters(connection: Connection) -> None:
    """Begins with what was used of the present day."""
    run_statements(
        connection,
        """
        CREATE TABLE counters (
            subject TEXT NOT NULL,
            "window" TEXT NOT NULL,
            ends DOUBLE PRECISION NOT NULL,
            runs INTEGER NOT NULL,
            tokens BIGINT NOT NULL,
            money DOUBLE PRECISION NOT NULL,
            reserved DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (subject, "window")
        );
        CREATE INDEX counters_by_end ON counters (ends);
        DROP INDEX runs_counted;
        DROP INDEX runs_from
        """,
    )
    midnight = time.time() // 86_400 * 86_400
    is_visitor = "substr(owner, 1, 8) = 'visitor:'"
    for by, key, of in (
        ("person ", "counted_as", f"counted_as IS NOT NULL AND NOT {is_visitor}"),
        ("flow ", "flow_id", "1 = 1"),
        ("flow_visitors ", "flow_id", is_visitor),
    ):
        connection.execute(
            text(
                f"INSERT INTO counters SELECT '{by}' || {key}, 'day', CAST(:ends AS DOUBLE PRECISION), count(*),"  # noqa: S608 - names of ours
                " sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), sum(coalesce(cost, 0.0)), 0"
                f" FROM runs WHERE started_at >= :midnight AND {of} GROUP BY {key}"
            ),
            {"midnight": midnight, "ends": midnight + 86_400},
        )


ADDITIONS: tuple[Migration, ...] = (
    m011_runs_in_progress,
    m012_member_ids,
    m017_token_rights,
    m018_switches,
    m014_idempotency_keys,
    m016_retention,
    m013_run_counts,
    m019_removals_watched,
    m020_access_requests_decided,
    m024_session_pins,
    m028_versions,
    m029_ratings,
    m030_shared_chats,
    m031_finish_reasons,
    m032_values,
    m033_shared_ends,
    m034_files,
    m035_citations,
    m037_actions,
    m038_senders,
    m039_knowledge,
    m040_passed_decisions,
    m041_waiting_calls,
    m042_knowledge_pages,
    m043_lists_of_owners,
    m044_config_members,
    m045_journals,
    m046_run_requests,
    m047_knowledge_in_files,
    m048_counters,
)
