"""The tables in which PostgreSQL holds indexes of knowledge, as they were made first."""

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
