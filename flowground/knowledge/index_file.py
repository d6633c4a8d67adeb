"""The index of a knowledge as a file of SQLite (FTS5).

An `IndexWriter` writes a file that nobody reads yet, an `IndexReader` reads one that nobody writes any more: no locks
and no journal are needed. All SQL of the index is here.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowground.core.errors import RunError
from flowground.knowledge.index import FORMAT, FoundPassage, IndexedFile, IndexedPassage
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
    f"{_FOUND} FROM (SELECT rowid AS number, bm25(words, 2.0, 1.0) AS score FROM words "  # noqa: S608 - ours
    "WHERE words MATCH :asked ORDER BY score LIMIT :most) "
    "JOIN passages ON passages.id = number JOIN files ON files.id = file_id ORDER BY score"
)
"""The search; a word in the headings counts twice."""
_IN_FILES = "rowid IN (SELECT id FROM passages WHERE file_id IN (SELECT value FROM json_each(:ids)))"
_SEARCH_FILES = _SEARCH.replace("ORDER", f"AND {_IN_FILES} ORDER", 1)
_READ = f"{_FOUND} FROM {_JOINED} WHERE passages.id IN (SELECT value FROM json_each(:ids))"  # noqa: S608 - ours
_READERS = 4
_COMMON = 500
"""A word's passages are counted up to this number: SQLite steps through each of them."""
SEARCH_SECONDS = 5.0
"""The longest time of a search: questions are limited so that they take far less."""


class IndexWriter:
    """Writes a new file, as a copy of `old` where that is given. For one thread."""

    def __init__(self, path: Path, *, about: Mapping[str, str], old: Path | None = None) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA secure_delete = ON")  # so that removed files leave no bytes behind
        self._is_less = False
        """Whether passages of `old` were removed."""
        if old is not None:
            with closing(_open(old)) as source:
                source.backup(self._database)
        else:
            self._database.executescript(_TABLES)
            self._database.executemany("INSERT INTO about VALUES (?, ?)", about.items())

    def list_files(self) -> dict[str, IndexedFile]:
        """The files by source: those of `old`, as far as nothing was put or removed yet."""
        return _list_files(self._database)

    def put_file(self, file: IndexedFile, passages: Sequence[IndexedPassage]) -> None:
        """Adds a file, in the place of what was indexed of it before."""
        self.remove(file.source)
        row = replace(file, passages=len(passages)).to_row()
        added = self._database.execute(f"INSERT INTO files ({IndexedFile.COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - ours
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
        """Stores the new signature of a file whose content is the same."""
        self._database.execute("UPDATE files SET signature = ? WHERE source = ?", (signature, source))

    def remove(self, source: str) -> None:
        """Removes a file."""
        rows = self._database.execute(
            "SELECT passages.id, trail, text FROM passages JOIN files ON files.id = file_id WHERE source = ?", (source,)
        )
        gone = [(number, spread(trail), spread(text)) for number, trail, text in rows]
        self._is_less |= bool(gone)
        self._database.executemany("INSERT INTO words (words, rowid, trail, body) VALUES ('delete', ?, ?, ?)", gone)
        self._database.executemany("DELETE FROM passages WHERE id = ?", [(row[0],) for row in gone])
        self._database.execute("DELETE FROM files WHERE source = ?", (source,))

    def finish(self) -> int:
        """Makes the file ready for readers, without any bytes of removed passages; returns the number of passages."""
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
            self._database.execute("VACUUM")  # SQLite leaves copies of rows at their former places
        (count,) = self._database.execute("SELECT count(*) FROM passages").fetchone()
        return int(count)

    def close(self) -> None:
        """Closes the file, finished or not."""
        self._database.close()


class IndexReader:
    """Reads a finished file, safe for threads; a few searches at once, each on its own connection."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a file that is no index, or of another format."""
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._common: dict[str, int] = {}
        self.is_retired = False
        """Whether another index serves: reading may fail, as the file is removed."""
        try:
            with self._acquire() as database:
                self.about: Mapping[str, str] = dict(database.execute("SELECT key, value FROM about"))
                (self.count,) = database.execute("SELECT count(*) FROM passages").fetchone()
        except RunError as error:
            raise ValueError(error.message) from None
        if self.about.get("format") != str(FORMAT):
            raise ValueError("of another format")

    def list_files(self) -> dict[str, IndexedFile]:
        """The indexed files, by source."""
        with self._acquire() as database:
            return _list_files(database)

    def count_words(self, words: Iterable[str]) -> dict[str, int]:
        """In how many passages each word occurs; words that occur nowhere are left out."""
        asked = set(words)
        known = {word: self._common[word] for word in asked if word in self._common}
        unknown = json.dumps(list(asked - known.keys()))
        counted = "SELECT term, doc FROM vocabulary WHERE term IN (SELECT value FROM json_each(?))"
        found: dict[str, int] = dict(self._select(counted, (unknown,)))
        self._common |= {word: number for word, number in found.items() if number >= _COMMON}
        return known | found

    def list_words_with(self, part: str, *, most: int) -> list[str]:
        """Words that contain another, the shortest first."""
        asked = "SELECT term FROM inside WHERE term MATCH ? ORDER BY length(term) LIMIT ?"
        return [term for (term,) in self._select(asked, (f'"{part}"', most))]

    def count_words_from(self, begin: str, *, most: int) -> dict[str, int]:
        """Words that begin like this, alphabetically, with the number of passages that each occurs in."""
        asked = "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? LIMIT ?"
        return dict(self._select(asked, (begin, f"{begin}\U0010ffff", most)))

    def search(self, terms: Sequence[Term], *, most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
        """Passages with any of the terms, the best first; only of files with these ids, unless None."""
        values = {"asked": " OR ".join(term.write() for term in terms), "most": most, "ids": json.dumps(ids)}
        return list(map(FoundPassage.from_row, self._select(_SEARCH if ids is None else _SEARCH_FILES, values)))

    def read(self, ids: Sequence[int]) -> dict[int, FoundPassage]:
        """Passages by id."""
        return {row[0]: FoundPassage.from_row(row) for row in self._select(_READ, {"ids": json.dumps(ids)})}

    def list_passage_ids(self, files: Sequence[int] | None = None) -> list[int]:
        """Ids of all passages, or of those of some files, in order."""
        asked = "SELECT id FROM passages WHERE ? IS NULL OR file_id IN (SELECT value FROM json_each(?)) ORDER BY id"
        given = None if files is None else json.dumps(files)
        return [number for (number,) in self._select(asked, (given, given))]

    def list_ids(self) -> list[tuple[str, Mapping[str, str], int]]:
        """The source, keys and id of every file."""
        rows = self._select("SELECT source, keys, id FROM files")
        return [(source, json.loads(keys), number) for source, keys, number in rows]

    def close(self) -> None:
        """Closes idle connections now, and each busy one when it is returned."""
        with self._lock:
            self.is_retired = True
            while self._idle:
                self._idle.pop().close()

    def __del__(self) -> None:
        """Closes a reader whose file turned out to be no index, or that nobody closed."""
        self.close()

    def _select(self, asked: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        with self._acquire() as database:
            return database.execute(asked, values).fetchall()

    @contextmanager
    def _acquire(self) -> Iterator[sqlite3.Connection]:
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
                self._release(database)

    def _release(self, database: sqlite3.Connection) -> None:
        with self._lock:
            if self.is_retired or len(self._idle) >= _READERS:
                database.close()
            else:
                self._idle.append(database)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _list_files(database: sqlite3.Connection) -> dict[str, IndexedFile]:
    rows = database.execute(f"SELECT {IndexedFile.COLUMNS} FROM files ORDER BY source")  # noqa: S608 - ours
    return {file.source: file for file in map(IndexedFile.from_row, rows)}
