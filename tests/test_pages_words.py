"""How texts and figures are written on a page."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flowground.caller import Caller
from flowground.messages import Usage
from flowground.store.people.tokens import StoredToken
from flowground.ui.api_access.tokens import write_token_facts
from flowground.ui.page import words
from flowground.words import write_size


def test_plain_takes_everything_as_letters() -> None:
    assert words.escape("A *b* [c](d)\n# $e$ :red[f]") == r"A \*b\* \[c\]\(d\) \# \$e\$ \:red\[f\]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0001, "under 1 ms"), (0.042, "42 ms"), (0.999, "1.0 s"), (1.24, "1.2 s"), (12.3, "12 s"), (75, "1 min 15 s")],
)
def test_seconds(value: float, shown: str) -> None:
    assert words.write_seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.1, "1 s"), (6.2, "6 s"), (59.4, "59 s"), (59.6, "1 min"), (75, "2 min"), (4000, "67 min")]
)
def test_about_is_as_exact_as_a_guess(value: float, shown: str) -> None:
    assert words.round_seconds(value) == shown


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("six letters", 11, "six letters"),
        ("six letters", 10, "six lette…"),
        ("six letters", 5, "six…"),
        ("   ", 2, "…"),
    ],
)
def test_what_is_cut_ends_without_a_blank(text: str, most: int, shown: str) -> None:
    assert words.cut(text, most) == shown


def test_tokens_and_sizes() -> None:
    assert [words.write_tokens(usage) for usage in (None, Usage(0, 1), Usage(1200, 4))] == [
        "",
        "1 token",
        "1,204 tokens",
    ]
    assert [write_size(count) for count in (900, 42_000, 491_400_064, 1_200_000_000)] == [
        "1 kB",
        "42 kB",
        "491 MB",
        "1.2 GB",
    ]


def test_a_tokens_facts_are_one_line() -> None:
    day = datetime(2024, 12, 3, 12, tzinfo=UTC)
    token = StoredToken("id", "script", "fg_12345", "ada", None, day, None, None, None, 0)
    ada = Caller("member", "ada", "author")
    assert write_token_facts(ada, token, "", "first") == (
        "first · all flows · whatever its owner may · never used · does not expire"
    )
    used = replace(token, flows=("echo",), sees="answers", sets="opened", last_used_at=day, uses=1, expires_at=day)
    assert write_token_facts(ada, used) == (
        "echo only · sees answers · last used 3 Dec 2024 · 1 use · expired 3 Dec 2024"
    )
    assert write_token_facts(ada, replace(used, uses=1_000, expires_at=day.replace(year=2124))).endswith(
        "1,000 uses · expires 3 Dec 2124"
    )
