"""What is said where a limit lets no more in: what was reached, by whom, and when there is more."""

import pytest

from flowground.core.caller import Caller
from flowground.runs.limits import limit_reached_error, write_reset
from flowground.runs.meter import Limit, LimitKind, LimitSubject, Remaining

MIA = Caller("member", "mia", "member")


def tell(caller: Caller, of: LimitSubject, what: LimitKind, most: float, resets: int | None) -> tuple[str, str | None]:
    found = Remaining(Limit(of, what, most, f"limits.{of}.{what}"), most, resets)
    refused = limit_reached_error(found, caller, currency="EUR")
    return refused.message, refused.hint


def test_a_program_is_told_its_limit_and_the_setting() -> None:
    for person, begins in (
        (None, "This token may start 2 runs a minute."),
        ("mia", "Your programs and pages may together start 2 runs a minute."),
    ):
        for resets_in, seconds in ((31, 31), (None, 60)):
            told = tell(Caller("token", "t", "member", person=person), "person", "runs_per_minute", 2, resets_in)
            hint = f"Try again in {seconds} s. The limit is set by limits.person.runs_per_minute."
            assert told == (begins, hint)


@pytest.mark.parametrize(
    ("caller", "of", "hint"),
    [
        (MIA, "person", "The limit is 3 a minute."),
        (Caller("token", "try:mia", "member"), "person", "The limit is 3 a minute."),
        (MIA, "address", "Many messages are coming from your network."),
        (MIA, "flow", "This flow answers 3 times a minute."),
        (Caller("token", "t", "member"), "flow", "This flow answers 3 times a minute."),
    ],
)
def test_a_person_is_told_when_they_may_go_on(caller: Caller, of: LimitSubject, hint: str) -> None:
    assert tell(caller, of, "runs_per_minute", 3, 5) == ("You can send the next message in 5 s.", hint)


def test_of_a_day_one_is_told_what_was_used_and_when_it_begins_anew() -> None:
    used = "used the 1,000 tokens that {} may use a day; the limit resets at 00:00 UTC, in 2 h."
    assert tell(MIA, "person", "tokens_per_day", 1_000, 7_200)[0] == f"You have {used.format('you')}"
    assert tell(MIA, "flow", "tokens_per_day", 1_000, 7_200)[0] == f"This flow has {used.format('it')}"
    assert "used the 0.5 EUR that you" in tell(MIA, "person", "money_per_day", 0.5, 60)[0]


def test_the_rest_of_a_day_is_said_in_hours_and_minutes() -> None:
    said = {3_601: "2 h", 3_600: "60 min", 7_200: "2 h", 86_400: "24 h", 61: "2 min", 60: "1 min", 3_539: "59 min"}
    limit = Limit("person", "tokens_per_day", 1, "x")
    found = {seconds: write_reset(Remaining(limit, 1, seconds)) for seconds in said}
    assert found == {seconds: f"at 00:00 UTC, in {words}" for seconds, words in said.items()}
    assert write_reset(Remaining(limit, 1, None)) == ""
