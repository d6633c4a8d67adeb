"""Searches an index: chooses the words to look up, finds substitutes for words that the index lacks, and ranks
passages.

The ranking is BM25 over a passage's heading, the headings above that, and the text: an index finds passages with any of
the words, and the best of them are ranked here.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from flowground.core.errors import RunError
from flowground.core.media_types import match_path
from flowground.core.words import list_names, show, suggest
from flowground.knowledge.index import FoundPassage, IndexedFile
from flowground.knowledge.index_file import IndexReader
from flowground.knowledge.terms import Term, cut_ending, list_spellings, list_stems, list_terms, list_words

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

_IN_HEADING, _ABOVE = 5.0, 2.0
"""The weights of a word in a passage's heading; and in the headings above it, or in the file's path."""
_SATURATION, _LENGTH = 1.2, 0.6
"""BM25's k1 and b."""
_NEAR, _TOGETHER = 3, 0.3
"""Two neighbouring words of the question add this share of the less rare one's weight where a passage has them at most
so many words apart."""
_AGAIN = 0.85
"""The factor by which a passage sinks for each better one of its section, so that other sections get a place."""
_HALF = 12.0
"""Letters of a word that has half of its weight by rarity, where it occurs once in a passage."""
_STRONG_SHARE = 0.3
"""The weight, as a share of the highest, that a word needs to count in pairs of neighbours."""
LEAST_SCORE = 0.02
"""The lowest score of a passage that has anything of the question."""
Score = tuple[FoundPassage, float]
_Met = tuple[int, int, float]
"""A match of a question's word in a text: the position in the text, the position in the question, and the share that
the match counts."""
MOST_HITS = 100
_FUSED = 30
"""The least number of passages that words and vectors each find, where both are used."""
_OF_VECTORS = 0.6
"""The share of the vectors' score where there are vectors."""
_RANKED = 50
"""The least number of passages that an index returns for a question, of which the best are ranked."""
_BUDGET, _BUDGET_SHARE = 2_000, 0.1
"""The most passages in which all looked-up words may occur together, and the same as a share of a large knowledge: the
commonest words beyond that are not looked up."""
_RARE_SHARE = 0.25
"""The rarity, as a share of the rarest word's, that a word needs to be looked up while others find enough."""
_SUBSTITUTE_SHARE = 0.8
"""The highest share at which a substitute counts: a word that contains a word of the question, or is a part of it."""
_MOST_SUBSTITUTES = 8
"""The most longer words that may be substitutes for one word."""
_SHORTEST = 4
"""Letters of the shortest word that has other forms or substitutes."""
_LOOKED_AT, _FORMS = 200, 10
"""The most words with the same beginning that are checked for other forms; and the most forms that are looked up."""
_ENDING = 2
"""Letters by which another form may be longer."""
_MOST_VALUES = 50
"""The most values of one filter."""
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A word of the question in an index of so many `passages`: how many of them have each term that counts for it,
    itself first, and at which share."""

    term: Term
    passages: int
    counts: dict[Term, int]
    shares: dict[Term, float]

    @property
    def is_known(self) -> bool:
        return any(self.counts.values())

    @property
    def rarity(self) -> float:
        number = sum(many for term, many in self.counts.items() if self.shares[term] == 1.0)
        return _weigh(self.passages, min(self.passages, number))

    @property
    def begin(self) -> str:
        """Where the last word is unknown, words that begin like this count for it; "" for all others."""
        return self.term.word if self.term.is_open and not self.is_known else ""


@dataclass(frozen=True, slots=True)
class _ReadPassage:
    """The matches of the question in one passage: in the file's path, the outer headings, the innermost heading, and
    the body of `length` words."""

    found: FoundPassage
    path: Sequence[_Met]
    above: Sequence[_Met]
    heading: Sequence[_Met]
    body: Sequence[_Met]
    length: int


class Ranking:
    """Ranks passages for one question."""

    def __init__(self, asked: Sequence[AskedWord]) -> None:
        self._asked = asked
        self._starts: dict[str, list[tuple[Term, int, float]]] = {}
        for at, word in enumerate(asked):
            for term, share in word.shares.items():
                self._starts.setdefault(term.parts[0], []).append((term, at, share))
        self._begin, self._begun = next(((word.begin, at) for at, word in enumerate(asked) if word.begin), ("", 0))

    def choose(self, found: Sequence[FoundPassage], *, most: int, weighed: Collection[int] = ()) -> list[Score]:
        """The best passages, at most `most`, with places for several sections, in the order of their scores. The
        passages with the ids `weighed` decide how much each word counts; where none is there, all passages do.

        A score is from 0 to 1: 1 would be every word of the question, very often, and in the heading.
        """
        read = [self._read(one) for one in found]
        self._weigh([one for one in read if one.found.id in weighed] or read)
        mean = sum(one.length for one in read) / max(1, len(read))
        scored = sorted(((one.found, self._measure(one, mean)) for one in read), key=lambda pair: -pair[1])
        sections: Counter[tuple[str, str]] = Counter()
        placed = []
        for one, score in scored:
            section = one.source, one.passage.trail
            if score >= LEAST_SCORE:
                placed.append((score * _AGAIN ** sections[section], one, score))
                sections[section] += 1
        chosen = sorted(placed, key=lambda triple: -triple[0])[:most]
        return sorted(((one, score) for _, one, score in chosen), key=lambda pair: -pair[1])

    def _weigh(self, read: Sequence[_ReadPassage]) -> None:
        """Sets the weight of each word: higher for rare and long words, and for words that recur in a passage. Function
        words are short in all languages and mostly occur once, so no list of them is needed.

        A word that no passage has, without substitutes, counts at most as the others do on average, and all such words
        together as much as the others: a passage may answer a part of a long question.
        """
        times: Counter[int] = Counter()
        passages: Counter[int] = Counter()
        for one in read:
            here = [at for _, at, _ in (*one.heading, *one.body)]
            times.update(here)
            passages.update(set(here))
        weights = []
        for at, word in enumerate(self._asked):
            letters = sum(map(len, next(iter(word.shares)).parts)) * (times[at] / (passages[at] or 1) or 1) ** 2
            weights.append(math.sqrt(word.rarity) * letters / (_HALF + letters))
        known = [weight for weight, word in zip(weights, self._asked, strict=True) if word.is_known]
        most = sum(known) / max(len(known), len(weights) - len(known)) if known else 1.0
        self._weights = [
            weight if word.is_known else min(weight, most) for weight, word in zip(weights, self._asked, strict=True)
        ]
        strong = [at for at, weight in enumerate(self._weights) if weight >= _STRONG_SHARE * max(self._weights)]
        self._strong, self._next = set(strong), dict(pairwise(strong))
        self._pairs = {
            one: min(self._weights[one], self._weights[other]) * _TOGETHER for one, other in self._next.items()
        }
        self._most = sum(self._weights) + sum(self._pairs.values())

    def _read(self, found: FoundPassage) -> _ReadPassage:
        outer, _, heading = found.passage.trail.rpartition(" › ")
        body = list_words(found.passage.text)
        path, above, head = (self._match(list_words(text)) for text in (found.source, outer, heading))
        return _ReadPassage(found, path, above, head, self._match(body), len(body))

    def _match(self, words: Sequence[str]) -> list[_Met]:
        met = [
            (place, at, share)
            for place, word in enumerate(words)
            if word in self._starts
            for term, at, share in self._starts[word]
            if len(term.parts) == 1 or _matches(words[place : place + len(term.parts)], term)
        ]
        if self._begin:
            met += ((place, self._begun, 1.0) for place, word in enumerate(words) if word.startswith(self._begin))
            met.sort()
        return met

    def _measure(self, read: _ReadPassage, mean: float) -> float:
        counts: defaultdict[tuple[int, float], float] = defaultdict(float)
        near: defaultdict[int, float] = defaultdict(float)
        in_body = 1 / (1 - _LENGTH + _LENGTH * read.length / (mean or 1))
        texts = ((read.heading, _IN_HEADING), (read.above, _ABOVE), (read.body, in_body), (read.path, _ABOVE))
        if not (read.heading or read.above or read.body):
            return 0.0  # a match in the file's name alone is no answer
        for met, weight in texts:
            for _, at, share in met:
                counts[at, share] += weight
            for (place, at, _), (other, after, _) in pairwise([one for one in met if one[1] in self._strong]):
                if self._next.get(at) == after and other - place <= _NEAR:
                    near[at] += weight
        best: dict[int, float] = {}
        for (at, share), count in counts.items():
            best[at] = max(best.get(at, 0.0), share * _weigh_count(count))
        total = sum(self._weights[at] * share for at, share in best.items())
        total += sum(self._pairs[at] * _weigh_count(count) for at, count in near.items())
        return total / self._most


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions for passages: `sources` are patterns of paths, one of which must match; `page` is one page or a range;
    `keys` are values of the file's keys, one of which must match for each key."""

    sources: Collection[str] = ()
    page: int | tuple[int, int] | None = None
    keys: Mapping[str, Collection[str]] = field(default_factory=dict)


def read_filters(given: Mapping[str, Any]) -> Filters:
    """The filters `source`, `page` (a number, or first and last) and keys of files; a list matches any of its values.

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


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found. `start` and `end` are its characters in the text of `source`; `title` is the headings
    above it, else the title among the file's keys. `score`, from 0 to 1, is how much of the question it has."""

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
    """The best passages with their scores. Raises RunError where the index cannot be read, or the search takes too
    long."""
    terms = list_terms(question)
    if not terms or not reader.count:
        return []
    ids = _find_files(reader, filters)
    most = max(_RANKED, top_k) if filters.page is None else MOST_HITS * 5
    lookups = _look_up(reader, terms)
    asked = _choose(reader.count, lookups, least=_RARE_SHARE)
    first = found = {one.id: one for one in _ask(reader, asked, most, ids)}
    if len(found) < top_k:
        more = [other for one in lookups for other in _add_substitutes(reader, one)]
        more += [term for term in _choose(reader.count, lookups, least=0.0) if term not in {*asked, *more}]
        found = first | {one.id: one for one in _ask(reader, more, most, ids)}
    fitting = [one for one in found.values() if fits_page(one, filters)]
    return Ranking(lookups).choose(fitting, most=top_k, weighed=first)


def search_both(
    reader: IndexReader, vectors: "VectorReader", question: str, asked: Sequence[float], *, top_k: int, filters: Filters
) -> list[tuple[FoundPassage, float]]:
    """The best passages by words and vectors. Raises RunError, and ValueError for a vector of the wrong length."""
    wide = max(_FUSED, top_k)
    by_words = search_words(reader, question, top_k=wide, filters=filters)
    files = _find_files(reader, filters)
    ids = None if files is None else reader.list_passage_ids(files)
    most = wide if filters.page is None else MOST_HITS * 5
    nearest = vectors.search(asked, most=most, ids=ids)
    found = {one.id: one for one, _ in by_words}
    missing = reader.read([number for number in nearest if number not in found])
    found |= {number: one for number, one in missing.items() if fits_page(one, filters)}
    scores = fuse({one.id: score for one, score in by_words}, vectors.compare(asked, list(found)))
    return [(found[number], score) for number, score in scores if number in found and score >= LEAST_SCORE][:top_k]


def fuse(by_words: Mapping[int, float], by_vectors: Mapping[int, float]) -> list[tuple[int, float]]:
    """Ids of passages with the weighted mean of both scores, the best first; a missing score is 0."""
    ids = dict.fromkeys((*by_words, *by_vectors))
    share = _OF_VECTORS
    scores = {one: (1 - share) * by_words.get(one, 0.0) + share * by_vectors.get(one, 0.0) for one in ids}
    return sorted(scores.items(), key=lambda pair: -pair[1])


def fits_source(source: str, filters: Filters) -> bool:
    """Whether a pattern matches this file, or there are no patterns; the case of letters does not matter."""
    path = source.lower()
    return not filters.sources or any(match_path(path, one.lower()) for one in filters.sources)


def fits_page(found: FoundPassage, filters: Filters) -> bool:
    """Whether the passage is on a wanted page."""
    if filters.page is None:
        return True
    first, last = (filters.page, filters.page) if isinstance(filters.page, int) else filters.page
    return found.passage.page is not None and first <= found.passage.page <= last


def explain_unmatched(filters: Filters, files: Collection[IndexedFile]) -> str:
    """A sentence about the first filter that no file matches; "" where each matches one, or there are no files."""
    if not files:
        return ""
    if not any(fits_source(file.source, filters) for file in files):
        return f"No file is called {_show(filters.sources)}, which the filter `source` wants."
    for name, wanted in filters.keys.items():
        values = {file.keys[name] for file in files if name in file.keys}
        if not values:
            known = sorted({key for file in files for key in file.keys})
            others = f"there are {list_names(known[:_MOST_NAMED])}" if known else "there are none"
            says = f"The filter `{name}` is a key of no file{suggest(name, known)}"
            return f"{says}: keys are `name: value` lines between two `---` that begin a Markdown file; {others}."
        if values.isdisjoint(wanted):
            nearest = next((near for value in wanted if (near := suggest(value, values))), "")
            return f"No file has {name}: {_show(wanted)}, which the filter wants{nearest}."
    return ""


def _matches(words: Sequence[str], term: Term) -> bool:
    """Whether the words are the term's; the last word of an open term is a prefix."""
    *first, last = term.parts
    return list(words[:-1]) == first and (words[-1].startswith(last) if term.is_open else words[-1] == last)


def _weigh_count(count: float) -> float:
    return count / (count + _SATURATION)


def _list_wanted(name: str, value: Any) -> tuple[str, ...]:
    """The values of a filter as texts, with true and false as YAML writes them. Each file is compared with all of
    them."""
    several = value if isinstance(value, list) else [value]
    if len(several) > _MOST_VALUES:
        raise RunError(f"The filter `{name}` has {len(several):,} values; {_MOST_VALUES} are the most.")
    if not several or not all(isinstance(one, str | int | float) for one in several):
        raise RunError(f"The filter `{name}` is a text, or a list of texts, one of which is meant, not {show(value)}.")
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in several)


def _ask(reader: IndexReader, terms: Sequence[Term], most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
    return reader.search(terms, most=most, ids=ids) if terms else []


def _look_up(reader: IndexReader, terms: Sequence[Term]) -> list[AskedWord]:
    """Every word of the question with its other forms, or with its substitutes where the index has none of them."""
    counts = reader.count_words({part for term in terms for part in term.parts})
    lookups = []
    for term in terms:
        here = {term: min(counts.get(part, 0) for part in term.parts)}
        if term.word:
            here |= {Term((form,)): many for form, many in _find_forms(reader, term.word).items()}
        lookups.append(AskedWord(term, reader.count, here, dict.fromkeys(here, 1.0)))
    for one, other, joined, many in _join_neighbours(reader, lookups):
        for both in (one, other):
            both.counts[joined], both.shares[joined] = many, 1.0
    for one in lookups:
        if not one.is_known:
            _add_substitutes(reader, one)
    return lookups


def _choose(passages: int, lookups: Sequence[AskedWord], *, least: float) -> list[Term]:
    """The terms to look up: the rarest words up to the budget, with at least the share `least` of the highest rarity.
    Words without passages follow where they are prefixes or consist of several parts."""
    weighed = [(one.rarity, one.counts) for one in lookups]
    least *= max((rarity for rarity, counts in weighed if any(counts.values())), default=0.0)
    counts = {term: many for rarity, own in weighed if rarity >= least for term, many in own.items()}
    known = sorted((number, at, term) for at, (term, number) in enumerate(counts.items()) if number)
    budget = max(_BUDGET, passages * _BUDGET_SHARE)
    total = accumulate(number for number, _, _ in known)
    chosen = [term for (_, _, term), all_so_far in zip(known, total, strict=True) if all_so_far <= budget]
    open_ones = [term for term, number in counts.items() if not number and (term.is_open or not term.word)]
    return [*(chosen or [term for _, _, term in known[:1]]), *open_ones]


def _join_neighbours(
    reader: IndexReader, lookups: Sequence[AskedWord]
) -> Iterator[tuple[AskedWord, AskedWord, Term, int]]:
    """Words of the index made of two neighbouring words of the question, with their counts: MessageHistory,
    Urlaubsantrag."""
    pairs = {a.term.word + b.term.word: (a, b) for a, b in pairwise(lookups) if a.term.word and b.term.word}
    for word, many in reader.count_words(pairs).items():
        yield *pairs[word], Term((word,)), many


def _find_forms(reader: IndexReader, word: str) -> dict[str, int]:
    """Other forms of a word, which differ in their ending, with the number of passages that each occurs in."""
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
    """The weight of a word that occurs in so many passages: one in all passages has a twentieth of one in a single
    passage."""
    return max(0.05 * math.log(1 + passages), math.log(1 + (passages - number + 0.5) / (number + 0.5)))


def _add_substitutes(reader: IndexReader, word: AskedWord) -> list[Term]:
    """Adds the substitutes of a word, compounds and parts of it, and returns the new ones."""
    found = _find_substitutes(reader, word.term.word) if word.term.word else []
    added = {Term((one,)): many for one, many in reader.count_words(found).items()}
    added = {term: many for term, many in added.items() if term not in word.counts}
    for term, many in added.items():
        word.counts[term] = many
        word.shares[term] = _SUBSTITUTE_SHARE * _weigh(reader.count, many) / _weigh(reader.count, 0)
    return list(added)


def _find_substitutes(reader: IndexReader, word: str) -> list[str]:
    """Words of the index that may mean the same: longer ones that contain the word, else shorter ones that are a part
    of it."""
    if len(word) < _SHORTEST and not (len(word) == _SHORTEST - 1 and "\u0600" <= word[0] <= "\u06ff"):
        return []
    longer = reader.list_words_with(word, most=_MOST_SUBSTITUTES) if word.isalnum() else []
    spelled = list_spellings(word)
    parts = [stems for one in (word, *spelled) for stems in list_stems(one)]
    known = reader.count_words((*spelled, *(stem for stems in parts for stem in stems)))
    shorter = [stem for stems in parts if (stem := next((one for one in stems if one in known), ""))]
    alike = [other for other in spelled if other in known]
    return [other for other in dict.fromkeys((*longer, *alike, *shorter)) if other != word]


def _find_files(reader: IndexReader, filters: Filters) -> list[int] | None:
    """Ids of the files that match the filters; None where all do."""
    if not filters.sources and not filters.keys:
        return None
    return [
        number
        for source, keys, number in reader.list_ids()
        if fits_source(source, filters) and all(keys.get(name) in wanted for name, wanted in filters.keys.items())
    ]


def _show(wanted: Collection[str]) -> str:
    """The first values, as `"a" or "b"`."""
    return " or ".join([show(one) for one in wanted][:_MOST_NAMED])
