"""A question over an index: which words are asked for, what stands for words that nothing has, how good a hit is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from flowground.knowledge.embeddings import fuse
from flowground.knowledge.index import FoundPassage, IndexReader
from flowground.knowledge.terms import Term, list_spellings, list_stems, list_terms
from flowground.path_patterns import match_path

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

MOST_HITS = 100
_FUSED = 30
"""Passages of each order that take part in the fused one."""
_BUDGET = 10_000
"""Passages that a question's words may stand in together: beyond, its most common words are left out."""
_BEST_FACTOR = 2.2
"""BM25 gives a word at most its weight times this (k1 = 1.2)."""
_STAND_INS = 8
"""Longer words that may stand for one of the question."""
_SHORTEST = 4
"""Letters of the shortest word that has other forms, or words that stand for it."""
_FORMS = 40
"""Words of the same beginning that are looked at for other forms."""
_ENDING = 2
"""Letters by which another form may be longer."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a passage must be of: `source` is a pattern of paths, `page` one page or from one to another, `keys` what
    the front of a Markdown file says."""

    source: str = ""
    page: int | tuple[int, int] | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found. `start` and `end` are its characters in the text of `source`, `title` the headings
    above it, else that of the file's keys. `score` is from 0 to 1: how much of what was asked for it has."""

    text: str
    source: str
    page: int | None
    start: int
    end: int
    score: float
    title: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)


def search_words(
    reader: IndexReader, question: str, *, top_k: int, filters: Filters
) -> list[tuple[FoundPassage, float]]:
    """The best passages with their scores. Raises RunError where the index cannot be read, or it takes too long."""
    terms = list_terms(question)
    if not terms or not reader.count:
        return []
    ids = _find_files(reader, filters)
    most = top_k if filters.page is None else MOST_HITS * 5
    counts = reader.count_words({part for term in terms for part in term.parts})
    asked, ideal = _choose(reader, terms, counts)
    found = _ask(reader, asked, ideal, most, ids, filters)
    if len(found) < top_k and (more := _widen(reader, terms)):
        seen = {passage.id for passage, _ in found}
        least = found[-1][1] if found else 1.0
        others = _ask(reader, more, ideal, most, ids, filters)
        found += [(one, min(score, least)) for one, score in others if one.id not in seen]
    return found[:top_k]


def search_both(
    reader: IndexReader, vectors: "VectorReader", question: str, asked: Sequence[float], *, top_k: int, filters: Filters
) -> list[tuple[FoundPassage, float]]:
    """By words and by vectors, fused by rank. Raises RunError, and ValueError for a vector that does not fit."""
    wide = max(_FUSED, top_k)
    by_words = search_words(reader, question, top_k=wide, filters=filters)
    files = _find_files(reader, filters)
    ids = None if files is None else reader.list_passage_ids(files)
    most = wide if filters.page is None else MOST_HITS * 5
    near = [number for number, _ in vectors.search(asked, most=most, ids=ids)]
    found = {one.id: one for one, _ in by_words}
    found |= reader.read([number for number in near if number not in found])
    near = [number for number in near if number in found and fits_page(found[number], filters)]
    ranked = fuse([one.id for one, _ in by_words], near)
    return [(found[number], score) for number, score in ranked[:top_k]]


def _ask(
    reader: IndexReader, terms: Sequence[Term], ideal: float, most: int, ids: Sequence[int] | None, filters: Filters
) -> list[tuple[FoundPassage, float]]:
    found = reader.search(terms, most=most, ids=ids) if terms else []
    return [(one, 1 - math.exp(-one.rank / ideal)) for one in found if fits_page(one, filters)]


def _choose(reader: IndexReader, terms: Sequence[Term], counts: Mapping[str, int]) -> tuple[list[Term], float]:
    """What is asked for, and what a passage with all of it would have; the rarest words first, up to the budget."""
    weighed = sorted(((min(counts.get(part, 0) for part in term.parts), term) for term in terms), key=itemgetter(0))
    ideal = _BEST_FACTOR * sum(_weigh(reader.count, number) for number, _ in weighed)
    chosen = _join_neighbours(reader, terms)
    left = _BUDGET
    for number, term in weighed:
        if number > left:
            break
        left -= number
        chosen.append(term)
        if term.word and not number:
            chosen += _find_stand_ins(reader, term.word)
        elif term.word:
            forms = sorted(_find_forms(reader, term.word).items(), key=itemgetter(1))
            chosen += [Term((form,)) for form, many in forms if (left := left - many) >= 0]
    return list(dict.fromkeys(chosen)) or [weighed[0][1]], max(ideal, 1e-9)


def _join_neighbours(reader: IndexReader, terms: Sequence[Term]) -> list[Term]:
    """Words of the index that are two words of the question in one: MessageHistory, Urlaubsantrag."""
    pairs = [one.word + other.word for one, other in pairwise(terms) if one.word and other.word]
    return [Term((word,)) for word in reader.count_words(pairs)]


def _find_forms(reader: IndexReader, word: str) -> dict[str, int]:
    """Other forms of a word, which differ from it by a short ending, and in how many passages each stands."""
    if len(word) < _SHORTEST or not word.isalpha():
        return {}
    others = reader.count_words_from(word[: max(_SHORTEST, len(word) - 1)], most=_FORMS)
    longest = len(word) + _ENDING
    return {
        other: many for other, many in others.items() if len(other) <= longest and other.isalpha() and other != word
    }


def _weigh(passages: int, number: int) -> float:
    """How much a word counts that stands in so many of the passages, as SQLite weighs it."""
    return max(1e-6, math.log((passages - number + 0.5) / (number + 0.5)))


def _widen(reader: IndexReader, terms: Sequence[Term]) -> list[Term]:
    """Words that hold those that were asked for: compounds and other forms."""
    return [other for term in terms if term.word for other in _find_stand_ins(reader, term.word)]


def _find_stand_ins(reader: IndexReader, word: str) -> list[Term]:
    """Words of the index that may mean the same: longer ones with it inside, else shorter ones of which it is made."""
    if len(word) < _SHORTEST and not (len(word) == _SHORTEST - 1 and "\u0600" <= word[0] <= "\u06ff"):
        return []
    longer = reader.list_words_with(word, most=_STAND_INS) if word.isalnum() else []
    spelled = list_spellings(word)
    parts = [stems for one in (word, *spelled) for stems in list_stems(one)]
    known = reader.count_words((*spelled, *(stem for stems in parts for stem in stems)))
    shorter = [stem for stems in parts if (stem := next((one for one in stems if one in known), ""))]
    alike = [other for other in spelled if other in known]
    others = dict.fromkeys((*longer, *_find_forms(reader, word), *alike, *shorter))
    return [Term((other,)) for other in others if other != word]


def _find_files(reader: IndexReader, filters: Filters) -> list[int] | None:
    """Ids of the files that the filters let through; None where they let all."""
    if not filters.source and not filters.keys:
        return None
    return [
        number
        for source, keys, number in reader.list_ids()
        if (not filters.source or match_path(source, filters.source))
        and all(keys.get(name) == value for name, value in filters.keys.items())
    ]


def fits_page(found: FoundPassage, filters: Filters) -> bool:
    """Whether the passage stands on the page, or on one of the pages, that are wanted."""
    if filters.page is None:
        return True
    first, last = (filters.page, filters.page) if isinstance(filters.page, int) else filters.page
    return found.passage.page is not None and first <= found.passage.page <= last
