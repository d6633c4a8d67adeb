"""References, order and circles."""

import pytest

from flowground.components.template import parse_template
from flowground.flows.graph import Reference, Text, find_circle, parse_text, run_order


@pytest.mark.parametrize(
    "plain", ["", "no reference", "costs $5", "{name}", "${unclosed", "$ {A}", "{{A}}", "${two\nlines}"]
)
def test_text_without_references_has_no_parts(plain: str) -> None:
    assert parse_text(plain) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("${A}", (Reference("A"),)),
        ("${A.message}", (Reference("A", "message"),)),
        ("${A?}", (Reference("A", is_optional=True),)),
        ("${ext:ibm:Watsonx@official-x1.a.b}", (Reference("ext:ibm:Watsonx@official-x1", "a.b"),)),
        ("a ${A} b ${B-1.x}", ("a ", Reference("A", None, 2), " b ", Reference("B-1", "x", 9))),
        ("${A}${A}", (Reference("A"), Reference("A", None, 4))),
        ("$${A}", ("${A}",)),
        ("$$${A}", ("$${A}",)),
        ("${}", (Reference(""),)),
        ("${env:KEY}", (Reference("env:KEY"),)),
    ],
)
def test_references_are_told_from_text(text: str, parts: tuple[str | Reference, ...]) -> None:
    found = parse_text(text)
    assert found is not None
    assert found.parts == parts


def test_a_text_is_filled_with_values_that_are_not_looked_at_again() -> None:
    text = parse_text("${A}: ${B}")
    assert text is not None
    assert text.fill(lambda reference: {"A": "${B}", "B": "b"}[reference.component]) == "${B}: b"
    template = Text(("{name} ", Reference("A")), is_template=True)
    assert template.fill(lambda _: "{name} }") == "{name} {{name}} }}"
    assert Text((Reference("A"),), is_template=True).fill(lambda _: "{x}") == "{{x}}"
    escaped = parse_text("$${A} ${B}", is_template=True)
    assert escaped is not None
    assert parse_template(escaped.fill(lambda _: "{b}")).fill({}) == "${A} {b}"


@pytest.mark.parametrize(
    "text", ["a ${A}", "${A}${B}", "${A?}${B}", "${A?} ${B?}", "$${A}", "${A.x}", "${A?}", "${A?}${B.x?}"]
)
def test_sources_are_what_a_whole_text_is_made_of(text: str) -> None:
    found = parse_text(text)
    assert found is not None
    sources = {"${A.x}": ["A"], "${A?}": ["A"], "${A?}${B.x?}": ["A", "B"]}
    assert [reference.component for reference in found.sources] == sources.get(text, [])


def test_order_follows_what_waits_and_the_files_order_and_circles_are_found_and_left_out() -> None:
    waits = {"out": {"model"}, "model": {"in", "prompt"}, "in": set[str](), "prompt": set[str]()}
    assert run_order(waits) == ("in", "prompt", "model", "out")
    assert run_order({"b": (), "a": (), "c": ()}) == ("b", "a", "c")
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"d"}, "e": {"a"}, "f": ()}
    assert find_circle(graph) == ("a", "b", "c")
    assert run_order(graph) == ("f",)
    assert find_circle({"b": (), "d": {"d"}}) == ("d",)
    assert find_circle({"a": {"b"}, "b": ()}) == ()
