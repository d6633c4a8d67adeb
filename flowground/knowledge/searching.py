"""A question over an index: which words are asked for, what stands for words that nothing has, how good a hit is."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from flowground.errors import RunError
from flowground.knowledge.index import FoundPassage, IndexReader
from flowground.knowledge.ranking import LEAST_SCORE, AskedWord, Ranking
from flowground.knowledge.terms import Term, cut_ending, list_spellings, list_stems, list_terms
from flowground.path_patterns import match_path
from flowground.words import show

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

MOST_HITS = 100
_FUSED = 30
"""Passages that words and vectors each find at least, where both are asked."""
_OF_VECTORS = 0.6
"""How much vectors have to say where there are some."""
_RANKED = 50
"""Passages that an index gives for a question at least, the best of which are ordered anew."""
_BUDGET, _BUDGET_SHARE = 2_000, 0.1
"""Passages, and the share of a large knowledge's, that a question's words may stand in together: beyond, its most
common words are not looked up."""
_TELLING = 0.25
"""How rare a word must be, of what the rarest of the question is, to be looked up where others find enough."""
_STANDS_IN = 0.8
"""How far a word that holds one of the question, or is a part of it, stands for it at most."""
_STAND_INS = 8
"""Longer words that may stand for one of the question."""
_SHORTEST = 4
"""Letters of the shortest word that has other forms, or words that stand for it."""
_LOOKED_AT, _FORMS = 200, 10
"""Words of the same beginning that are looked at for other forms; and forms that are asked for."""
_ENDING = 2
"""Letters by which another form may be longer."""
_MOST_VALUES = 50
"""Of one filter."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a passage must be of: `sources` are patterns of paths, one of which is meant, `page` is one page or from one
    to another, `keys` what the front of a Markdown file says, each one of these values."""

    sources: Collection[str] = ()
    page: int | tuple[int, int] | None = None
    keys: Mapping[str, Collection[str]] = field(default_factory=dict)


def read_filters(given: Mapping[str, Any]) -> Filters:
    """`source`, `page` (a number, or the first and the last), and keys of files; a list is one of its values.

    Raises RunError.
    """
    keys = {name: _list_wanted(name, value) for name, value in given.items() if name not in ("source", "page")}
    wanted: int | tuple[int, int] | None = None
    match given.get("page"):
        case None:
            pass
        case int() as page if page > 0 and page is not True:
            wanted = page
        case [int() as first, int() as last] if 0 < first <= last and first is not True:
            wanted = (first, last)
        case other:
            raise RunError(f"The filter `page` is a page, or the first and the last, not {show(other)}.")
    source = given.get("source")
    return Filters(() if source in (None, "") else _list_wanted("source", source), wanted, keys)


def _list_wanted(name: str, value: Any) -> tuple[str, ...]:
    """The texts of a filter: true and false as YAML writes them. Each file is compared with all of them."""
    several = value if isinstance(value, list) else [value]
    if len(several) > _MOST_VALUES:
        raise RunError(f"The filter `{name}` has {len(several):,} values; {_MOST_VALUES} are the most.")
    if not several or not all(isinstance(one, str | int | float) for one in several):
        raise RunError(f"The filter `{name}` is a text, or a list of texts, one of which is meant, not {show(value)}.")
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in several)


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


@dataclass(frozen=True, slots=True)
class _Sought:
    """A word of the question as an index has it: in how many passages each term is that stands for it, and how far it
    does."""

    term: Term
    counts: dict[Term, int]
    shares: dict[Term, float]


def search_words(
    reader: IndexReader, question: str, *, top_k: int, filters: Filters
) -> list[tuple[FoundPassage, float]]:
    """The best passages with their scores. Raises RunError where the index cannot be read, or it takes too long."""
    terms = list_terms(question)
    if not terms or not reader.count:
        return []
    ids = _find_files(reader, filters)
    most = max(_RANKED, top_k) if filters.page is None else MOST_HITS * 5
    sought = _look_up(reader, terms)
    asked = _choose(reader.count, sought, least=_TELLING)
    first = found = {one.id: one for one in _ask(reader, asked, most, ids)}
    if len(found) < top_k:
        more = [other for one in sought for other in _add_stand_ins(reader, one)]
        more += [term for term in _choose(reader.count, sought, least=0.0) if term not in {*asked, *more}]
        found = first | {one.id: one for one in _ask(reader, more, most, ids)}
    ranking = Ranking([_make_word(reader.count, one) for one in sought])
    return ranking.choose([one for one in found.values() if fits_page(one, filters)], most=top_k, weighed=first)


def search_both(
    reader: IndexReader, vectors: "VectorReader", question: str, asked: Sequence[float], *, top_k: int, filters: Filters
) -> list[tuple[FoundPassage, float]]:
    """By words and by vectors, the best first. Raises RunError, and ValueError for a vector that does not fit."""
    wide = max(_FUSED, top_k)
    by_words = search_words(reader, question, top_k=wide, filters=filters)
    files = _find_files(reader, filters)
    ids = None if files is None else reader.list_passage_ids(files)
    most = wide if filters.page is None else MOST_HITS * 5
    nearest = [number for number, _ in vectors.search(asked, most=most, ids=ids)]
    found = {one.id: one for one, _ in by_words}
    missing = reader.read([number for number in nearest if number not in found])
    found |= {number: one for number, one in missing.items() if fits_page(one, filters)}
    scores = fuse({one.id: score for one, score in by_words}, vectors.compare(asked, list(found)))
    return [(found[number], score) for number, score in scores if number in found and score >= LEAST_SCORE][:top_k]


def fuse(by_words: Mapping[int, float], by_vectors: Mapping[int, float]) -> list[tuple[int, float]]:
    """Ids of passages with the mean of both scores, the best first; what one does not have is 0."""
    ids = dict.fromkeys((*by_words, *by_vectors))
    share = _OF_VECTORS
    scores = {one: (1 - share) * by_words.get(one, 0.0) + share * by_vectors.get(one, 0.0) for one in ids}
    return sorted(scores.items(), key=lambda pair: -pair[1])


def _ask(reader: IndexReader, terms: Sequence[Term], most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
    return reader.search(terms, most=most, ids=ids) if terms else []


def _look_up(reader: IndexReader, terms: Sequence[Term]) -> list[_Sought]:
    """Every word of the question with its other forms; what stands for it where the index has none of them."""
    counts = reader.count_words({part for term in terms for part in term.parts})
    sought = []
    for term in terms:
        here = {term: min(counts.get(part, 0) for part in term.parts)}
        if term.word:
            here |= {Term((form,)): many for form, many in _find_forms(reader, term.word).items()}
        sought.append(_Sought(term, here, dict.fromkeys(here, 1.0)))
    for one, other, joined, many in _join_neighbours(reader, sought):
        for both in (one, other):
            both.counts[joined], both.shares[joined] = many, 1.0
    for one in sought:
        if not any(one.counts.values()):
            _add_stand_ins(reader, one)
    return sought


def _choose(passages: int, sought: Sequence[_Sought], *, least: float) -> list[Term]:
    """What the index is asked for: the rarest words, up to the budget; of rarity `least` beside the rarest one's. One
    that is nowhere may go on, or be several."""
    weighed = [(_find_rarity(passages, one), one.counts) for one in sought]
    least *= max((rarity for rarity, counts in weighed if any(counts.values())), default=0.0)
    counts = {term: many for rarity, own in weighed if rarity >= least for term, many in own.items()}
    known = sorted((number, at, term) for at, (term, number) in enumerate(counts.items()) if number)
    budget = max(_BUDGET, passages * _BUDGET_SHARE)
    total = accumulate(number for number, _, _ in known)
    chosen = [term for (_, _, term), all_so_far in zip(known, total, strict=True) if all_so_far <= budget]
    open_ones = [term for term, number in counts.items() if not number and (term.is_open or not term.word)]
    return [*(chosen or [term for _, _, term in known[:1]]), *open_ones]


def _make_word(passages: int, one: _Sought) -> AskedWord:
    is_known = any(one.counts.values())
    begin = one.term.word if one.term.is_open and not is_known else ""
    return AskedWord(one.shares, _find_rarity(passages, one), is_known, begin)


def _find_rarity(passages: int, one: _Sought) -> float:
    number = sum(many for term, many in one.counts.items() if one.shares[term] == 1.0)
    return _weigh(passages, min(passages, number))


def _join_neighbours(reader: IndexReader, sought: Sequence[_Sought]) -> Iterator[tuple[_Sought, _Sought, Term, int]]:
    """Words of the index that are two words of the question in one, and their counts: MessageHistory, Urlaubsantrag."""
    pairs = {a.term.word + b.term.word: (a, b) for a, b in pairwise(sought) if a.term.word and b.term.word}
    for word, many in reader.count_words(pairs).items():
        yield *pairs[word], Term((word,)), many


def _find_forms(reader: IndexReader, word: str) -> dict[str, int]:
    """Other forms of a word, which differ from it by their ending, and in how many passages each stands."""
    if len(word) < _SHORTEST or not word.isalpha():
        return {}
    stem, begin, longest = cut_ending(word), word[: max(_SHORTEST, len(word) - 1)], len(word) + _ENDING
    counts = reader.count_words_from(min(stem, begin, key=len), most=_LOOKED_AT)
    forms = {other: cut_ending(other) == stem for other in counts if other.isalpha() and other != word}
    close = [
        other for other, is_same in forms.items() if is_same or (other.startswith(begin) and len(other) <= longest)
    ]
    close.sort(key=lambda other: (not forms[other], len(other), other))
    return {other: counts[other] for other in close[:_FORMS]}


def _weigh(passages: int, number: int) -> float:
    """How much a word counts that stands in so many of the passages: what all have, a twentieth of what one has."""
    return max(0.05 * math.log(1 + passages), math.log(1 + (passages - number + 0.5) / (number + 0.5)))


def _add_stand_ins(reader: IndexReader, sought: _Sought) -> list[Term]:
    """What may mean the same as a word, as far as it was not known yet: compounds, and parts of one."""
    words = _find_stand_ins(reader, sought.term.word) if sought.term.word else []
    added = {Term((word,)): many for word, many in reader.count_words(words).items()}
    added = {term: many for term, many in added.items() if term not in sought.counts}
    for term, many in added.items():
        sought.counts[term] = many
        sought.shares[term] = _STANDS_IN * _weigh(reader.count, many) / _weigh(reader.count, 0)
    return list(added)


def _find_stand_ins(reader: IndexReader, word: str) -> list[str]:
    """Words of the index that may mean the same: longer ones with it inside, else shorter ones of which it is made."""
    if len(word) < _SHORTEST and not (len(word) == _SHORTEST - 1 and "\u0600" <= word[0] <= "\u06ff"):
        return []
    longer = reader.list_words_with(word, most=_STAND_INS) if word.isalnum() else []
    spelled = list_spellings(word)
    parts = [stems for one in (word, *spelled) for stems in list_stems(one)]
    known = reader.count_words((*spelled, *(stem for stems in parts for stem in stems)))
    shorter = [stem for stems in parts if (stem := next((one for one in stems if one in known), ""))]
    alike = [other for other in spelled if other in known]
    return [other for other in dict.fromkeys((*longer, *alike, *shorter)) if other != word]


def _find_files(reader: IndexReader, filters: Filters) -> list[int] | None:
    """Ids of the files that the filters let through; None where they let all."""
    if not filters.sources and not filters.keys:
        return None
    return [
        number
        for source, keys, number in reader.list_ids()
        if fits_source(source, filters) and all(keys.get(name) in wanted for name, wanted in filters.keys.items())
    ]


def fits_source(source: str, filters: Filters) -> bool:
    """Whether one of the patterns means this file; without any, all are meant. Capitals are as small letters."""
    path = source.lower()
    return not filters.sources or any(match_path(path, one.lower()) for one in filters.sources)


def fits_page(found: FoundPassage, filters: Filters) -> bool:
    """Whether the passage stands on the page, or on one of the pages, that are wanted."""
    if filters.page is None:
        return True
    first, last = (filters.page, filters.page) if isinstance(filters.page, int) else filters.page
    return found.passage.page is not None and first <= found.passage.page <= last
