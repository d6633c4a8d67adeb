"""How a Conditional Router compares."""

import time
from typing import Any

import pytest

from flowground.core.errors import RunError
from tests.heartbeat import MOST
from tests.test_components import read, run


@pytest.mark.parametrize(
    ("operator", "text", "wanted", "is_exact", "holds"),
    [
        ("equals", "a", "a", True, True),
        ("equals", "A", "a", False, True),
        ("not equals", "a", "b", True, True),
        ("contains", "STRASSE", "straße", False, True),
        ("starts with", "abc", "ab", True, True),
        ("ends with", "abc", "ab", True, False),
        ("regex", "order 12", r"order \d+", True, True),
        ("regex", "ORDER 12", "order|bill", False, True),
        ("regex", "x" * 1_000_000, "(x+x+)+y", True, False),
        ("less than", "2", "10", True, True),
        ("less than or equal", "10", "10.0", True, True),
        ("greater than or equal", "1e3", "1000", True, True),
        ("greater than", "many", "1", True, False),
    ],
)
async def test_a_router_compares(operator: str, text: str, wanted: str, is_exact: bool, holds: bool) -> None:
    fields: dict[str, Any] = {"input_text": text, "operator": operator, "match_text": wanted}
    fields["case_sensitive"] = is_exact
    assert (await run("ConditionalRouter", **fields)).values == {f"{str(holds).lower()}_result": text}
    said = await run("ConditionalRouter", **fields, true_case_message="yes", false_case_message="no")
    assert read(said) == ("yes" if holds else "no")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "unclosed group"),
        ("(?=a)", "look-around"),
        ("a" * 1001, "limit"),
        ("([ab]{0,1000}){ 0 , 40 }c", "repeats"),
        ("((a?){0,50}){0,50}c", "repeats"),
        ("([^](]{0,1000}){0,40}c", "repeats"),
        ("([[:alpha:]]{0,1000}){0,40}c", "repeats"),
        ("(?x)(  # [\n  [ab]{0,1000}){0,40}c", "the flag `x`"),
        ("([a-z&&[^b]]{0,1000}){0,40}c", "a class stands inside a class"),
    ],
)
async def test_a_pattern_that_cannot_be_read_fails_by_its_reason(pattern: str, why: str) -> None:
    with pytest.raises(RunError, match=f"The pattern cannot be read: .*{why}"):
        await run("ConditionalRouter", input_text="x", operator="regex", match_text=pattern)


@pytest.mark.parametrize("pattern", ["(?:[ab]{0,1000}){0,}c", "(([ab]?){0,40}){0,40}c", "([ab]{0,100}){0,19}c"])
async def test_no_pattern_keeps_the_process_over_a_long_text(pattern: str) -> None:
    text = "ab" * 500_000
    await run("ConditionalRouter", input_text=text, operator="regex", match_text=pattern)  # it is compiled now
    begun = time.process_time()
    await run("ConditionalRouter", input_text=text, operator="regex", match_text=pattern)
    assert time.process_time() - begun < 10 * MOST  # without a bound it is half a minute
    usual = r"(?s).*\w{2,30}@[\w.]{3,60}\.[a-z]{2,10}"
    for said, port in ((" a@b.example.org", "false_result"), (" ab@example.org", "true_result")):
        text = "x" * 8_000 + said
        output = await run("ConditionalRouter", input_text=text, operator="regex", match_text=usual)
        assert list(output.values) == [port]


async def test_a_bracket_that_stands_for_itself_begins_no_flags() -> None:
    pattern = r"[0-9]+ ?\(?ext\.? ?[0-9]+\)?"
    output = await run("ConditionalRouter", input_text="12 (ext. 3)", operator="regex", match_text=pattern)
    assert "true_result" in output.values
