"""Terms: the words of a question, and of a text as it is indexed.

The index splits text at everything except letters and digits (SQLite's `unicode61`), and knows no words of languages
written without blanks. So each character of those is indexed alone, and two neighbouring ones are a term.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese and Korean characters."""
_ONE_ALONE = re.compile(f"[{_ALONE}]")
_LATIN_MARKS = re.compile("[\u0300-\u036f]+")
_WORD = re.compile(r"\S+")
_INDEXED = re.compile(rf"[{_ALONE}](?<=\w)|[^\W_{_ALONE}]+")
_ASCII_INDEXED = re.compile(r"[a-z0-9]+")
_RUN = re.compile(f"[{_ALONE}]+|[^{_ALONE}]+")
_WRITTEN_OUT = re.compile("([aou])e")
"""An umlaut written as two letters."""
_ENDINGS = ("ations", "ation", "ings", "ing", "ions", "ion", "ers", "er", "ed", "es", "ly", "al", "s", "e", "y")
_SHORTEST_PART = 5
"""Letters of the shortest part that may be a substitute for its compound."""
_LONGEST_ENDING = 3
"""Letters of the longest ending, as in Häus-ern."""
_QUESTION_CHARS = 2_000
_MOST_TERMS = 48


@dataclass(frozen=True, slots=True)
class Term:
    """One or more neighbouring words of the index; with `is_open` the last one is a prefix."""

    parts: tuple[str, ...]
    is_open: bool = False

    @property
    def word(self) -> str:
        """The term's only word; "" where it has several."""
        return self.parts[0] if len(self.parts) == 1 else ""

    def write(self) -> str:
        """The term in SQLite's query syntax."""
        return f'"{" ".join(self.parts)}"{" *" if self.is_open else ""}'


def spread(text: str) -> str:
    """The text as it is indexed."""
    return text if text.isascii() else _ONE_ALONE.sub(r" \g<0> ", fold_word(text))


def list_words(text: str) -> list[str]:
    """The words by which a text is found, in order."""
    folded = fold_word(text)
    return _ASCII_INDEXED.findall(folded) if folded.isascii() else _INDEXED.findall(folded)


def fold_word(word: str) -> str:
    """The word as the index writes it: in small letters, without accents."""
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFC", _LATIN_MARKS.sub("", unicodedata.normalize("NFD", word.lower())))


def list_terms(question: str) -> list[Term]:
    """The terms of a question, each once; the last word may be a prefix."""
    words = fold_word(question[:_QUESTION_CHARS].encode("utf-8", "replace").decode("utf-8"))
    found = list(dict.fromkeys(term for word in _WORD.findall(words) for term in _read_word(word)))
    kept = found[: _MOST_TERMS - 1] + found[_MOST_TERMS - 1 :][-1:]
    return [*kept[:-1], Term(kept[-1].parts, is_open=words[-1:].isalnum())] if kept else []


def list_stems(word: str) -> list[list[str]]:
    """Shorter words that may replace one that the index lacks: beginnings, and ends of a compound, the best first.

    `vertrage` (Verträge, folded): vertrag, …; `kundigungsfrist`: kundigung, … and frist, …; Arabic words without their
    article. A part of a compound has five letters or more: `password` is not about a pass. A word that only lacks its
    ending may have four: `hausern` (Häusern) is Haus.
    """
    if not word.isalpha() or len(word) < 4 or len(word) > 60:
        return []
    if "\u0600" <= word[0] <= "\u06ff":
        return [[word[cut:] for cut in (1, 2, 3) if len(word) - cut >= 2]]
    least = 4 if len(word) - 4 <= _LONGEST_ENDING else _SHORTEST_PART
    beginnings = [word[:end] for end in range(len(word) - 1, least - 1, -1)]
    return [beginnings, [word[begin:] for begin in range(3, len(word) - _SHORTEST_PART + 1)]]


def list_spellings(word: str) -> list[str]:
    """Other spellings of a German word, with umlauts or ß, or without ß: for `kuendigung`, `kundigung`, which is
    Kündigung as the index folds it; for `strasse`, `straße`."""
    plain = _WRITTEN_OUT.sub(r"\1", word)
    others = (plain, plain.replace("ss", "ß"), word.replace("ss", "ß"), word.replace("ß", "ss"))
    return list(dict.fromkeys(other for other in others if other != word))


def cut_ending(word: str) -> str:
    """An English word without its ending: `delet` for delete, deleted, deleting and deletion; four letters stay."""
    return next((word[: -len(end)] for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 4), word)


def _read_word(word: str) -> Iterator[Term]:
    for run in _RUN.findall(word):
        if _ONE_ALONE.match(run):
            parts = [one for one in run if one.isalnum()]
            if len(parts) == 1:
                yield Term((parts[0],))
            yield from (Term(pair) for pair in pairwise(parts))
        else:
            yield from _read_run(run)


def _read_run(run: str) -> Iterator[Term]:
    """The terms of letters and digits: parts divided by vowel signs, as in Hindi, are one term, parts divided by signs
    like - are several."""
    for word in re.split(r"[^\w\u0300-\u1fff]+|_", run) if not run.isascii() else re.split(r"[^a-z0-9]+", run):
        parts = tuple(part for part in re.split(r"[\W_]+", word) if part)
        if parts:
            yield Term(parts)
