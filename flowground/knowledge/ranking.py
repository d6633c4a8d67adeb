"""How well a passage answers a question: BM25 over its heading, what stands above it, and its text.

Pure, and the same for every index: that finds passages with any of the words, and the best of those are ordered here.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
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
_HALF = 12.0
"""Letters of a word that counts half of what its rarity says, where it stands once in a passage."""
_TELLS = 0.3
"""What a word must count, of what the one counts that counts most, to be a neighbour."""
LEAST_SCORE = 0.02
"""What has less has nothing of the question."""
Score = tuple[FoundPassage, float]
_Met = tuple[int, int, float]
"""A word of the question in a text: the number of the word there and in the question, and how far it stands for it."""


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A word of the question: `shares` are the terms that stand for it in the index, itself the first, each with how
    far it does, and `rarity` is how rare it is there. Where nothing stands for the last word, those do that begin with
    `begin`; "" of all others."""

    shares: Mapping[Term, float]
    rarity: float
    is_known: bool = True
    begin: str = ""


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

    def choose(self, found: Sequence[FoundPassage], *, most: int, weighed: Collection[int] = ()) -> list[Score]:
        """At most so many of the passages, of the best sections, in the order of their scores. Those with the ids
        `weighed` tell how much each word counts; where none of them is there, all do.

        A score is from 0 to 1: 1 would be all that was asked for, again and again, and in the heading.
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
        """How much each word counts: the more, the rarer it is, the longer, and the more often it comes again where it
        stands. Words of every subject are short in all languages, and mostly stand once: no list of them is needed.

        A word that no passage has, nor anything for it, counts as the others do on average at most; all such words
        together as much as the others: of a long question a passage may answer a part.
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
        telling = [at for at, weight in enumerate(self._weights) if weight >= _TELLS * max(self._weights)]
        self._telling, self._next = set(telling), dict(pairwise(telling))
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
            return 0.0  # a file's name alone is no answer
        for met, weight in texts:
            for _, at, share in met:
                counts[at, share] += weight
            for (place, at, _), (other, after, _) in pairwise([one for one in met if one[1] in self._telling]):
                if self._next.get(at) == after and other - place <= _NEAR:
                    near[at] += weight
        best: dict[int, float] = {}
        for (at, share), count in counts.items():
            best[at] = max(best.get(at, 0.0), share * _weigh_count(count))
        total = sum(self._weights[at] * share for at, share in best.items())
        total += sum(self._pairs[at] * _weigh_count(count) for at, count in near.items())
        return total / self._most


def _matches(words: Sequence[str], term: Term) -> bool:
    """Whether the words are the term's; of an open one the last may go on."""
    *first, last = term.parts
    return list(words[:-1]) == first and (words[-1].startswith(last) if term.is_open else words[-1] == last)


def _weigh_count(count: float) -> float:
    return count / (count + _SATURATION)
