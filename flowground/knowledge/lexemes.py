"""What a passage is found by in PostgreSQL: its words, folded as SQLite's index folds them, as lexemes of a tsvector.

`7:hotel` is a word of the index 7, so that no index reads another's; `7:hotel~3` says that it counts three times there
or more, so that BM25 needs the inverted index alone; `7:休+暇` are two words that a question may ask for as neighbours.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

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
