"""An index in tables of PostgreSQL: its reader, and the writer of the next build beside the serving rows.

`publish_build` lets the next build serve. All words of the serving index are kept in memory, since a search looks up
many.
"""

import json
import re
import threading
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from itertools import chain, islice
from typing import Any

from flowground.knowledge.index import BuildPlace, FoundPassage, IndexedFile, IndexedPassage
from flowground.knowledge.postgresql import Connection, PassageWords, PostgresqlPool, connect, cut_word, write_queries
from flowground.knowledge.terms import Term

_READ_WORDS = """
    SELECT string_agg(word, E'\\n' ORDER BY word COLLATE "C"), string_agg(passages::text, ' ' ORDER BY word COLLATE "C")
    FROM knowledge_words WHERE index_id = %s AND build = ''
"""
_END, _NUMBER = re.compile("\n"), re.compile(r"\d+")
_SHORTEST, _LONGEST = 4, 60
"""The lengths of words that are searched for parts, as in SQLite."""
_FOUND = "SELECT p.id, source, text, first, last, page, trail, keys"
_JOINED = "knowledge_passages p JOIN knowledge_files f ON f.id = file_id"
_SEARCH = f"""
    WITH asked AS (
        SELECT * FROM unnest(%(queries)s::text[], %(terms)s::int[], %(counts)s::float8[], %(before)s::float8[])
        AS a (query, term, n, before)
    ),
    met AS MATERIALIZED (
        SELECT term, n, before, p.id, file_id, 1.2::float8 * (0.25::float8 + length / %(mean)s::float8) AS k
        FROM asked, LATERAL (SELECT * FROM knowledge_passages WHERE words @@ query::tsquery OFFSET 0) p
        WHERE file_id IN (SELECT id FROM knowledge_files WHERE index_id = %(index)s AND build = '')
    ),
    weighed AS (
        SELECT term, greatest(1e-6, ln((greatest(%(all)s - count(*)::float8, 0) + 0.5) / (count(*)::float8 + 0.5)))
        AS weight FROM met WHERE before = 0 GROUP BY term
    ),
    scored AS (
        SELECT id, sum(weight * 2.2::float8 * (n / (n + k) - before / (before + k))) AS score
        FROM met JOIN weighed USING (term) WHERE %(ids)s::bigint[] IS NULL OR file_id = ANY (%(ids)s)
        GROUP BY id ORDER BY score DESC, id LIMIT %(most)s
    )
    {_FOUND} FROM scored JOIN knowledge_passages p USING (id) JOIN knowledge_files f ON f.id = file_id
    ORDER BY score DESC, id
"""  # noqa: S608 - ours
"""BM25 as SQLite computes it (k1 = 1.2, b = 0.75), with fewer distinct counts, since the passages found are ranked by
their text later. A word that counts several times adds the difference of each level to the one before. OFFSET keeps
PostgreSQL from joining the look-ups of several words."""
_READ = f"{_FOUND} FROM {_JOINED} WHERE p.id = ANY (%s)"
_FILES = "FROM knowledge_files WHERE index_id = %s AND build = ''"
_SHORTEST_PART = 3
"""The shortest part by which words that contain it are looked up, as in SQLite."""
_ADD_FILE = (
    f"INSERT INTO knowledge_files (index_id, build, {IndexedFile.COLUMNS}) "  # noqa: S608 - ours
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"
)
_ADD_PASSAGES = "COPY knowledge_passages (file_id, page, first, last, length, trail, text, words) FROM STDIN"
_COUNT_GONE = """
    SELECT split_part(lexeme, ':', 2), count(*) FROM knowledge_passages, unnest(words)
    WHERE file_id = ANY (%s) AND lexeme !~ '[~+]' GROUP BY 1
"""
_ADD_COUNTS = """
    INSERT INTO knowledge_words AS w (index_id, build, word, passages)
    SELECT index_id, '', word, passages FROM knowledge_words WHERE index_id = %s AND build = %s
    ON CONFLICT (index_id, build, word) DO UPDATE SET passages = w.passages + excluded.passages
"""
_TABLES = ("knowledge_files", "knowledge_passages", "knowledge_words")
GONE = "gone"
"""The build id of files that no longer serve."""


class TableWords:
    """All words in order as one text, with their positions: some 20 bytes a word, where Python objects take 100."""

    def __init__(self, words: str, counts: str) -> None:
        """`words` are lines in the order of code points, `counts` numbers separated by blanks."""
        self._text = f"{words}\n" if words else ""
        self._starts = array("Q", chain((0,), (found.end() for found in _END.finditer(self._text))))
        self._counts = array("Q", (int(found[0]) for found in _NUMBER.finditer(counts)))

    def count(self, word: str) -> int:
        """The number of passages in which the word occurs."""
        at = self._find(word)
        return self._counts[at] if at < len(self._counts) and self._read(at) == word else 0

    def count_from(self, begin: str, most: int) -> dict[str, int]:
        """Words that begin like this, in order, with the number of passages that each occurs in."""
        words = ((self._read(at), self._counts[at]) for at in range(self._find(begin), len(self._counts)))
        return {word: count for word, count in islice(words, most) if word.startswith(begin)}

    def list_with(self, part: str, most: int) -> list[str]:
        """Words that contain the part, the shortest first."""
        return nsmallest(most, self._walk(part), key=lambda word: (len(word), word))

    def _walk(self, part: str) -> Iterator[str]:
        at = self._text.find(part)
        while at >= 0:
            begin, end = self._text.rfind("\n", 0, at) + 1, self._text.find("\n", at)
            if _SHORTEST <= end - begin <= _LONGEST:
                yield self._text[begin:end]
            at = self._text.find(part, end)

    def _find(self, word: str) -> int:
        return bisect_left(range(len(self._counts)), word, key=self._read)

    def _read(self, at: int) -> str:
        return self._text[self._starts[at] : self._starts[at + 1] - 1]


class TableIndexReader:
    """An `IndexReader` of the present rows: after the next build is published, it reads that one."""

    def __init__(self, pool: PostgresqlPool, index: int, about: str, passages: int, words: int) -> None:
        self._pool, self._index = pool, index
        self.about: Mapping[str, str] = json.loads(about)
        self.count = passages
        self._mean = max(1, words) / max(1, passages) / 0.75
        self.is_retired = False
        self._words: TableWords | None = None
        self._lock = threading.Lock()

    def list_files(self) -> dict[str, IndexedFile]:
        rows = self._pool.ask(f"SELECT {IndexedFile.COLUMNS} {_FILES} ORDER BY source", (self._index,))
        return {file.source: file for file in map(IndexedFile.from_row, rows)}

    def count_words(self, words: Iterable[str]) -> dict[str, int]:
        known = self._open_words()
        counted = {word: known.count(cut_word(word)) for word in words}
        return {word: number for word, number in counted.items() if number}

    def list_words_with(self, part: str, *, most: int) -> list[str]:
        return self._open_words().list_with(part, most) if len(part) >= _SHORTEST_PART else []

    def count_words_from(self, begin: str, *, most: int) -> dict[str, int]:
        return self._open_words().count_from(begin, most)

    def _open_words(self) -> TableWords:
        with self._lock:
            if self._words is None:
                ((words, counts),) = self._pool.ask(_READ_WORDS, (self._index,))
                self._words = TableWords(words or "", counts or "")
            return self._words

    def search(self, terms: Sequence[Term], *, most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
        asked = [(query, at, *n) for at, term in enumerate(terms) for query, *n in write_queries(self._index, term)]
        queries, numbers, counts, before = (list(column) for column in zip(*asked, strict=True))
        values: dict[str, Any] = {"queries": queries, "terms": numbers, "counts": counts, "before": before}
        values |= {"index": self._index, "all": self.count, "mean": self._mean, "most": most}
        values["ids"] = None if ids is None else list(ids)
        return [FoundPassage.from_row(row) for row in self._pool.ask(_SEARCH, values)]

    def read(self, ids: Sequence[int]) -> dict[int, FoundPassage]:
        return {row[0]: FoundPassage.from_row(row) for row in self._pool.ask(_READ, (list(ids),))}

    def list_passage_ids(self, files: Sequence[int] | None = None) -> list[int]:
        asked = f"SELECT p.id FROM {_JOINED} WHERE index_id = %s AND build = ''"  # noqa: S608 - ours
        given = None if files is None else list(files)
        asked = f"{asked} AND (%s::bigint[] IS NULL OR file_id = ANY (%s)) ORDER BY p.id"
        return [number for (number,) in self._pool.ask(asked, (self._index, given, given))]

    def list_ids(self) -> list[tuple[str, Mapping[str, str], int]]:
        rows = self._pool.ask(f"SELECT source, keys, id {_FILES}", (self._index,))
        return [(source, json.loads(keys), number) for source, keys, number in rows]


class TableIndexWriter:
    """An `IndexWriter`. Its rows belong to the build `place.new`; the index's row lists what the build changes."""

    def __init__(self, place: BuildPlace, *, about: Mapping[str, str]) -> None:
        self._place, self._about = place, about
        self._db = connect(place.database, "synchronous_commit=off")
        self._pool = PostgresqlPool(place.database)
        reader = TableIndexReader(self._pool, place.index, "{}", 0, 0)
        self._served = {source: number for source, _, number in reader.list_ids()}
        self._files = reader.list_files() if place.old else {}
        self._gone: set[int] = set() if place.old else set(self._served.values())
        self._signed: dict[int, str] = {}
        self._words: Counter[str] = Counter()

    def list_files(self) -> dict[str, IndexedFile]:
        return dict(sorted(self._files.items()))

    def put_file(self, file: IndexedFile, passages: Sequence[IndexedPassage]) -> None:
        self.remove(file.source)
        place, file = self._place, replace(file, passages=len(passages))
        with self._db.transaction(), self._db.cursor() as cursor:
            (made,) = cursor.execute(_ADD_FILE, (place.index, place.new, *file.to_row())).fetchone() or (0,)
            with cursor.copy(_ADD_PASSAGES) as copy:
                for one in passages:
                    words = PassageWords(one.trail, one.text)
                    self._words.update(words.counts.keys())
                    texts = (_store(one.trail), _store(one.text), words.write(place.index))
                    copy.write_row((made, one.page, one.first, one.last, words.length, *texts))
        self._files[file.source] = file

    def sign(self, source: str, signature: str) -> None:
        self._signed[self._served[source]] = signature
        self._files[source] = replace(self._files[source], signature=signature)

    def remove(self, source: str) -> None:
        self._files.pop(source, None)
        if source in self._served:
            self._gone.add(self._served[source])

    def finish(self) -> int:
        if self._place.old:
            gone = self._db.execute(_COUNT_GONE, (list(self._gone),))
            self._words.subtract(dict(gone))
        index, build = self._place.index, self._place.new
        changes = {"build": build, "gone": sorted(self._gone), "signed": self._signed, "about": dict(self._about)}
        with self._db.transaction(), self._db.cursor() as cursor:
            with cursor.copy("COPY knowledge_words (index_id, build, word, passages) FROM STDIN") as copy:
                for word, count in sorted(self._words.items()):
                    if count:
                        copy.write_row((index, build, word, count))
            cursor.execute("UPDATE knowledge_indexes SET changes = %s WHERE id = %s", (json.dumps(changes), index))
        self._db.execute("SELECT gin_clean_pending_list('knowledge_passages_by_words')")
        self._db.execute(f"ANALYZE {', '.join(_TABLES)}")
        return sum(file.passages for file in self._files.values())

    def close(self) -> None:
        self._db.close()
        self._pool.close()


def publish_build(db: Connection, place: BuildPlace) -> None:
    """In one transaction lets the build serve, and marks what it replaces. Raises psycopg.Error."""
    index, build = place.index, place.new
    with db.transaction():
        row = db.execute("SELECT changes FROM knowledge_indexes WHERE id = %s FOR UPDATE", (index,)).fetchone()
        changes: dict[str, Any] = json.loads(row[0]) if row else {}
        if changes.get("build") != build:
            raise LookupError("the build is not finished")
        db.execute("UPDATE knowledge_files SET build = %s WHERE id = ANY (%s)", (GONE, changes["gone"]))
        for number, signature in changes["signed"].items():
            db.execute("UPDATE knowledge_files SET signature = %s WHERE id = %s", (signature, int(number)))
        db.execute("UPDATE knowledge_files SET build = '' WHERE index_id = %s AND build = %s", (index, build))
        if place.old is None:
            db.execute("DELETE FROM knowledge_words WHERE index_id = %s AND build = ''", (index,))
            db.execute("UPDATE knowledge_words SET build = '' WHERE index_id = %s AND build = %s", (index, build))
        else:
            db.execute(_ADD_COUNTS, (index, build))
            db.execute("DELETE FROM knowledge_words WHERE index_id = %s AND build = %s", (index, build))
            db.execute("DELETE FROM knowledge_words WHERE index_id = %s AND passages <= 0", (index,))
        vectors = (changes.get("model", ""), changes.get("vectors", ""))
        counted = db.execute(
            "SELECT count(*), coalesce(sum(length), 0) FROM knowledge_passages p JOIN knowledge_files f "
            "ON f.id = file_id WHERE index_id = %s AND build = ''",
            (index,),
        ).fetchone()
        db.execute(
            "UPDATE knowledge_indexes SET version = version + 1, about = %s, passages = %s, words = %s, model = %s, "
            "vectors = %s, changes = '{}' WHERE id = %s",
            (json.dumps(changes["about"]), *(counted or (0, 0)), *vectors, index),
        )


def remove_leftovers(db: Connection, index: int, build: str | None = None) -> None:
    """Deletes rows of an index that do not serve, of one build or all, a few files at a time. Raises psycopg.Error."""
    asked = "index_id = %s AND build <> '' AND (%s::text IS NULL OR build = %s)"
    few = f"DELETE FROM knowledge_files WHERE id IN (SELECT id FROM knowledge_files WHERE {asked} LIMIT 50)"  # noqa: S608 - ours
    while db.execute(few, (index, build, build)).rowcount:
        pass
    db.execute(f"DELETE FROM knowledge_words WHERE {asked}", (index, build, build))  # noqa: S608 - ours


def _store(text: str) -> str:
    """The text without NUL, which PostgreSQL refuses."""
    return text.replace("\x00", "\ufffd")
