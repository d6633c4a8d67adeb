"""Tools of the built-in model, which knows none: what it is asked instead, and what its JSON is taken for."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from flowground.messages import Message, Reasoning, ToolCall, ToolResult
from flowground.providers.base import Completion, ModelCall, Piece, ToolSpec
from flowground.providers.builtin.chosen_tool import put_tools_into_words, read_choice
from tests.tiny import own_file

pytestmark = pytest.mark.anyio

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("weather", "The weather of a city.", CITY)
CLOCK = ToolSpec("clock", "The time now.", {"type": "object", "properties": {}})
ASKED = Message("user", "How is Oslo?")
CALL = ModelCall("local", (Message("system", "Be kind."), ASKED), {}, tools=(WEATHER, CLOCK))


async def chosen(*said: Piece) -> list[Piece]:
    async def speak() -> AsyncGenerator[Piece, None]:
        for piece in said:
            yield piece

    return [piece async for piece in read_choice(speak(), 2)]


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def test_the_model_is_asked_for_one_call_or_an_answer() -> None:
    asked = put_tools_into_words(CALL)
    assert (asked.tools, asked.messages[1:]) == ((), (ASKED,))
    told = "Be kind.\n\nYou can call these tools:\n\n- weather: The weather of a city."
    assert asked.messages[0].text.startswith(told)
    assert "- clock: The time now. Arguments: {}" in asked.messages[0].text
    calls = [closed(tool={"const": tool.name}, arguments=tool.parameters) for tool in (WEATHER, CLOCK)]
    assert asked.response_schema == {"anyOf": [*calls, closed(answer={"type": "string"})]}


def test_a_tool_that_has_to_be_called_leaves_no_other_choice() -> None:
    asked = put_tools_into_words(ModelCall("local", (ASKED,), {}, tools=(WEATHER, CLOCK), tool_choice="clock"))
    assert asked.response_schema
    assert [one["properties"].get("tool") for one in asked.response_schema["anyOf"]] == [{"const": "clock"}]


@pytest.mark.parametrize("may_call", [True, False])
def test_calls_and_results_are_told_in_words(may_call: bool) -> None:
    given = (ToolResult("c", "weather", "7 °C"), ToolResult("d", "clock", "broken", is_error=True))
    made = (Reasoning("hm"), ToolCall("c", "weather", {"city": "Oslo"}), ToolCall("d", "clock", {}))
    messages = (ASKED, Message("assistant", made), Message("tool", given))
    asked = put_tools_into_words(ModelCall("local", messages, {}, tools=(WEATHER,) if may_call else ()))
    end = "Reply with the answer, or call another tool." if may_call else "Reply with the answer."
    assert asked.messages[1 if may_call else 0 :] == (
        ASKED,
        Message("assistant", '{"tool": "weather", "arguments": {"city": "Oslo"}}'),
        Message("assistant", '{"tool": "clock", "arguments": {}}'),
        Message("user", f"Result of weather: 7 °C\nError of clock: broken\n\n{end}"),
    )
    assert (asked.response_schema is not None) == may_call


async def test_a_call_is_no_text() -> None:
    said = '{"tool": "weather", "arguments": {"city": "Oslo"}}'
    call = ToolCall("call_2", "weather", {"city": "Oslo"})
    pieces = await chosen("{", said[1:], Completion(said, "m", None, "stop"))
    assert pieces == [Completion("", "m", None, "tool_calls", (call,))]


async def test_an_answer_is_its_text() -> None:
    said, text = json.dumps({"answer": "Cold „brr“\n"}), "Cold „brr“\n"
    pieces = await chosen(said, Completion(said, "m", None, "stop"))
    assert pieces == [text, Completion(text, "m", None, "stop")]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ('{"answer": "It is co', "It is co"),
        ('{ "answer" : "It is \\u00', "It is "),
        ('{"answer": "It is \\', "It is "),
        ('{"tool": "weather", "argu', ""),
        ('{"tool": "weather", "arguments": 7}', ""),
        ("{", ""),
        ("7", ""),
    ],
)
async def test_what_max_tokens_cut_is_shown_as_far_as_it_is_an_answer(said: str, text: str) -> None:
    *pieces, end = await chosen(said, Completion(said, "m", None, "length"))
    assert pieces == ([text] if text else [])
    assert end == Completion(text, "m", None, "length")


async def test_the_process_is_sent_a_schema_and_no_tools(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        assert local.takes("local").tools
        without = await local.complete(ModelCall("local", (ASKED,), {}))
        assert without.text == "tiny: How is Oslo? ['max_tokens', 'messages', 'model']"
        # What this process answers is no JSON: nothing of it is an answer.
        assert (await local.complete(CALL)).text == ""
        none = await local.complete(ModelCall("local", (ASKED,), {}, tools=(CLOCK,), tool_choice="none"))
        assert none.text == without.text
