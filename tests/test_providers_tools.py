"""Tools on the wire of OpenAI's chat completions, as its API reference and the servers that speak it have them."""

import json
from contextlib import aclosing
from typing import Any

import pytest

from flowground.errors import ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.messages import Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.providers.base import Completion, ModelCall, Piece, ToolSpec
from flowground.providers.chat_request import write_call
from flowground.providers.openai import OpenAI
from flowground.providers.tool_calls import MOST_CALL_CHARS, MOST_CALLS
from tests.chat_answers import DONE, KEY, delta, model
from tests.wire import HANG_UP, Part, chunked, event, whole

pytestmark = pytest.mark.anyio

WEATHER = ToolSpec(
    "get_weather",
    "The weather of a city.",
    {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
)
CLOCK = ToolSpec("get_time", "The time now.", {"type": "object", "properties": {}})
ASKED = Message("user", "What is the weather like in Boston today?")
CALL = ModelCall("small", (ASKED,), {}, tools=(WEATHER, CLOCK))
BOSTON = ToolCall("call_abc123", "get_weather", {"location": "Boston, MA"})
NO_ANSWER = "The provider 'mine' answered with something that is not a chat completion."


def called(*calls: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One event of a stream with these pieces of tool calls."""
    return {
        "model": "small-2026",
        "choices": [{"index": 0, "delta": {"tool_calls": list(calls), **more}, "finish_reason": finish}],
    }


def piece(index: Any, arguments: Any = None, *, key: Any = None, name: Any = None) -> dict[str, Any]:
    given = {"index": index, "id": key, "type": "function" if key else None}
    function = {"name": name, "arguments": arguments}
    given["function"] = {key: value for key, value in function.items() if value is not None}
    return {key: value for key, value in given.items() if value is not None}


def answered(*calls: Any, text: str | None = None, finish: str = "tool_calls", **more: Any) -> bytes:
    message = {"role": "assistant", "content": text, "tool_calls": list(calls), **more}
    return whole({"model": "small-2026", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})


async def heard(provider: OpenAI) -> list[Piece]:
    async with aclosing(provider.stream(CALL)) as pieces:
        return [piece async for piece in pieces]


async def end_of(*events: Any) -> Completion:
    """What a stream of these events, and its usual end, comes to."""
    async with model([chunked(*events, delta(finish="tool_calls"), DONE)]) as (provider, _):
        end = (await heard(provider))[-1]
        assert isinstance(end, Completion)
        return end


async def calls_of(*events: Any) -> tuple[ToolCall, ...]:
    return (await end_of(*events)).tool_calls


async def test_tools_are_offered_and_a_whole_answer_calls_one() -> None:
    said = piece(None, '{\n"location": "Boston, MA"\n}', key="call_abc123", name="get_weather")
    async with model([answered(said)]) as (provider, server):
        assert await provider.complete(CALL) == Completion(
            "", "small-2026", finish_reason="tool_calls", tool_calls=(BOSTON,)
        )
        body = server.asked[0].body
        assert body["tools"][0] == {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "The weather of a city.",
                "parameters": {
                    "type": "object",
                    "properties": {"location": {"type": "string"}},
                    "required": ["location"],
                },
            },
        }
        assert len(body["tools"]) == 2
        assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("choice", "written"),
    [("none", "none"), ("get_time", {"type": "function", "function": {"name": "get_time"}})],
)
def test_which_tool_is_to_be_called_is_said(choice: str, written: Any) -> None:
    call = ModelCall("small", (ASKED,), {}, tools=(CLOCK,), tool_choice=choice)
    assert json.loads(write_call(call, is_streamed=False, renamed={}))["tool_choice"] == written


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
    events = [
        delta("Let me "),
        delta("look."),
        called(piece(0, '{"location": "Boston, MA"}', key="call_abc123", name="get_weather")),
        delta(finish="tool_calls"),
        {"choices": [], "usage": usage},
    ]
    async with model([chunked(*events, DONE)]) as (provider, _):
        assert await heard(provider) == [
            "Let me ",
            "look.",
            Completion("Let me look.", "small-2026", Usage(80, 9, 64), "tool_calls", (BOSTON,)),
        ]


@pytest.mark.parametrize(
    "events",
    [
        # Ollama and Gemini: whole calls, each under index 0, or none
        [called(piece(0, "{}", key="a", name="get_time")), called(piece(0, "{}", key="b", name="get_time"))],
        [called(piece(None, "{}", key="a", name="get_time"), piece(None, "{}", key="b", name="get_time"))],
        # id and name repeated with every piece
        [
            called(piece(0, "{", key="a", name="get_time"), piece(1, "{", key="b", name="get_time")),
            called(piece(0, "}", key="a", name="get_time"), piece(1, "}", key="b", name="get_time")),
        ],
        # vLLM: a new id with every piece
        [
            called(piece(0, "{", key="a", name="get_time"), piece(1, "{", key="b", name="get_time")),
            called(piece(0, "}", key="x"), piece(1, "}", key="y")),
        ],
        # arguments that were parsed already, or none
        [called(piece(0, {}, key="a", name="get_time"), piece(1, None, key="b", name="get_time"))],
    ],
    ids=["one index", "no index", "repeated", "new ids", "parsed"],
)
async def test_the_liberties_of_servers_are_understood(events: list[Any]) -> None:
    assert await calls_of(*events) == (ToolCall("a", "get_time", {}), ToolCall("b", "get_time", {}))


async def test_a_signed_call_is_given_back_to_who_signed_it_alone() -> None:
    """As Gemini does; it takes none back without."""
    extra = {"google": {"thought_signature": "c2ln„"}}
    signed = piece(0, "{}", key="a", name="get_time") | {"extra_content": extra}
    stream = chunked(called(signed), called(piece(0, "")), delta(finish="tool_calls"), DONE)
    async with model([stream], [answered(signed)]) as (provider, _):
        streamed = (await heard(provider))[-1]
        assert streamed == await provider.complete(CALL)
    assert isinstance(streamed, Completion)
    (call,) = streamed.tool_calls
    assert call.provider == "mine"
    for name, given in (("mine", {"extra_content": extra}), ("other", {})):
        body = write_call(ModelCall("m", (streamed.message,), {}), is_streamed=False, renamed={}, provider=name)
        (written,) = json.loads(body)["messages"][0]["tool_calls"]
        assert written == {"id": "a", "type": "function", "function": {"name": "get_time", "arguments": "{}"}} | given


@pytest.mark.parametrize("extra", [7, "sig", [], None, True])
async def test_a_signature_that_is_none_is_left_out(extra: Any) -> None:
    call = piece(0, "{}", key="a", name="get_time") | {"extra_content": extra}
    assert await calls_of(called(call)) == (ToolCall("a", "get_time", {}),)


async def test_every_call_has_an_id_of_its_own() -> None:
    twice = (piece(0, "{}", key="a", name="get_time"), piece(1, "{}", key="a", name="get_time"))
    keys = [call.id for call in await calls_of(called(*twice), called(piece(2, "{}", name="get_time")))]
    assert keys[0] == "a"
    assert len(set(keys)) == 3
    assert all(keys)


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call"])
async def test_an_answer_that_calls_tools_ended_for_them(reason: str) -> None:
    async with model([answered(piece(None, "{}", key="a", name="get_time"), finish=reason)]) as (provider, _):
        assert (await provider.complete(CALL)).finish_reason == "tool_calls"
    end = await end_of(called(piece(0, "{}", key="a", name="get_time"), finish="length"))
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


async def test_a_letter_that_is_cut_in_two_among_arguments_is_joined() -> None:
    begin, end = called(piece(0, '{"location": "\ud83d', key="a", name="get_weather")), called(piece(0, '\ude00"}'))
    assert (await calls_of(begin, end))[0].arguments == {"location": "😀"}


def test_a_conversation_with_calls_and_results_is_written_as_it_was() -> None:
    thought = Reasoning("Boston is meant.", "mine", "reasoning_content")
    messages = (
        ASKED,
        Message("assistant", (thought, TextPart("I look."), BOSTON, ToolCall("call_2", "get_time", {}))),
        Message(
            "tool", (ToolResult("call_abc123", "get_weather", "22 °C"), ToolResult("call_2", "get_time", "?", True))
        ),
        Message("assistant", (Reasoning("Enough.", "mine", "reasoning_content"), TextPart("It is 22 °C."))),
    )
    call = ModelCall("small", messages, {})
    function = {"name": "get_weather", "arguments": '{"location":"Boston, MA"}'}
    written: list[dict[str, Any]] = [
        {"role": "user", "content": "What is the weather like in Boston today?"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Boston is meant.",
            "tool_calls": [
                {"id": "call_abc123", "type": "function", "function": function},
                {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_abc123", "content": "22 °C"},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: ?"},
        {"role": "assistant", "content": "It is 22 °C."},
    ]
    assert json.loads(write_call(call, is_streamed=False, renamed={}, provider="mine"))["messages"] == written
    del written[1]["reasoning_content"]  # it is for the provider alone that thought so
    assert json.loads(write_call(call, is_streamed=False, renamed={}, provider="other"))["messages"] == written


async def test_the_second_round_is_what_the_first_one_gave_and_the_results() -> None:
    first = answered(piece(None, '{"location": "Boston, MA"}', key="call_abc123", name="get_weather"))
    async with model([first], [chunked(delta("22 °C."), delta(finish="stop"), DONE)]) as (provider, server):
        end = await provider.complete(CALL)
        result = Message("tool", (ToolResult("call_abc123", "get_weather", "22 °C"),))
        again = ModelCall("small", (ASKED, end.message, result), {}, tools=(WEATHER,))
        async with aclosing(provider.stream(again)) as pieces:
            assert await anext(pieces) == "22 °C."
        assert [message["role"] for message in server.asked[1].body["messages"]] == ["user", "assistant", "tool"]
        assert server.asked[1].body["messages"][1]["content"] is None


# What a server does that is broken, slow or hostile


@pytest.mark.parametrize("index", [-1, 1.5, "0", True, [0]])
async def test_an_index_that_is_none_is_no_answer(index: Any) -> None:
    async with model([chunked(called({"index": index, "id": "a", "function": {}}), DONE)]) as (provider, _):
        with pytest.raises(ProviderRefused, match=NO_ANSWER):
            await heard(provider)


@pytest.mark.parametrize(
    "calls",
    [
        7,
        "abc",
        ["abc"],
        [7],
        [{"function": 7}],
        [{"function": {"name": 7}}],
        [{"id": 7}],
        [{"function": {"arguments": 7}}],
    ],
)
async def test_what_is_no_tool_call_is_no_answer(calls: Any) -> None:
    broken = {"choices": [{"message": {"tool_calls": calls}, "delta": {"tool_calls": calls}}]}
    async with model([whole(broken)], [chunked(broken, DONE)]) as (provider, _):
        for ask in (provider.complete(CALL), heard(provider)):
            with pytest.raises(ProviderRefused, match=NO_ANSWER):
                await ask


async def test_more_calls_than_there_may_be_are_refused_by_number() -> None:
    most = [piece(index, "{}", key=f"c{index}", name="get_time") for index in range(MOST_CALLS + 1)]
    assert len(await calls_of(called(*most[:-1]))) == MOST_CALLS
    far = [called(piece(10**18 + index, "{}", key=f"c{index}", name="get_time")) for index in range(MOST_CALLS + 1)]
    for events in ([called(*most)], far):
        with pytest.raises(ProviderRefused, match="The provider 'mine' called more than 64 tools at once"):
            await end_of(*events)
    async with model([answered(*most)]) as (provider, _):
        with pytest.raises(ProviderRefused, match="called more than 64 tools at once"):
            await provider.complete(CALL)


@pytest.mark.parametrize("part", ["arguments", "name", "key", "extra"])
async def test_calls_that_grow_without_end_are_refused_while_they_do(part: str) -> None:
    """Each event repeats a hundred thousand characters; none is kept beyond the bound."""
    long = "x" * 100_000
    grows = {"arguments": piece(0, long), "extra": piece(0) | {"extra_content": {"x": long}}}
    grow = grows.get(part) or piece(0, **{part: long})
    events = [called(piece(0, "", key="a", name="get_weather")), *[called(grow)] * 50]
    async with model([chunked(*events, end=False), 60.0], seconds=30) as (provider, _):
        with pytest.raises(ProviderRefused) as refused:
            await heard(provider)
        said = f"The provider 'mine' called tools with more than {MOST_CALL_CHARS:,} characters."
        assert refused.value.message == said


async def test_a_stream_of_nothing_but_pieces_without_text_ends() -> None:
    """Ten million empty pieces would be 500 MB; the stream is given up long before."""
    some = event(b"".join(b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\n' for _ in range(20_000)))
    async with model([chunked(end=False), *[some] * 500], seconds=60) as (provider, _):
        with pytest.raises(Exception, match="longer than 500,000 characters"):
            await heard(provider)


async def test_a_break_among_arguments_is_a_broken_connection_and_no_call() -> None:
    begun: list[Part] = [chunked(called(piece(0, '{"loc', key="a", name="get_weather")), end=False), HANG_UP]
    async with model(begun, retries=0) as (provider, _):
        with pytest.raises(ProviderUnreachable):
            await heard(provider)
    late: list[Part] = [begun[0], 60.0]
    async with model(late, seconds=0.5, retries=0) as (provider, _):
        with pytest.raises(ProviderTimeout):
            await heard(provider)


async def test_a_refusal_of_tools_is_told_in_the_servers_words_without_the_key() -> None:
    said = {"error": {"message": f"registry.ollama.ai/library/gemma:2b does not support tools ({KEY})"}}
    async with model([whole(said, status="400 Bad Request")]) as (provider, _):
        with pytest.raises(ProviderRefused) as refused:
            await provider.complete(CALL)
        assert refused.value.message.endswith("gemma:2b does not support tools (…)")
