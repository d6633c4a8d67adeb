"""Tools on the wire of OpenAI's chat completions, as its API reference and the servers that speak it have them."""

import json
from functools import partial
from typing import Any

import pytest

from flowground.core.errors import ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.core.messages import Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.providers.base import Completion, ModelCall, ToolSpec
from flowground.providers.event_stream import MOST_CALL_CHARS, MOST_CALLS
from tests.chat_answers import DONE, delta, model, openai
from tests.wire import HANG_UP, chunked, fault_of, hear, hear_end, whole

PLACE = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
WEATHER = ToolSpec("get_weather", "The weather of a city.", PLACE)
CLOCK = ToolSpec("get_time", "The time now.", {"type": "object", "properties": {}})
ASKED = Message("user", "What is the weather like in Boston today?")
CALL = ModelCall("small", (ASKED,), {}, tools=(WEATHER, CLOCK))
BOSTON = ToolCall("call_abc123", "get_weather", {"location": "Boston, MA"})
NO_ANSWER = "The provider 'mine' answered with something that is not a chat completion."


def called(*calls: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One event of a stream with these pieces of tool calls."""
    choice = {"index": 0, "delta": {"tool_calls": list(calls), **more}, "finish_reason": finish}
    return {"model": "small-2026", "choices": [choice]}


def piece(index: Any, arguments: Any = None, *, key: Any = None, name: Any = None) -> dict[str, Any]:
    given = {"index": index, "id": key, "type": "function" if key else None}
    function = {"name": name, "arguments": arguments}
    given["function"] = {key: value for key, value in function.items() if value is not None}
    return {key: value for key, value in given.items() if value is not None}


WRONG: list[Any] = [7, "sig", [], None, True]
first = partial(piece, key="a", name="get_time")
second = partial(piece, key="b", name="get_time")


def answered(*calls: Any, text: str | None = None, finish: str = "tool_calls", **more: Any) -> bytes:
    message = {"role": "assistant", "content": text, "tool_calls": list(calls), **more}
    return whole({"model": "small-2026", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})


async def end_of(*events: Any) -> Completion:
    """What a stream of these events, and its usual end, comes to."""
    return await hear_end(model([chunked(*events, delta(finish="tool_calls"), DONE)]), CALL)


async def calls_of(*events: Any) -> tuple[ToolCall, ...]:
    return (await end_of(*events)).tool_calls


async def test_tools_are_offered_and_a_whole_answer_calls_one() -> None:
    said = piece(None, '{\n"location": "Boston, MA"\n}', key="call_abc123", name="get_weather")
    async with model([answered(said)]) as (provider, server):
        answer = await provider.complete(CALL)
        assert answer == Completion("", "small-2026", None, "tool_calls", (BOSTON,))
        body = server.asked[0].body
        function = {"name": "get_weather", "description": "The weather of a city.", "parameters": WEATHER.parameters}
        assert body["tools"][0] == {"type": "function", "function": function}
        assert (len(body["tools"]), "tool_choice" in body) == (2, False)
        result = Message("tool", (ToolResult("call_abc123", "get_weather", "22 °C"),))
        await provider.complete(ModelCall("small", (ASKED, answer.message, result), {}, tools=(WEATHER,)))
        roles = [(message["role"], message["content"] is None) for message in server.asked[1].body["messages"]]
        assert roles == [("user", False), ("assistant", True), ("tool", False)]


async def test_calls_side_by_side_are_put_together_from_their_pieces() -> None:
    events = [
        called(piece(0, "", key="call_abc123", name="get_weather"), role="assistant", content=None),
        called(piece(0, '{"loca')),
        called(piece(1, "", key="call_2", name="get_time")),
        called(piece(0, 'tion": "Boston'), piece(1, "{}")),
        called(piece(0, ', MA"}')),
    ]
    assert await calls_of(*events) == (BOSTON, ToolCall("call_2", "get_time", {}))


async def test_a_call_comes_with_the_end_alone_and_text_before_it_as_it_comes() -> None:
    usage = {"prompt_tokens": 80, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 64}}
    call = called(piece(0, '{"location": "Boston, MA"}', key="call_abc123", name="get_weather"))
    end = (delta(finish="tool_calls"), {"choices": [], "usage": usage}, DONE)
    async with model([chunked(delta("Let me "), delta("look."), call, *end)]) as (provider, _):
        wanted = Completion("Let me look.", "small-2026", Usage(80, 9, 64), "tool_calls", (BOSTON,))
        assert await hear(provider, CALL) == ["Let me ", "look.", wanted]


@pytest.mark.parametrize(
    "events",
    [
        # Ollama and Gemini: whole calls, each under index 0, or none
        [called(first(0, "{}")), called(second(0, "{}"))],
        [called(first(None, "{}"), second(None, "{}"))],
        # id and name repeated with every piece
        [called(first(0, "{"), second(1, "{")), called(first(0, "}"), second(1, "}"))],
        # vLLM: a new id with every piece
        [called(first(0, "{"), second(1, "{")), called(piece(0, "}", key="x"), piece(1, "}", key="y"))],
        # arguments that were parsed already, or none
        [called(first(0, {}), second(1, None))],
        # signatures that are none
        *([called(first(0, "{}") | {"extra_content": sig}, second(1, "{}"))] for sig in WRONG),
    ],
)
async def test_the_liberties_of_servers_are_understood(events: list[Any]) -> None:
    assert await calls_of(*events) == (ToolCall("a", "get_time", {}), ToolCall("b", "get_time", {}))


async def test_a_signed_call_is_given_back_to_who_signed_it_alone() -> None:
    """As Gemini does; it takes none back without."""
    extra = {"google": {"thought_signature": "c2ln„"}}
    signed = first(0, "{}") | {"extra_content": extra}
    stream = chunked(called(signed), called(piece(0, "")), delta(finish="tool_calls"), DONE)
    async with model([stream], [answered(signed)]) as (provider, _):
        streamed = (await hear(provider, CALL))[-1]
        assert streamed == await provider.complete(CALL)
    assert isinstance(streamed, Completion)
    (call,) = streamed.tool_calls
    assert call.provider == "mine"
    for name, given in (("mine", {"extra_content": extra}), ("other", {})):
        body = openai(name=name).write(ModelCall("m", (streamed.message,), {}), {}, is_streamed=False)
        (written,) = json.loads(body)["messages"][0]["tool_calls"]
        assert written == {"id": "a", "type": "function", "function": {"name": "get_time", "arguments": "{}"}} | given


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call"])
async def test_an_answer_that_calls_tools_ended_for_them(reason: str) -> None:
    async with model([answered(first(None, "{}"), finish=reason)]) as (provider, _):
        assert (await provider.complete(CALL)).finish_reason == "tool_calls"
    end = await end_of(called(first(0, "{}"), finish="length"))
    assert end.finish_reason == "tool_calls"  # the last word counts


@pytest.mark.parametrize(
    ("arguments", "misfit"),
    [
        ('{"location": "Bos', "The arguments are no JSON: "),
        ("Boston", "The arguments are no JSON: "),
        ('{"degrees": NaN}', "The arguments are no JSON: "),
        ('{"location": "\\ud800"}', "The arguments are no JSON: "),
        ("[" * 100_000, "The arguments are no JSON: "),
        ('{"location": ' + "[" * 300 + "]" * 300 + "}", "The arguments are nested too deeply."),
        ('["Boston"]', "The arguments are no JSON object."),
        ("null", "The arguments are no JSON object."),
    ],
)
async def test_arguments_that_are_none_are_told_to_the_model_and_raise_nothing(arguments: str, misfit: str) -> None:
    (call,) = await calls_of(called(piece(0, arguments, key="a", name="get_weather")))
    assert (call.id, call.name, call.arguments) == ("a", "get_weather", {})
    assert (call.misfit or "").startswith(misfit)
    async with model([answered(piece(None, arguments, key="a", name="get_weather"))]) as (provider, _):
        assert (await provider.complete(CALL)).tool_calls == (call,)


def test_a_conversation_with_calls_and_results_is_written_as_it_was() -> None:
    thought = Reasoning("Boston is meant.", "mine", "reasoning_content")
    messages = (
        ASKED,
        Message("assistant", (thought, TextPart("I look."), BOSTON, ToolCall("call_2", "get_time", {}))),
        Message("tool", (ToolResult("call_abc123", "w", "22 °C"), ToolResult("call_2", "get_time", "?", True))),
        Message("assistant", (Reasoning("Enough.", "mine", "reasoning_content"), TextPart("It is 22 °C."))),
    )
    call = ModelCall("small", messages, {})
    function = {"name": "get_weather", "arguments": '{"location":"Boston, MA"}'}
    calls = [
        {"id": "call_abc123", "type": "function", "function": function},
        {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
    ]
    said = {"role": "assistant", "content": "I look.", "reasoning_content": "Boston is meant.", "tool_calls": calls}
    written: list[dict[str, Any]] = [
        {"role": "user", "content": "What is the weather like in Boston today?"},
        said,
        {"role": "tool", "tool_call_id": "call_abc123", "content": "22 °C"},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: ?"},
        {"role": "assistant", "content": "It is 22 °C."},
    ]
    assert json.loads(openai(name="mine").write(call, {}, is_streamed=False))["messages"] == written
    del said["reasoning_content"]  # it is for the provider alone that thought so
    assert json.loads(openai(name="other").write(call, {}, is_streamed=False))["messages"] == written


# What a server does that is broken, slow or hostile


@pytest.mark.parametrize("index", [-1, 1.5, "0", True, [0]])
async def test_an_index_that_is_none_is_no_answer(index: Any) -> None:
    async with model([chunked(called({"index": index, "id": "a", "function": {}}), DONE)]) as (provider, _):
        assert (await fault_of(hear(provider, CALL), ProviderRefused)).message == NO_ANSWER


BROKEN = [{"function": 7}, {"function": {"name": 7}}, {"id": 7}, {"function": {"arguments": 7}}]


@pytest.mark.parametrize("calls", [7, "abc", ["abc"], [7], *([call] for call in BROKEN)])
async def test_what_is_no_tool_call_is_no_answer(calls: Any) -> None:
    broken = {"choices": [{"message": {"tool_calls": calls}, "delta": {"tool_calls": calls}}]}
    async with model([whole(broken)], [chunked(broken, DONE)]) as (provider, _):
        for ask in (provider.complete(CALL), hear(provider, CALL)):
            assert (await fault_of(ask, ProviderRefused)).message == NO_ANSWER


async def test_more_calls_than_there_may_be_are_refused_by_number() -> None:
    most = [piece(index, "{}", key=f"c{index}", name="get_time") for index in range(MOST_CALLS + 1)]
    assert len(await calls_of(called(*most[:-1]))) == MOST_CALLS
    far = [called(piece(10**18 + index, "{}", key=f"c{index}", name="get_time")) for index in range(MOST_CALLS + 1)]
    for events in ([called(*most)], far):
        with pytest.raises(ProviderRefused, match="The provider 'mine' called more than 64 tools at once"):
            await end_of(*events)
    async with model([answered(*most)]) as (provider, _):
        assert "called more than 64 tools at once" in (await fault_of(provider.complete(CALL), ProviderRefused)).message


@pytest.mark.parametrize("part", ["arguments", "name", "key", "extra"])
async def test_calls_that_grow_without_end_are_refused_while_they_do(part: str) -> None:
    """Each event repeats a hundred thousand characters; none is kept beyond the bound."""
    long = "x" * 100_000
    grows = {"arguments": piece(0, long), "extra": piece(0) | {"extra_content": {"x": long}}}
    grow = grows.get(part) or piece(0, **{part: long})
    events = [called(piece(0, "", key="a", name="get_weather")), *[called(grow)] * 50]
    async with model([chunked(*events, end=False), 60.0], seconds=30) as (provider, _):
        refused = await fault_of(hear(provider, CALL), ProviderRefused)
        assert refused.message == f"The provider 'mine' called tools with more than {MOST_CALL_CHARS:,} characters."


async def test_a_break_among_arguments_is_a_broken_connection_and_no_call() -> None:
    begun = chunked(called(piece(0, '{"loc', key="a", name="get_weather")), end=False)
    for then, seconds, fault in ((HANG_UP, 30, ProviderUnreachable), (60.0, 0.5, ProviderTimeout)):
        async with model([begun, then], seconds=seconds, retries=0) as (provider, _):
            await fault_of(hear(provider, CALL), fault)
