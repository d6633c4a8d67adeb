"""What a page may send, told apart before anything is asked: shapes, bounds, and how many parts a frame may have."""

import json
from typing import Any

import pytest

from flowground.conversation.frames import (
    ChooseFrame,
    OpenFrame,
    RateFrame,
    SayFrame,
    StopFrame,
    UnreadableFrame,
    find_id,
    read_frame,
)
from flowground.conversation.held_overrides import hold_short
from flowground.errors import InvalidRequest

SAY: dict[str, Any] = {"type": "say", "id": "1", "session": "s", "text": "hi"}
MANY = 5_000


def refuse(frame: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        read_frame(json.dumps(frame))
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (SAY, SayFrame(type="say", id="1", session="s", text="hi")),
        (SAY | {"id": "~" * 64, "session": "x" * 200}, SayFrame(type="say", id="~" * 64, session="x" * 200, text="hi")),
        ({"type": "open", "session": "s"}, OpenFrame(type="open", session="s", after=None, tweaks={})),
        ({"type": "stop"}, StopFrame(type="stop", run=None)),
        ({"type": "stop", "run": "!"}, StopFrame(type="stop", run="!")),
        ({"type": "choose", "session": "s", "message": "m"}, ChooseFrame(type="choose", session="s", message="m")),
        (
            {"type": "rate", "session": "s", "message": "m", "value": None},
            RateFrame(type="rate", session="s", message="m", value=None),
        ),
    ],
)
def test_what_pages_send_is_read(sent: dict[str, Any], read: object) -> None:
    assert read_frame(json.dumps(sent)) == read


@pytest.mark.parametrize("number", [1, 2**53])
def test_a_page_that_was_cut_off_says_how_far_it_came(number: int) -> None:
    frame = read_frame(json.dumps({"type": "open", "session": "s", "after": {"run": "r", "number": number}}))
    assert isinstance(frame, OpenFrame)
    assert frame.after is not None
    assert frame.after.number == number


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({}, "type"),
        (SAY | {"id": ""}, "id"),
        (SAY | {"id": "~" * 65}, "id"),
        (SAY | {"session": ""}, "session"),
        (SAY | {"session": "x" * 201}, "session"),
        (SAY | {"id": "", "more": 1}, "id"),
        (SAY | {"more": 1}, "more"),
        (SAY | {"m" * 100: 1}, "m" * 64),
        ({"type": "open", "session": "s", "after": {"run": "r", "number": 0}}, "after.number"),
        ({"type": "open", "session": "s", "after": {"run": "r", "number": 2**53 + 1}}, "after.number"),
        ({"type": "rate", "session": "s", "message": "m"}, "value"),
    ],
)
def test_any_other_shape_is_refused_by_its_place(sent: dict[str, Any], place: str) -> None:
    told = f"This page sent something that the server does not know: {place}."
    assert refuse(sent) == (told, "Reload the page.")


@pytest.mark.parametrize("sent", ["", "[]", "1", '{"type": "say"'])
def test_what_is_no_object_is_unreadable(sent: str) -> None:
    with pytest.raises(UnreadableFrame) as caught:
        read_frame(sent)
    assert caught.value.message == "That was no JSON object."


def make_parts(count: int) -> str:
    """A frame of just so many commas and brackets, in a place where they count."""
    own = SAY | {"tweaks": {"Model": {"stop": []}}}
    text = json.dumps(own, separators=(",", ":"))
    extra = count - sum(text.count(sign) for sign in ",[{")
    return text.replace("[]", json.dumps([0] * (extra + 1), separators=(",", ":")))


def test_a_frame_has_five_thousand_parts_at_most() -> None:
    read = read_frame(make_parts(MANY))
    assert isinstance(read, SayFrame)
    assert len(read.tweaks["Model"]["stop"]) > 4_900
    with pytest.raises(UnreadableFrame) as caught:
        read_frame(make_parts(MANY + 1))
    assert caught.value.message == "That had too many parts."
    assert isinstance(read_frame(make_parts(MANY).replace('"hi"', '"h,i"')), SayFrame)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_frame_has_two_hundred_levels_at_most(opening: str, closing: str) -> None:
    """Its own, those of the tweaks and of their component, and what lies in the field."""

    def nest(levels: int) -> str:
        own = json.dumps(SAY | {"tweaks": {"Model": {"stop": None}}})
        return own.replace("null", opening * (levels - 3) + "0" + closing * (levels - 3))

    assert isinstance(read_frame(nest(200)), SayFrame)
    for levels in (201, 900, 1_020):
        with pytest.raises(UnreadableFrame, match="That had too many levels"):
            read_frame(nest(levels))


@pytest.mark.parametrize("signs", [",", "[", "{", r"\",", r"\\,"])
def test_signs_in_a_text_are_no_parts(signs: str) -> None:
    read = read_frame(f'{{"type":"say","id":"1","session":"s","text":"{signs * (MANY + 1)}"}}')
    assert isinstance(read, SayFrame)


def test_countless_short_texts_are_not_looked_through() -> None:
    with pytest.raises(UnreadableFrame, match="too many parts"):
        read_frame("[" + ",".join(['"x"'] * (2 * MANY + 1)) + "]")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ('{"id": "a"}', "a"),
        (json.dumps({"id": "x" * 64}), "x" * 64),
        (json.dumps({"id": "x" * 65}), None),
        ('{"id": 7}', None),
        ("[]", None),
        ("{", None),
    ],
)
def test_the_page_is_told_which_message_was_refused(sent: str, name: str | None) -> None:
    assert find_id(sent) == name


def test_of_many_overrides_the_shortest_are_held() -> None:
    """Ten thousand characters of them, as JSON."""
    assert hold_short({}) == {}
    short: dict[str, Any] = {"A": {"model": "m", "n": 1}, "B": {"stream": True}}
    assert hold_short(short) == short
    rest = 10_000 - sum(len(json.dumps([name, *pair])) for name, own in short.items() for pair in own.items())
    frame = len(json.dumps(["C", "text", ""]))
    assert hold_short(short | {"C": {"text": "x" * (rest - frame)}}) == short | {"C": {"text": "x" * (rest - frame)}}
    assert hold_short(short | {"C": {"text": "x" * (rest - frame + 1)}}) == short
