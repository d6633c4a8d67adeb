"""Lines to the PostgreSQL database in which indexes lie, lent in turn, and the lexemes that passages are found by.

A passage's words, folded as SQLite's index folds them, are lexemes of a tsvector: `7:hotel` is a word of the index 7,
so that no index reads another's; `7:hotel~3` says that it counts three times there or more, so that BM25 needs the
inverted index alone; `7:休+暇` are two words that a question may ask for as neighbours.
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
"""How often a word counts, as far as it is told apart; in a heading it counts twice."""
_ASKED_LEVELS = (2, 4)
"""Those that a question tells apart: each is a look-up, and what is found is ordered anew by its text (`ranking`)."""
_WORD = re.compile(r"[^\W_]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_MARKS = re.compile("[\u0300-\u1fff]+")
"""What divides the letters of one word, such as the vowel signs of Hindi."""
_WORD_CHARS = 120
_READERS = 4
_CONNECT_SECONDS = 5
_READS = (
    f"statement_timeout={int(SEARCH_SECONDS * 1000)}",
    "default_transaction_read_only=on",
    "jit=off",
    "enable_seqscan=off",
)
"""Everything that is asked for has an index; PostgreSQL takes reading all texts for cheaper than it is."""
Line = psycopg.Connection[tuple[Any, ...]]
_LINE: dict[str, Any] = {
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
        """The tsvector, as PostgreSQL reads it."""
        written = [f"'{index}:{key}'" for counts in (self.counts, self._pairs) for key in counts]
        for counts in (self.counts, self._pairs):
            for key, number in counts.items():
                if number > 1:
                    written += [f"'{index}:{key}~{level}'" for level in LEVELS if number >= level]
        return " ".join(written)


def cut_word(word: str) -> str:
    """As much of it as is indexed."""
    return word[:_WORD_CHARS]


def write_queries(index: int, term: Term) -> Iterator[tuple[str, int, int]]:
    """Queries whose passages have the term, with how often it counts there at least, and by the query before."""
    parts = [cut_word(part) for part in term.parts]
    keys = [f"{a}+{b}" for a, b in pairwise(parts)] or parts
    yield " & ".join(f"'{index}:{key}'" for key in keys) + (":*" if term.is_open else ""), 1, 0
    for before, level in pairwise((1, *_ASKED_LEVELS)):
        yield " & ".join(f"'{index}:{key}~{level}'" for key in keys), level, before


def connect(url: str, *options: str) -> Line:
    """A line on which each statement is a transaction; `options` are settings of PostgreSQL, what the URL says wins.

    Raises psycopg.Error.
    """
    given = conninfo_to_dict(url.replace("postgresql+psycopg:", "postgresql:", 1))
    said = " ".join(filter(None, (*(f"-c {option}" for option in options), str(given.get("options") or ""))))
    line = {name: value for name, value in _LINE.items() if name not in given}
    return psycopg.connect(make_conninfo(**given | line | {"options": said}), autocommit=True)


class PostgresqlLines:
    """Lines for questions to the database at `url`, for any thread: a few are kept open."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._idle: list[Line] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def ask(self, question: str, values: Sequence[Any] | Mapping[str, Any] = (), **more: Any) -> list[tuple[Any, ...]]:
        """All rows; a question ends after some seconds. Raises RunError for whatever goes wrong."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            try:
                line = idle or self._connect()
            except psycopg.Error as error:
                raise _refuse(error) from None
            try:
                return line.execute(question, values, **more).fetchall()
            except psycopg.Error as error:
                if idle is None or not line.closed:  # one that was idle may have been cut meanwhile
                    raise _refuse(error) from None
            finally:
                self._take_back(line)

    def _connect(self) -> Line:
        return connect(self.url, *_READS)

    def _take_back(self, line: Line) -> None:
        with self._lock:
            if not (line.closed or self._is_closed) and len(self._idle) < _READERS:
                self._idle.append(line)
                return
        line.close()

    def close(self) -> None:
        """Closes what is idle now, and the rest when it is given back."""
        with self._lock:
            self._is_closed = True
            while self._idle:
                self._idle.pop().close()


def explain(error: psycopg.Error) -> str:
    """One line for people."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _read(text: str) -> tuple[Sequence[str], Sequence[str]]:
    """The words of a folded text, and the neighbours among them that one may ask for as such."""
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
