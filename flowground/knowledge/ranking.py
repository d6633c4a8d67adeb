"""How well a passage answers a question: BM25 over its heading, what stands above it, and its text.

Pure, and the same for every index: that finds passages with any of the words, and the best of those are ordered here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from flowground.knowledge.index import FoundPassage
from flowground.knowledge.terms import Term, list_words

_IN_HEADING, _ABOVE = 5.0, 2.0
"""How often a word counts that stands in a passage's heading; in the headings above that, or in the file's path."""
_SATURATION, _LENGTH = 1.2, 0.6
"""BM25's k1, and its b."""
_NEAR, _TOGETHER = 3, 0.3
"""Two words that follow each other in the question count more where they are at most so many words apart: by this part
of the less rare one's weight."""
_AGAIN = 0.85
"""A passage goes back by this factor for each better one of the same section, so that other sections are heard."""
Score = tuple[FoundPassage, float]


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A word of the question: `shares` are the terms that stand for it in the index, each with how far it does, and
    `weight` is how rare it is. A passage with weak words alone does not answer, unless nothing else is asked for; nor
    does one for the names of its file and folders alone. Where nothing stands for the last word, those do that begin
    with `begin`; "" of all others."""

    shares: Mapping[Term, float]
    weight: float
    is_weak: bool = False
    begin: str = ""


@dataclass(frozen=True, slots=True)
class _Met:
    """A word of the question in a text: the number of the word there, and in the question."""

    place: int
    asked: int
    share: float


@dataclass(frozen=True, slots=True)
class _ReadPassage:
    """What of the question the file's path, the headings, the innermost apart, and the body have; and how many words
    the body has."""

    found: FoundPassage
    path: Sequence[_Met]
    above: Sequence[_Met]
    heading: Sequence[_Met]
    body: Sequence[_Met]
    length: int


class Ranking:
    """Orders passages for one question."""

    def __init__(self, asked: Sequence[AskedWord]) -> None:
        self._asked = asked
        self._starts: dict[str, list[tuple[Term, int, float]]] = {}
        for at, word in enumerate(asked):
            for term, share in word.shares.items():
                self._starts.setdefault(term.parts[0], []).append((term, at, share))
        self._begin, self._begun = next(((word.begin, at) for at, word in enumerate(asked) if word.begin), ("", 0))
        self._pairs = [min(one.weight, other.weight) * _TOGETHER for one, other in pairwise(asked)]
        self._most = sum(word.weight for word in asked) + sum(self._pairs)
        self._is_weak = all(word.is_weak for word in asked)

    def sort(self, found: Sequence[FoundPassage]) -> list[Score]:
        """The passages with their scores, the best sections first.

        A score is from 0 to 1: 1 would be all that was asked for, again and again, and in the heading.
        """
        read = [self._read(one) for one in found]
        mean = sum(one.length for one in read) / max(1, len(read))
        scored = sorted(((one.found, self._measure(one, mean)) for one in read), key=lambda pair: -pair[1])
        sections: Counter[tuple[str, str]] = Counter()
        placed = []
        for one, score in scored:
            section = one.source, one.passage.trail
            placed.append((score * _AGAIN ** sections[section], one, score))
            sections[section] += 1
        return [(one, score) for _, one, score in sorted(placed, key=lambda triple: -triple[0])]

    def _read(self, found: FoundPassage) -> _ReadPassage:
        outer, _, heading = found.passage.trail.rpartition(" › ")
        body = list_words(found.passage.text)
        path, above, head = (self._match(list_words(text)) for text in (found.source, outer, heading))
        return _ReadPassage(found, path, above, head, self._match(body), len(body))

    def _match(self, words: Sequence[str]) -> list[_Met]:
        met = [
            _Met(place, at, share)
            for place, word in enumerate(words)
            if word in self._starts
            for term, at, share in self._starts[word]
            if len(term.parts) == 1 or _matches(words[place : place + len(term.parts)], term)
        ]
        if self._begin:
            met += (_Met(place, self._begun, 1.0) for place, word in enumerate(words) if word.startswith(self._begin))
            met.sort(key=lambda one: one.place)
        return met

    def _measure(self, read: _ReadPassage, mean: float) -> float:
        counts: Counter[tuple[int, float]] = Counter()
        near: Counter[int] = Counter()
        in_body = 1 / (1 - _LENGTH + _LENGTH * read.length / (mean or 1))
        texts = ((read.heading, _IN_HEADING), (read.above, _ABOVE), (read.body, in_body), (read.path, _ABOVE))
        if not any(self._is_weak or not self._asked[one.asked].is_weak for met, _ in texts[:-1] for one in met):
            return 0.0
        for met, weight in texts:
            for one in met:
                counts[one.asked, one.share] += weight  # type: ignore[assignment]  # a float counts too
            for one, other in pairwise(met):
                if other.asked == one.asked + 1 and other.place - one.place <= _NEAR:
                    near[one.asked] += weight  # type: ignore[assignment]
        best: dict[int, float] = {}
        for (at, share), count in counts.items():
            best[at] = max(best.get(at, 0.0), share * _weigh_count(count))
        total = sum(self._asked[at].weight * share for at, share in best.items())
        total += sum(self._pairs[at] * _weigh_count(count) for at, count in near.items())
        return total / self._most


def _matches(words: Sequence[str], term: Term) -> bool:
    """Whether the words are the term's; of an open one the last may go on."""
    *first, last = term.parts
    return list(words[:-1]) == first and (words[-1].startswith(last) if term.is_open else words[-1] == last)


def _weigh_count(count: float) -> float:
    return count / (count + _SATURATION)
