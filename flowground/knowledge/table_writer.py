"""Makes the next index in tables of PostgreSQL, beside the rows that serve; `publish_build` lets it serve."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowground.knowledge.index import BuildPlace, IndexedFile, IndexedPassage
from flowground.knowledge.lexemes import PassageWords
from flowground.knowledge.postgresql_lines import Line, PostgresqlLines, connect
from flowground.knowledge.table_reader import TableIndexReader

_ADD_FILE = (
    "INSERT INTO knowledge_files (index_id, build, source, signature, digest, kind, keys, note, passages) "
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
"""The build of files that serve no more."""


class TableIndexWriter:
    """An `IndexWriter`. What it writes belongs to the build `place.new`; the index says what the build changes."""

    def __init__(self, place: BuildPlace, *, about: Mapping[str, str]) -> None:
        self._place, self._about = place, about
        self._line = connect(place.database, "synchronous_commit=off")
        self._lines = PostgresqlLines(place.database)
        reader = TableIndexReader(self._lines, place.index, "{}", 0, 0)
        self._served = {source: number for source, _, number in reader.list_ids()}
        self._files = reader.list_files() if place.old else {}
        self._gone: set[int] = set() if place.old else set(self._served.values())
        self._signed: dict[int, str] = {}
        self._words: Counter[str] = Counter()

    def list_files(self) -> dict[str, IndexedFile]:
        return dict(sorted(self._files.items()))

    def put_file(self, file: IndexedFile, passages: Sequence[IndexedPassage]) -> None:
        self.remove(file.source)
        place, keys = self._place, json.dumps(dict(file.keys))
        row = (file.source, file.signature, file.digest, file.kind, keys, file.note, len(passages))
        with self._line.transaction(), self._line.cursor() as cursor:
            (made,) = cursor.execute(_ADD_FILE, (place.index, place.new, *row)).fetchone() or (0,)
            with cursor.copy(_ADD_PASSAGES) as copy:
                for one in passages:
                    words = PassageWords(one.trail, one.text)
                    self._words.update(words.counts.keys())
                    texts = (_store(one.trail), _store(one.text), words.write(place.index))
                    copy.write_row((made, one.page, one.first, one.last, words.length, *texts))
        self._files[file.source] = replace(file, passages=len(passages))

    def sign(self, source: str, signature: str) -> None:
        self._signed[self._served[source]] = signature
        self._files[source] = replace(self._files[source], signature=signature)

    def remove(self, source: str) -> None:
        self._files.pop(source, None)
        if source in self._served:
            self._gone.add(self._served[source])

    def finish(self) -> int:
        if self._place.old:
            gone = self._line.execute(_COUNT_GONE, (list(self._gone),))
            self._words.subtract(dict(gone))
        index, build = self._place.index, self._place.new
        changes = {"build": build, "gone": sorted(self._gone), "signed": self._signed, "about": dict(self._about)}
        with self._line.transaction(), self._line.cursor() as cursor:
            with cursor.copy("COPY knowledge_words (index_id, build, word, passages) FROM STDIN") as copy:
                for word, count in sorted(self._words.items()):
                    if count:
                        copy.write_row((index, build, word, count))
            cursor.execute("UPDATE knowledge_indexes SET changes = %s WHERE id = %s", (json.dumps(changes), index))
        self._line.execute("SELECT gin_clean_pending_list('knowledge_passages_by_words')")
        self._line.execute(f"ANALYZE {', '.join(_TABLES)}")
        return sum(file.passages for file in self._files.values())

    def close(self) -> None:
        self._line.close()
        self._lines.close()


def publish_build(line: Line, place: BuildPlace) -> None:
    """In one transaction: the build serves, and what it takes the place of does not. Raises psycopg.Error."""
    index, build = place.index, place.new
    with line.transaction():
        row = line.execute("SELECT changes FROM knowledge_indexes WHERE id = %s FOR UPDATE", (index,)).fetchone()
        changes: dict[str, Any] = json.loads(row[0]) if row else {}
        if changes.get("build") != build:
            raise LookupError("the build is not finished")
        line.execute("UPDATE knowledge_files SET build = %s WHERE id = ANY (%s)", (GONE, changes["gone"]))
        for number, signature in changes["signed"].items():
            line.execute("UPDATE knowledge_files SET signature = %s WHERE id = %s", (signature, int(number)))
        line.execute("UPDATE knowledge_files SET build = '' WHERE index_id = %s AND build = %s", (index, build))
        if place.old is None:
            line.execute("DELETE FROM knowledge_words WHERE index_id = %s AND build = ''", (index,))
            line.execute("UPDATE knowledge_words SET build = '' WHERE index_id = %s AND build = %s", (index, build))
        else:
            line.execute(_ADD_COUNTS, (index, build))
            line.execute("DELETE FROM knowledge_words WHERE index_id = %s AND build = %s", (index, build))
            line.execute("DELETE FROM knowledge_words WHERE index_id = %s AND passages <= 0", (index,))
        vectors = (changes.get("model", ""), changes.get("vectors", ""))
        counted = line.execute(
            "SELECT count(*), coalesce(sum(length), 0) FROM knowledge_passages p JOIN knowledge_files f "
            "ON f.id = file_id WHERE index_id = %s AND build = ''",
            (index,),
        ).fetchone()
        line.execute(
            "UPDATE knowledge_indexes SET version = version + 1, about = %s, passages = %s, words = %s, model = %s, "
            "vectors = %s, changes = '{}' WHERE id = %s",
            (json.dumps(changes["about"]), *(counted or (0, 0)), *vectors, index),
        )


def remove_leftovers(line: Line, index: int, build: str | None = None) -> None:
    """Rows of an index that do not serve, of one build or of all; a few files at a time. Raises psycopg.Error."""
    asked = "index_id = %s AND build <> '' AND (%s::text IS NULL OR build = %s)"
    few = f"DELETE FROM knowledge_files WHERE id IN (SELECT id FROM knowledge_files WHERE {asked} LIMIT 50)"  # noqa: S608 - ours
    while line.execute(few, (index, build, build)).rowcount:
        pass
    line.execute(f"DELETE FROM knowledge_words WHERE {asked}", (index, build, build))  # noqa: S608 - ours


def _store(text: str) -> str:
    """PostgreSQL refuses NUL."""
    return text.replace("\x00", "\ufffd")
