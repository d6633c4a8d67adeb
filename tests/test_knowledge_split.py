"""Texts cut into passages: nothing is lost, nothing is too long, and cuts are where something ends."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowground.knowledge import split
from flowground.knowledge.split import split_text

SENTENCES = " ".join(f"This is sentence number {number}." for number in range(100))


def test_cuts_are_between_sentences_and_some_is_said_again() -> None:
    passages = split_text(SENTENCES, size=300, overlap=100)
    for before, after in pairwise(passages):
        assert SENTENCES[before.start : before.end].endswith(".")
        assert SENTENCES[after.start :].startswith("This is")
        assert 0 < before.end - after.start <= 100
    passages = split_text(SENTENCES, size=300, overlap=0)
    assert " ".join(SENTENCES[one.start : one.end] for one in passages) == SENTENCES, "nothing twice without overlap"


def test_a_section_begins_its_own_passage_and_knows_its_headings() -> None:
    long = SENTENCES[:600]
    text = f"# Handbook\n\n{long}\n\n## Travel ##\n\n{long}\n\n### Hotels\n\nLyon.\n\n# Food\n\nNone."
    passages = split_text(text, size=800, overlap=100)
    assert [(text[one.start : one.start + 8], one.trail) for one in passages] == [
        ("# Handbo", ("Handbook",)),
        ("## Trave", ("Handbook", "Travel")),
        ("### Hote", ("Handbook", "Travel", "Hotels")),
    ]
    (only,) = split_text("# One\n\n```sh\n# two\n```\n#three\n")
    assert only.trail == ("One",), "what looks like a heading in code is none"
    (only,) = split_text("  Hello there.\n")
    assert (only.start, only.end, only.trail) == (2, 14, ())


def test_a_separator_is_where_text_is_cut_and_nowhere_else() -> None:
    text = "one. two|three four|five"
    passages = split_text(text, size=12, overlap=0, separator="|")
    assert [text[one.start : one.end] for one in passages] == ["one. two|", "three four|", "five"]


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab .\n#`\u3002\u00e4-", max_size=600), size=st.integers(10, 120), share=st.integers(0, 5))
def test_every_word_is_in_a_passage_of_the_size(text: str, size: int, share: int) -> None:
    passages = split_text(text, size=size, overlap=size * share // 10)
    held: set[int] = set()
    for one in passages:
        assert 0 < one.end - one.start <= size
        held.update(range(one.start, one.end))
    assert [at for at, character in enumerate(text) if not character.isspace() and at not in held] == []
    starts = [one.start for one in passages]
    assert starts == sorted(set(starts))


def test_a_long_text_takes_time_that_grows_with_it() -> None:
    """Ten times the text, in no more than thirty times the time."""

    def measure(text: str) -> float:
        begun = time.process_time()
        split_text(text)
        return time.process_time() - begun

    for piece in ("a" * 10_000, "# a\n" * 2_500, " " * 10_000, "`" * 10_000, ". " * 5_000):
        assert measure(piece * 100) < max(0.5, 30 * measure(piece * 10))


@given(st.text(alphabet='ab.!"” \n。', max_size=60))
def test_windows_find_what_one_search_finds(text: str) -> None:
    whole = split_text(text, size=8, overlap=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(split, "_WINDOW", 5)
        assert split_text(text, size=8, overlap=2) == whole
