"""The file in which knowledge is indexed: all SQL of it. SQLite, with its full-text search (FTS5).

A `FileIndexWriter` makes a file that nobody reads yet, a `FileIndexReader` reads one that nobody writes any more: there
are no locks, and no log beside it.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flowground.errors import RunError
from flowground.knowledge.index import FORMAT, SEARCH_SECONDS, FoundPassage, IndexedFile, IndexedPassage
from flowground.knowledge.terms import Term, spread

_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, signature TEXT NOT NULL, digest TEXT NOT NULL,
    kind TEXT NOT NULL, keys TEXT NOT NULL, note TEXT NOT NULL, passages INTEGER NOT NULL
);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file_id INTEGER NOT NULL, page INTEGER, first INTEGER NOT NULL,
    last INTEGER NOT NULL, trail TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX passages_of_files ON passages (file_id);
CREATE VIRTUAL TABLE words USING fts5(trail, body, content='', tokenize='unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row);
CREATE VIRTUAL TABLE inside USING fts5(term, tokenize='trigram');
"""
_FOUND = "SELECT passages.id, source, text, first, last, page, passages.trail, keys"
_JOINED = "passages JOIN files ON files.id = file_id"
_SEARCH = (
    f"{_FOUND}, -score FROM (SELECT rowid AS number, bm25(words, 2.0, 1.0) AS score FROM words "  # noqa: S608 - ours
    "WHERE words MATCH :asked ORDER BY score LIMIT :most) "
    "JOIN passages ON passages.id = number JOIN files ON files.id = file_id ORDER BY score"
)
"""A word in the headings counts twice."""
_IN_FILES = "rowid IN (SELECT id FROM passages WHERE file_id IN (SELECT value FROM json_each(:ids)))"
_SEARCH_FILES = _SEARCH.replace("ORDER", f"AND {_IN_FILES} ORDER", 1)
_READ = f"{_FOUND}, 0.0 FROM {_JOINED} WHERE passages.id IN (SELECT value FROM json_each(:ids))"  # noqa: S608 - ours
_READERS = 4
_COMMON = 500
"""Passages of a word that is counted once: SQLite walks through all of them."""


class FileIndexWriter:
    """A file that is being made, as a copy of `old` where there is one. It belongs to one thread."""

    def __init__(self, path: Path, *, about: Mapping[str, str], old: Path | None = None) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA secure_delete = ON")  # of a file that went nothing is left
        self._is_less = False
        """Whether passages of `old` were removed."""
        if old is not None:
            with closing(_open(old)) as source:
                source.backup(self._database)
        else:
            self._database.executescript(_TABLES)
            self._database.executemany("INSERT INTO about VALUES (?, ?)", about.items())

    def list_files(self) -> dict[str, IndexedFile]:
        """By source; those of `old`, as far as nothing was put or removed yet."""
        return _list_files(self._database)

    def put_file(self, file: IndexedFile, passages: Sequence[IndexedPassage]) -> None:
        """Instead of what was indexed of it before."""
        self.remove(file.source)
        row = (
            file.source,
            file.signature,
            file.digest,
            file.kind,
            json.dumps(dict(file.keys)),
            file.note,
            len(passages),
        )
        added = self._database.execute(
            "INSERT INTO files (source, signature, digest, kind, keys, note, passages) VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        for one in passages:
            values = (added.lastrowid, one.page, one.first, one.last, one.trail, one.text)
            made = self._database.execute(
                "INSERT INTO passages (file_id, page, first, last, trail, text) VALUES (?, ?, ?, ?, ?, ?)", values
            )
            self._database.execute(
                "INSERT INTO words (rowid, trail, body) VALUES (?, ?, ?)",
                (made.lastrowid, spread(one.trail), spread(one.text)),
            )

    def sign(self, source: str, signature: str) -> None:
        """The file was written again, and says the same."""
        self._database.execute("UPDATE files SET signature = ? WHERE source = ?", (signature, source))

    def remove(self, source: str) -> None:
        """Forgets a file."""
        rows = self._database.execute(
            "SELECT passages.id, trail, text FROM passages JOIN files ON files.id = file_id WHERE source = ?", (source,)
        )
        gone = [(number, spread(trail), spread(text)) for number, trail, text in rows]
        self._is_less |= bool(gone)
        self._database.executemany("INSERT INTO words (words, rowid, trail, body) VALUES ('delete', ?, ?, ?)", gone)
        self._database.executemany("DELETE FROM passages WHERE id = ?", [(row[0],) for row in gone])
        self._database.execute("DELETE FROM files WHERE source = ?", (source,))

    def finish(self) -> int:
        """Makes the file ready for readers, with nothing of what was removed; how many passages it holds."""
        self._database.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._database.execute("DELETE FROM inside")
        self._database.execute(
            "INSERT INTO inside (term) SELECT term FROM vocabulary WHERE length(term) BETWEEN 4 AND 60"
        )
        self._database.execute("INSERT INTO inside (inside) VALUES ('optimize')")
        self._database.commit()
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("ANALYZE")
        self._database.commit()
        if self._is_less:
            self._database.execute("VACUUM")  # SQLite leaves copies of rows where it moved them from
        (count,) = self._database.execute("SELECT count(*) FROM passages").fetchone()
        return int(count)

    def close(self) -> None:
        """Closes the file, finished or not."""
        self._database.close()


class FileIndexReader:
    """A finished file, for any thread; a few searches at once, each on a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a file that is none, or of another format."""
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._common: dict[str, int] = {}
        self.is_retired = False
        """Whether another one serves: what is read now may fail, since the file is removed."""
        try:
            with self._lend() as database:
                self.about: Mapping[str, str] = dict(database.execute("SELECT key, value FROM about"))
                (self.count,) = database.execute("SELECT count(*) FROM passages").fetchone()
        except RunError as error:
            raise ValueError(error.message) from None
        if self.about.get("format") != str(FORMAT):
            raise ValueError("of another format")

    def list_files(self) -> dict[str, IndexedFile]:
        """By source."""
        with self._lend() as database:
            return _list_files(database)

    def count_words(self, words: Iterable[str]) -> dict[str, int]:
        """In how many passages each word stands, of those that stand in any."""
        asked = set(words)
        known = {word: self._common[word] for word in asked if word in self._common}
        with self._lend() as database:
            found: dict[str, int] = dict(
                database.execute(
                    "SELECT term, doc FROM vocabulary WHERE term IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(asked - known.keys())),),
                )
            )
        self._common |= {word: number for word, number in found.items() if number >= _COMMON}
        return known | found

    def list_words_with(self, part: str, *, most: int) -> list[str]:
        """Words in which another stands, the shortest first."""
        with self._lend() as database:
            rows = database.execute(
                "SELECT term FROM inside WHERE term MATCH ? ORDER BY length(term) LIMIT ?", (f'"{part}"', most)
            )
            return [term for (term,) in rows]

    def count_words_from(self, begin: str, *, most: int) -> dict[str, int]:
        """Words that begin so, in the order of the alphabet, and in how many passages each stands."""
        asked = "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? LIMIT ?"
        with self._lend() as database:
            return dict(database.execute(asked, (begin, f"{begin}\U0010ffff", most)))

    def search(self, terms: Sequence[Term], *, most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
        """Passages with any of the terms, the best first; of files with these ids only, where they are given."""
        values = {"asked": " OR ".join(term.write() for term in terms), "most": most, "ids": json.dumps(ids)}
        with self._lend() as database:
            return _read_found(database, _SEARCH if ids is None else _SEARCH_FILES, values)

    def read(self, ids: Sequence[int]) -> dict[int, FoundPassage]:
        """Passages by their ids."""
        with self._lend() as database:
            found = _read_found(database, _READ, {"ids": json.dumps(ids)})
        return {passage.id: passage for passage in found}

    def list_passage_ids(self, files: Sequence[int] | None = None) -> list[int]:
        """Of all passages, or of those of some files, in order."""
        asked = "SELECT id FROM passages WHERE ? IS NULL OR file_id IN (SELECT value FROM json_each(?)) ORDER BY id"
        given = None if files is None else json.dumps(files)
        with self._lend() as database:
            return [number for (number,) in database.execute(asked, (given, given))]

    def list_ids(self) -> list[tuple[str, Mapping[str, str], int]]:
        """Source, keys and id of every file."""
        with self._lend() as database:
            return [
                (source, json.loads(keys), number)
                for source, keys, number in database.execute("SELECT source, keys, id FROM files")
            ]

    def close(self) -> None:
        """Closes what is idle now, and the rest when it is given back."""
        with self._lock:
            self.is_retired = True
            while self._idle:
                self._idle.pop().close()

    def __del__(self) -> None:
        """A file that turned out to be none, or that nobody closed, is let go as well."""
        self.close()

    @contextmanager
    def _lend(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            database = self._idle.pop() if self._idle else None
        try:
            database = database or _open(self._path)
            end = time.monotonic() + SEARCH_SECONDS
            database.set_progress_handler(lambda: time.monotonic() > end, 100_000)
            yield database
        except sqlite3.Error as error:
            raise RunError(f"The search failed: {error}.") from None
        finally:
            if database is not None:
                self._take_back(database)

    def _take_back(self, database: sqlite3.Connection) -> None:
        with self._lock:
            if self.is_retired or len(self._idle) >= _READERS:
                database.close()
            else:
                self._idle.append(database)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _list_files(database: sqlite3.Connection) -> dict[str, IndexedFile]:
    rows = database.execute("SELECT source, signature, digest, kind, keys, note, passages FROM files ORDER BY source")
    return {
        source: IndexedFile(source, signature, digest, kind, json.loads(keys), note, count)
        for source, signature, digest, kind, keys, note, count in rows
    }


def _read_found(database: sqlite3.Connection, asked: str, values: Mapping[str, Any]) -> list[FoundPassage]:
    return [
        FoundPassage(number, source, IndexedPassage(text, first, last, page, trail), json.loads(keys), rank)
        for number, source, text, first, last, page, trail, keys, rank in database.execute(asked, values)
    ]
