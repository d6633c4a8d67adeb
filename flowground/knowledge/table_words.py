"""All words of an index in tables of PostgreSQL, kept in memory while that index serves: a question looks up many."""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from heapq import nsmallest
from itertools import chain, islice

from flowground.knowledge.postgresql_lines import PostgresqlLines

_READ = """
    SELECT string_agg(word, E'\\n' ORDER BY word COLLATE "C"), string_agg(passages::text, ' ' ORDER BY word COLLATE "C")
    FROM knowledge_words WHERE index_id = %s AND build = ''
"""
_END, _NUMBER = re.compile("\n"), re.compile(r"\d+")
_SHORTEST, _LONGEST = 4, 60
"""Letters of words that others are looked for in, as in SQLite."""


class TableWords:
    """One text of all words in order, with where each begins: some 20 bytes a word, where Python's objects take 100."""

    def __init__(self, words: str, counts: str) -> None:
        """Of words in lines, in the order of their letters' numbers, and counts between blanks."""
        self._text = f"{words}\n" if words else ""
        self._starts = array("Q", chain((0,), (found.end() for found in _END.finditer(self._text))))
        self._counts = array("Q", (int(found[0]) for found in _NUMBER.finditer(counts)))

    def count(self, word: str) -> int:
        """In how many passages it stands."""
        at = self._find(word)
        return self._counts[at] if at < len(self._counts) and self._read(at) == word else 0

    def count_from(self, begin: str, most: int) -> dict[str, int]:
        """Words that begin so, in order, and in how many passages each stands."""
        words = ((self._read(at), self._counts[at]) for at in range(self._find(begin), len(self._counts)))
        return {word: count for word, count in islice(words, most) if word.startswith(begin)}

    def list_with(self, part: str, most: int) -> list[str]:
        """Words with the part inside, the shortest first."""
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


def read_words(lines: PostgresqlLines, index: int) -> TableWords:
    """Those of the index that serves. Raises RunError."""
    ((words, counts),) = lines.ask(_READ, (index,))
    return TableWords(words or "", counts or "")
