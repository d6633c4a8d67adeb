-- m001_conversations
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    flow_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    session_id TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    messages INTEGER NOT NULL
);
CREATE INDEX sessions_recent ON sessions (owner, flow_id, updated_at);
CREATE TABLE messages (
    position KEY_COLUMN,
    id TEXT NOT NULL,
    session TEXT NOT NULL,
    role TEXT NOT NULL,
    text TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    run_id TEXT,
    model TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    seconds DOUBLE PRECISION,
    trace TEXT,
    CONSTRAINT messages_id UNIQUE (id),
    FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX messages_in_session ON messages (session, position);
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    flow_id TEXT NOT NULL,
    flow_version TEXT NOT NULL,
    owner TEXT NOT NULL,
    session_id TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    error_code TEXT,
    streamed BOOLEAN NOT NULL
);
CREATE INDEX runs_recent ON runs (flow_id, started_at);

-- m002_members
CREATE TABLE members (
    name TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    email TEXT,
    role TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    created_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE passwords (
    name TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE marks (
    name TEXT NOT NULL PRIMARY KEY,
    made_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE sign_ins (
    id TEXT NOT NULL PRIMARY KEY,
    member TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    revoked_at DOUBLE PRECISION
);
CREATE INDEX sign_ins_of_member ON sign_ins (member);
CREATE TABLE tickets (
    hash TEXT NOT NULL PRIMARY KEY,
    member TEXT,
    browser TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE attempts (
    id KEY_COLUMN,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL
);
CREATE INDEX attempts_by_name ON attempts (name, at);
CREATE INDEX attempts_by_time ON attempts (at);
CREATE TABLE known_addresses (
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name, address)
);

-- m003_tokens_publications_audit
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    owner TEXT,
    flows TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION,
    revoked_at DOUBLE PRECISION,
    last_used_at DOUBLE PRECISION,
    uses INTEGER NOT NULL,
    CONSTRAINT tokens_hash UNIQUE (hash)
);
CREATE TABLE publications (
    flow_id TEXT NOT NULL PRIMARY KEY,
    shared BOOLEAN NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE audit (
    id KEY_COLUMN,
    at DOUBLE PRECISION NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);

-- m004_audiences_groups_invitations
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
ALTER TABLE sign_ins ADD COLUMN agent TEXT;

-- m005_presets
CREATE TABLE presets (
    owner TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    name TEXT NOT NULL,
    overrides TEXT NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (owner, flow_id, name)
);

-- m006_turn_overrides
CREATE TABLE turn_overrides (
    message_id TEXT NOT NULL PRIMARY KEY,
    overrides TEXT NOT NULL,
    FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE
);

-- m007_message_errors
ALTER TABLE messages ADD COLUMN error TEXT;

-- m008_visitors_conversations
CREATE INDEX sessions_of_visitors ON sessions (flow_id, updated_at) WHERE substr(owner, 1, 8) = 'visitor:';

-- m009_attempts_by_address
CREATE INDEX attempts_by_address ON attempts (address, at);

-- m010_config_entries
CREATE TABLE config_entries (
    name TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    email TEXT,
    present BOOLEAN NOT NULL
);

-- m011_runs_in_progress
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
CREATE INDEX run_contents_in_session ON run_contents (session);

-- m012_member_ids
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
CREATE INDEX tokens_of_owner ON tokens (owner);

-- m017_token_rights
ALTER TABLE tokens ADD COLUMN sees TEXT;
ALTER TABLE tokens ADD COLUMN sets TEXT;

-- m018_switches
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
);

-- m014_idempotency_keys
CREATE TABLE idempotency_keys (
    id TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    run_id TEXT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (made_at);
ALTER TABLE run_contents ADD COLUMN receipt TEXT;

-- m016_retention
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
);

-- m013_run_counts
ALTER TABLE runs ADD COLUMN counted_as TEXT;
ALTER TABLE runs ADD COLUMN came_from TEXT;
ALTER TABLE runs ADD COLUMN cost DOUBLE PRECISION;
CREATE INDEX runs_counted ON runs (counted_as, started_at) WHERE counted_as IS NOT NULL;
CREATE INDEX runs_from ON runs (came_from, started_at) WHERE came_from IS NOT NULL;

-- m019_removals_watched
ALTER TABLE removals ADD COLUMN looked_at DOUBLE PRECISION;

-- m020_access_requests_decided
CREATE INDEX access_requests_decided ON access_requests (decided_at) WHERE decided_at IS NOT NULL;

-- m024_session_pins
CREATE TABLE session_pins (
    session TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    pinned_at DOUBLE PRECISION NOT NULL,
    FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX session_pins_of_owner ON session_pins (owner, flow_id);

-- m028_versions
ALTER TABLE messages ADD COLUMN version_of TEXT;
ALTER TABLE messages ADD COLUMN aside TEXT;
CREATE INDEX messages_versions ON messages (version_of) WHERE version_of IS NOT NULL;
CREATE INDEX messages_aside ON messages (aside) WHERE aside IS NOT NULL;

-- m029_ratings
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
CREATE INDEX ratings_explained ON ratings (flow_id, at) WHERE explained_at IS NOT NULL;

-- m030_shared_chats
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
CREATE INDEX shared_chats_by_expiry ON shared_chats (expires_at);

-- m031_finish_reasons
ALTER TABLE messages ADD COLUMN finish_reason TEXT;

-- m032_values
ALTER TABLE messages ADD COLUMN timeline TEXT;
ALTER TABLE messages ADD COLUMN value TEXT;

-- m033_shared_ends
ALTER TABLE shared_chats ADD COLUMN ends TEXT;

-- m034_files
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
);

-- m035_citations
ALTER TABLE messages ADD COLUMN citations TEXT;
ALTER TABLE shared_chats ADD COLUMN citations TEXT;

-- m037_actions
ALTER TABLE messages ADD COLUMN actions TEXT;

-- m038_senders
ALTER TABLE messages ADD COLUMN sender TEXT;
ALTER TABLE messages ADD COLUMN sender_name TEXT;

-- m039_knowledge postgresql
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
);

-- m040_passed_decisions
CREATE TABLE passed_decisions (
    run_id TEXT NOT NULL,
    call INTEGER NOT NULL,
    digest TEXT NOT NULL,
    decision TEXT NOT NULL,
    asked_at DOUBLE PRECISION NOT NULL,
    outcome TEXT,
    PRIMARY KEY (run_id, call),
    FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
);

-- m041_waiting_calls
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
);

-- m042_knowledge_pages postgresql
ALTER TABLE knowledge_indexes ADD COLUMN pages TEXT NOT NULL DEFAULT '{}';

-- m043_lists_of_owners
CREATE INDEX runs_of_owner ON runs (owner, flow_id, started_at);
CREATE INDEX sessions_begun ON sessions (owner, flow_id, created_at);
CREATE INDEX sessions_lasting ON sessions (owner, flow_id, created_at) WHERE updated_at - created_at > 3600;

-- m044_config_members
ALTER TABLE config_entries ADD COLUMN display_name TEXT;
ALTER TABLE config_entries ADD COLUMN role TEXT;

-- m045_journals
CREATE TABLE journals (
    message MESSAGE_KEY NOT NULL PRIMARY KEY,
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
CREATE INDEX run_events_in_session ON run_events (session);

-- m046_run_requests
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
DROP TABLE waiting_calls;

-- m047_knowledge_in_files postgresql
DROP TABLE knowledge_words, knowledge_vectors, knowledge_passages, knowledge_files, knowledge_indexes;

-- m048_counters
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
DROP INDEX runs_from;
