"""Connections to the PostgreSQL database with the indexes, and the lexemes by which passages are found.

A passage's words, folded as SQLite's index folds them, are lexemes of a tsvector. `7:hotel` is a word of the index 7,
so that no index finds passages of another; `7:hotel~3` says that the word counts three times or more there, so that
BM25 needs only the inverted index; `7:休+暇` are two neighbouring words that a question may ask for together.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from flowground.core.errors import RunError
from flowground.knowledge.index import SEARCH_SECONDS
from flowground.knowledge.terms import Term, fold_word, is_alone, spread

LEVELS = (2, 3, 4, 6, 10)
"""The counts of a word that are distinguished; a word in a heading counts twice."""
_ASKED_LEVELS = (2, 4)
"""The levels that a question distinguishes: each is one look-up, and the passages found are ranked by their text later
(`Ranking`)."""
_WORD = re.compile(r"[^\W_]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_MARKS = re.compile("[\u0300-\u1fff]+")
"""Characters that divide the letters of one word, such as the vowel signs of Hindi."""
_WORD_CHARS = 120
_READERS = 4
_CONNECT_SECONDS = 5
_READS = (
    f"statement_timeout={int(SEARCH_SECONDS * 1000)}",
    "default_transaction_read_only=on",
    "jit=off",
    "enable_seqscan=off",
)
"""Every question has an index; PostgreSQL would underestimate the cost of reading all texts."""
Connection = psycopg.Connection[tuple[Any, ...]]
_OPTIONS: dict[str, Any] = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class PassageWords:
    """The words of one passage: how often each counts, and how many there are."""

    def __init__(self, head: str, body: str) -> None:
        self.length = 0
        self.counts: Counter[str] = Counter()
        self._pairs: Counter[str] = Counter()
        for text, weight in ((head, 2), (body, 1)):
            words, pairs = _read(fold_word(spread(text)))
            self.length += len(words)
            for counts, found in ((self.counts, words), (self._pairs, pairs)):
                for word, number in Counter(found).items():
                    counts[word] += weight * number

    def write(self, index: int) -> str:
        """The tsvector, in PostgreSQL's syntax."""
        written = [f"'{index}:{key}'" for counts in (self.counts, self._pairs) for key in counts]
        for counts in (self.counts, self._pairs):
            for key, number in counts.items():
                if number > 1:
                    written += [f"'{index}:{key}~{level}'" for level in LEVELS if number >= level]
        return " ".join(written)


def cut_word(word: str) -> str:
    """The part of a word that is indexed."""
    return word[:_WORD_CHARS]


def write_queries(index: int, term: Term) -> Iterator[tuple[str, int, int]]:
    """Queries whose passages have the term, each with the least count of the term, and with the count of the query
    before."""
    parts = [cut_word(part) for part in term.parts]
    keys = [f"{a}+{b}" for a, b in pairwise(parts)] or parts
    yield " & ".join(f"'{index}:{key}'" for key in keys) + (":*" if term.is_open else ""), 1, 0
    for before, level in pairwise((1, *_ASKED_LEVELS)):
        yield " & ".join(f"'{index}:{key}~{level}'" for key in keys), level, before


def connect(url: str, *options: str) -> Connection:
    """A connection on which each statement is a transaction; `options` are settings of PostgreSQL, which the URL may
    override.

    Raises psycopg.Error.
    """
    parts = conninfo_to_dict(url.replace("postgresql+psycopg:", "postgresql:", 1))
    joined = " ".join(filter(None, (*(f"-c {option}" for option in options), str(parts.get("options") or ""))))
    usual = {name: value for name, value in _OPTIONS.items() if name not in parts}
    return psycopg.connect(make_conninfo(**parts | usual | {"options": joined}), autocommit=True)


class PostgresqlPool:
    """A pool of connections for searches in the database at `url`, safe for threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def ask(self, question: str, values: Sequence[Any] | Mapping[str, Any] = (), **more: Any) -> list[tuple[Any, ...]]:
        """All rows of the answer; a statement is stopped after some seconds. Raises RunError for every failure."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            try:
                db = idle or connect(self.url, *_READS)
            except psycopg.Error as error:
                raise _refuse(error) from None
            try:
                return db.execute(question, values, **more).fetchall()
            except psycopg.Error as error:
                if idle is None or not db.closed:  # an idle connection may have been closed by the server
                    raise _refuse(error) from None
            finally:
                self._release(db)

    def _release(self, db: Connection) -> None:
        with self._lock:
            if not (db.closed or self._is_closed) and len(self._idle) < _READERS:
                self._idle.append(db)
                return
        db.close()

    def close(self) -> None:
        """Closes idle connections now, and each busy one when it is returned."""
        with self._lock:
            self._is_closed = True
            while self._idle:
                self._idle.pop().close()


def explain(error: psycopg.Error) -> str:
    """The error as one line for people."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _read(text: str) -> tuple[Sequence[str], Sequence[str]]:
    """The words of a folded text, and its pairs of neighbours that a question may ask for."""
    if text.isascii():
        return [word[:_WORD_CHARS] for word in _ASCII_WORD.findall(text)], ()
    found = list(_WORD.finditer(text))
    pairs = [
        f"{cut_word(one[0])}+{cut_word(other[0])}"
        for one, other in pairwise(found)
        if (is_alone(one[0]) and is_alone(other[0])) or _MARKS.fullmatch(text, one.end(), other.start())
    ]
    return [cut_word(one[0]) for one in found], pairs


def _refuse(error: psycopg.Error) -> RunError:
    return RunError(f"The search failed: {explain(error)}.")
