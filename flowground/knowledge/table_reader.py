"""Questions to an index in tables of PostgreSQL."""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowground.knowledge.index import FoundPassage, IndexedFile, IndexedPassage
from flowground.knowledge.lexemes import cut_word, write_queries
from flowground.knowledge.postgresql_lines import PostgresqlLines
from flowground.knowledge.table_words import TableWords, read_words
from flowground.knowledge.terms import Term

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
    {_FOUND}, score FROM scored JOIN knowledge_passages p USING (id) JOIN knowledge_files f ON f.id = file_id
    ORDER BY score DESC, id
"""  # noqa: S608 - ours
"""BM25 as SQLite reckons it (k1 = 1.2, b = 0.75), with fewer degrees: what is found is ordered anew by its text. A word
that counts several times adds what each level (of those that `lexemes` asks for) is worth more than the one before.
OFFSET keeps each word's own look-up from being joined to the others."""
_READ = f"{_FOUND}, 0.0 FROM {_JOINED} WHERE p.id = ANY (%s)"
_FILES = "FROM knowledge_files WHERE index_id = %s AND build = ''"
_SHORTEST = 3
"""Letters by which words with them inside are looked for, as in SQLite."""


class TableIndexReader:
    """An `IndexReader` of what the rows say now: where the next index takes its place, it reads that."""

    def __init__(self, lines: PostgresqlLines, index: int, about: str, passages: int, words: int) -> None:
        self._lines, self._index = lines, index
        self.about: Mapping[str, str] = json.loads(about)
        self.count = passages
        self._mean = max(1, words) / max(1, passages) / 0.75
        self.is_retired = False
        self._words: TableWords | None = None
        self._lock = threading.Lock()

    def list_files(self) -> dict[str, IndexedFile]:
        columns = "source, signature, digest, kind, keys, note, passages"
        return {
            source: IndexedFile(source, signature, digest, kind, json.loads(keys), note, count)
            for source, signature, digest, kind, keys, note, count in self._lines.ask(
                f"SELECT {columns} {_FILES} ORDER BY source", (self._index,)
            )
        }

    def count_words(self, words: Iterable[str]) -> dict[str, int]:
        known = self._open_words()
        counted = {word: known.count(cut_word(word)) for word in words}
        return {word: number for word, number in counted.items() if number}

    def list_words_with(self, part: str, *, most: int) -> list[str]:
        return self._open_words().list_with(part, most) if len(part) >= _SHORTEST else []

    def count_words_from(self, begin: str, *, most: int) -> dict[str, int]:
        return self._open_words().count_from(begin, most)

    def _open_words(self) -> TableWords:
        with self._lock:
            if self._words is None:
                self._words = read_words(self._lines, self._index)
            return self._words

    def search(self, terms: Sequence[Term], *, most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
        asked = [(query, at, *n) for at, term in enumerate(terms) for query, *n in write_queries(self._index, term)]
        queries, numbers, counts, before = (list(column) for column in zip(*asked, strict=True))
        values: dict[str, Any] = {"queries": queries, "terms": numbers, "counts": counts, "before": before}
        values |= {"index": self._index, "all": self.count, "mean": self._mean, "most": most}
        values["ids"] = None if ids is None else list(ids)
        return [_make_found(row) for row in self._lines.ask(_SEARCH, values)]

    def read(self, ids: Sequence[int]) -> dict[int, FoundPassage]:
        return {row[0]: _make_found(row) for row in self._lines.ask(_READ, (list(ids),))}

    def list_passage_ids(self, files: Sequence[int] | None = None) -> list[int]:
        asked = f"SELECT p.id FROM {_JOINED} WHERE index_id = %s AND build = ''"  # noqa: S608 - ours
        given = None if files is None else list(files)
        asked = f"{asked} AND (%s::bigint[] IS NULL OR file_id = ANY (%s)) ORDER BY p.id"
        return [number for (number,) in self._lines.ask(asked, (self._index, given, given))]

    def list_ids(self) -> list[tuple[str, Mapping[str, str], int]]:
        rows = self._lines.ask(f"SELECT source, keys, id {_FILES}", (self._index,))
        return [(source, json.loads(keys), number) for source, keys, number in rows]


def _make_found(row: tuple[Any, ...]) -> FoundPassage:
    number, source, text, first, last, page, trail, keys, rank = row
    return FoundPassage(number, source, IndexedPassage(text, first, last, page, trail), json.loads(keys), float(rank))
