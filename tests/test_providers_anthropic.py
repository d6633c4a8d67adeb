"""Anthropic's Messages API on the wire, as its public documentation records it; broken and slow too."""

from contextlib import aclosing
from typing import Any

import pytest

from flowground.errors import AnswerTooLong, ProviderBusy, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.messages import FilePart, Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.providers.anthropic import AnthropicSettings
from flowground.providers.base import Completion, ModelCall, Piece, Provider, ToolSpec
from tests.anthropic_answers import ANSWER, KEY, PING, block, claude, named, start, stop, text, tool
from tests.opened_providers import open_providers
from tests.wire import HANG_UP, chunked, whole

pytestmark = pytest.mark.anyio

ASKED = (Message("system", "Be kind."), Message("user", "Hello"))
CALL = ModelCall("claude-opus-4-6", ASKED, {"temperature": 0.5, "seed": 7})
WEATHER = ToolSpec("get_weather", "The weather.", {"type": "object", "properties": {"location": {"type": "string"}}})
CLOCK = ToolSpec("get_time", "The time.", {"type": "object", "properties": {}})
MARK = {"cache_control": {"type": "ephemeral"}}
SIGNED = {"type": "thinking", "thinking": "First, 27 is 3³.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}


async def heard(provider: Provider, call: ModelCall = CALL) -> list[Piece]:
    async with aclosing(provider.stream(call)) as pieces:
        return [piece async for piece in pieces]


async def end_of(*events: dict[str, Any], **settings: Any) -> Completion:
    async with claude([named(start(), *events)], **settings) as (provider, _):
        end = (await heard(provider))[-1]
        assert isinstance(end, Completion)
        return end


async def test_a_stream_comes_as_text_with_its_counts() -> None:
    events = [start(), PING, *text(0, "Hello", "!"), *stop()]
    async with claude([named(*events)]) as (provider, server):
        wanted = Completion("Hello!", "claude-opus-4-6", Usage(25, 15), "stop")
        assert await heard(provider) == ["Hello", "!", wanted]
        (asked,) = server.asked
        assert asked.path == "/v1/messages"
        assert asked.headers["x-api-key"] == KEY
        assert asked.headers["anthropic-version"] == "2023-06-01"
        assert "authorization" not in asked.headers
        assert asked.body == {
            "model": "claude-opus-4-6",
            "max_tokens": 32_000,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
            "temperature": 0.5,
            "system": [{"type": "text", "text": "Be kind.", **MARK}],
            "stream": True,
        }


async def test_a_whole_answer() -> None:
    async with claude([ANSWER]) as (provider, server):
        assert await provider.complete(CALL) == Completion("Hello!", "claude-opus-4-6", Usage(12, 6), "stop")
        assert "stream" not in server.asked[0].body


async def test_a_server_that_cannot_stream_is_heard_all_the_same() -> None:
    async with claude([ANSWER]) as (provider, _):
        assert (await heard(provider))[0] == "Hello!"


@pytest.mark.parametrize(
    ("model", "options", "most"),
    [("claude-3-haiku-20240307", {}, 4_096), ("claude-opus-4-6", {}, 32_000), ("x", {"max_tokens": 9}, 9)],
)
async def test_the_longest_answer_is_always_said(model: str, options: dict[str, int], most: int) -> None:
    async with claude([ANSWER]) as (provider, server):
        await provider.complete(ModelCall(model, ASKED, options))
        assert server.asked[0].body["max_tokens"] == most


async def test_tokens_of_the_cache_are_counted_as_read_and_marks_can_be_left_out() -> None:
    usage = {"input_tokens": 21, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 188_086}
    events = [start(**usage), *text(0, "Hi"), *stop()]
    call = ModelCall("claude-opus-4-6", ASKED, {}, tools=(WEATHER, CLOCK))
    async with claude([named(*events)]) as (provider, server):
        end = (await heard(provider, call))[-1]
        assert isinstance(end, Completion)
        assert end.usage == Usage(188_207, 15, 188_086)
        body = server.asked[0].body
        assert [MARK.items() <= tool.items() for tool in body["tools"]] == [False, True]
    async with claude([named(*events)], prompt_cache=False) as (provider, server):
        await heard(provider, call)
        assert "cache_control" not in str(server.asked[0].body)


async def test_tools_are_called_side_by_side_and_their_results_given_back_in_one_message() -> None:
    events = [
        *text(0, "Okay, let's check."),
        *tool(1, "toolu_01T1x", "get_weather", "", '{"location":', ' "San Francisco, CA"}'),
        *tool(2, "toolu_02", "get_time"),
        *stop("tool_use"),
    ]
    end = await end_of(*events)
    calls = (
        ToolCall("toolu_01T1x", "get_weather", {"location": "San Francisco, CA"}),
        ToolCall("toolu_02", "get_time", {}),
    )
    assert (end.text, end.finish_reason, end.tool_calls) == ("Okay, let's check.", "tool_calls", calls)
    results = (
        Message("tool", (ToolResult("toolu_01T1x", "get_weather", "15 °C"),)),
        Message("tool", (ToolResult("toolu_02", "get_time", "no clock", True),)),
    )
    async with claude([ANSWER]) as (provider, server):
        again = ModelCall("m", (*ASKED, end.message, *results, Message("user", "So?")), {}, tools=(WEATHER, CLOCK))
        await provider.complete(again)
        assert server.asked[0].body["messages"][1:] == [
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Okay, let's check."},
                    {
                        "type": "tool_use",
                        "id": "toolu_01T1x",
                        "name": "get_weather",
                        "input": {"location": "San Francisco, CA"},
                    },
                    {"type": "tool_use", "id": "toolu_02", "name": "get_time", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_01T1x", "content": "15 °C"},
                    {"type": "tool_result", "tool_use_id": "toolu_02", "content": "no clock", "is_error": True},
                    {"type": "text", "text": "So?"},
                ],
            },
        ]
        assert server.asked[0].body["tools"][0] == {
            "name": "get_weather",
            "description": "The weather.",
            "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
        }


@pytest.mark.parametrize(("choice", "said"), [("none", {"type": "none"}), ("t", {"type": "tool", "name": "t"})])
async def test_which_tool_is_to_be_called_is_said(choice: str, said: dict[str, str]) -> None:
    async with claude([ANSWER], thinking="adaptive") as (provider, server):
        await provider.complete(ModelCall("m", ASKED, {}, tools=(CLOCK,), tool_choice=choice))
        assert server.asked[0].body["tool_choice"] == said
        assert ("thinking" in server.asked[0].body) == (choice == "none")  # the API refuses both together


async def test_thoughts_come_apart_and_go_back_with_their_signatures_to_who_thought_them() -> None:
    begun = {"type": "thinking", "thinking": "", "signature": ""}
    deltas = [
        {"type": "thinking_delta", "thinking": "First, "},
        {"type": "thinking_delta", "thinking": "27 is 3³."},
        {"type": "signature_delta", "signature": SIGNED["signature"]},
    ]
    hidden = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}
    events = [*block(0, begun, *deltas), *block(1, hidden), *tool(2, "toolu_1", "get_time"), *stop("tool_use")]
    whole_blocks = [SIGNED, hidden, {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}]
    answer = {"type": "message", "content": whole_blocks, "model": "claude-opus-4-6", "stop_reason": "tool_use"}
    async with claude([named(start(), *events)], [whole(answer)], [ANSWER], [ANSWER]) as (provider, server):
        *pieces, end = await heard(provider)
        assert [piece.text for piece in pieces if isinstance(piece, Reasoning)] == ["First, ", "27 is 3³."]
        assert isinstance(end, Completion)
        assert end.reasoning
        assert end.reasoning.text == "First, 27 is 3³."
        assert (await provider.complete(CALL)).message == end.message
        for thought, given in ((end.message, [SIGNED, hidden]), (_of_another(end), [])):
            await provider.complete(ModelCall("m", (*ASKED, thought), {}))
            blocks = server.asked[-1].body["messages"][1]["content"]
            assert blocks == [*given, {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}]


def _of_another(end: Completion) -> Message:
    assert end.reasoning
    return Message("assistant", (Reasoning("Hm", "other", end.reasoning.opaque), *end.tool_calls))


@pytest.mark.parametrize(
    ("thinking", "most", "said"),
    [
        ("off", 9, None),
        ("adaptive", 9, {"type": "adaptive", "display": "summarized"}),
        ("fixed", 10_000, {"type": "enabled", "budget_tokens": 5_000}),
        ("fixed", 1_500, {"type": "enabled", "budget_tokens": 1_024}),
        ("fixed", 1_024, None),
    ],
)
async def test_how_a_model_thinks_is_a_setting(thinking: str, most: int, said: Any) -> None:
    async with claude([ANSWER], thinking=thinking) as (provider, server):
        await provider.complete(ModelCall("m", ASKED, {"max_tokens": most}))
        assert server.asked[0].body.get("thinking") == said


async def test_images_and_documents_are_sent_as_base64() -> None:
    async def read() -> bytes:
        return b"abc"

    files = [FilePart(kind, kind, kind, 3, "", read) for kind in ("image/png", "application/pdf")]
    async with claude([ANSWER]) as (provider, server):
        await provider.complete(ModelCall("m", (Message("user", (TextPart(" "), *files, TextPart("What?"))),), {}))
        sources = [{"type": "base64", "media_type": file.media_type, "data": "YWJj"} for file in files]
        assert server.asked[0].body["messages"][0]["content"] == [
            {"type": "image", "source": sources[0]},
            {"type": "document", "source": sources[1]},
            {"type": "text", "text": "What?"},
        ]


async def test_a_schema_is_sent_without_what_the_api_refuses() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "maximum": {"type": "integer", "maximum": 3},
            "names": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {"n": {"const": 1}}}},
        },
        "required": ["maximum"],
    }
    async with claude([ANSWER]) as (provider, server):
        await provider.complete(ModelCall("m", ASKED, {}, schema))
        inner = {"type": "object", "properties": {"n": {"const": 1}}, "additionalProperties": False}
        wanted = {
            "type": "object",
            "properties": {"maximum": {"type": "integer"}, "names": {"type": "array", "items": inner}},
            "required": ["maximum"],
            "additionalProperties": False,
        }
        assert server.asked[0].body["output_config"] == {"format": {"type": "json_schema", "schema": wanted}}


@pytest.mark.parametrize(
    ("said", "reason"),
    [("max_tokens", "length"), ("refusal", "content_filter"), ("stop_sequence", "stop"), ("pause_turn", "pause_turn")],
)
async def test_why_an_answer_ended_is_told_in_the_words_of_all(said: str, reason: str) -> None:
    assert (await end_of(*text(0, "Hi"), *stop(said))).finish_reason == reason


async def test_what_the_api_may_add_is_passed_over() -> None:
    citation = {"type": "citations_delta", "citation": {"cited_text": "x"}}
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    events = [
        {"type": "of_tomorrow"},
        *block(0, searched),
        *block(1, {"type": "text", "text": "Hi"}, citation),
        *stop(),
    ]
    assert (await end_of(*events)).text == "Hi"


def test_the_vendors_key_goes_to_the_vendor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")
    assert AnthropicSettings().find_key("a", "ANTHROPIC_API_KEY") == "sk-ant-1"
    assert AnthropicSettings(base_url="http://127.0.0.1:1/v1").find_key("a", "ANTHROPIC_API_KEY") is None
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(ProviderRefused) as refused:
        open_providers().resolve("anthropic:claude-opus-4-6")
    assert refused.value.hint == "Set ANTHROPIC_API_KEY in the app's environment and restart it."


# What a server does that is broken, slow or hostile

OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": f"Overloaded ({KEY})"}}


async def test_an_overloaded_server_is_asked_again_and_then_told() -> None:
    busy = whole(OVERLOADED, status="529 Overloaded", headers="Retry-After: 0\r\n")
    async with claude([busy], [named(OVERLOADED)], [ANSWER]) as (provider, server):
        assert (await heard(provider))[0] == "Hello!"
        assert len(server.asked) == 3
    async with claude([busy], retries=0) as (provider, _):
        with pytest.raises(ProviderBusy) as failed:
            await heard(provider)
        assert failed.value.message == "The provider 'mine' answered with status 529: Overloaded (…)"


async def test_an_overload_after_the_first_piece_ends_the_answer() -> None:
    events = [start(), *text(0, "Hel")[:-1], OVERLOADED]
    async with claude([named(*events)]) as (provider, server):
        with pytest.raises(ProviderBusy, match=r"The provider 'mine' reported: Overloaded \(…\)"):
            await heard(provider)
        assert len(server.asked) == 1


async def test_a_rate_limit_waits_as_long_as_it_says() -> None:
    limited = {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many"}}
    async with claude([whole(limited, status="429 Slow", headers="retry-after: 60\r\n")]) as (provider, server):
        with pytest.raises(ProviderBusy) as failed:
            await provider.complete(CALL)
        assert failed.value.retry_after == 60
        assert len(server.asked) == 1  # nobody waits so long


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "x"}},
        {"type": "content_block_start", "index": "0", "content_block": {"type": "tool_use", "id": "a", "name": "b"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": 7, "name": "b"}},
        {"type": "content_block_start", "index": 0, "content_block": 7},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "redacted_thinking", "data": 7}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 7}},
        {"type": "message_delta", "delta": None},
        {"type": "message_start"},
    ],
)
async def test_what_is_no_event_is_no_answer(event: dict[str, Any]) -> None:
    async with claude([named(event, *stop())], retries=0) as (provider, _):
        with pytest.raises(ProviderRefused, match="with something that is not an answer of the Messages API"):
            await heard(provider)


@pytest.mark.parametrize("body", [{}, [], {"type": "message"}, {"choices": []}, b"<html>"])
async def test_what_is_no_message_is_no_answer(body: Any) -> None:
    async with claude([whole(body)]) as (provider, _):
        with pytest.raises(ProviderRefused, match="is not an answer of the Messages API") as refused:
            await provider.complete(CALL)
        assert "ends where `/messages` follows" in (refused.value.hint or "")


async def test_an_answer_that_breaks_or_stays_away_is_told() -> None:
    begun = named(start(), *text(0, "Hel"), end=False)
    async with claude([begun, HANG_UP], retries=0) as (provider, _):
        with pytest.raises(ProviderUnreachable):
            await heard(provider)
    pings = named(*[PING] * 3, end=False)
    async with claude([pings, 60.0], retries=0, timeout=0.5) as (provider, _):
        with pytest.raises(ProviderTimeout):
            await heard(provider)


@pytest.mark.parametrize(
    "delta",
    [{"type": "thinking_delta", "thinking": "x" * 100_000}, {"type": "signature_delta", "signature": "x" * 100_000}],
)
async def test_thoughts_without_end_are_too_long(delta: dict[str, str]) -> None:
    async with claude([named(start(), *block(0, {"type": "thinking"}, *[delta] * 9), end=False), 60.0]) as (
        provider,
        _,
    ):
        with pytest.raises(AnswerTooLong):
            await heard(provider)


async def test_blocks_of_thought_without_end_are_too_long() -> None:
    many = [item for index in range(6_000) for item in block(index, {"type": "thinking"})]
    async with claude([chunked(*many)]) as (provider, _):
        with pytest.raises(AnswerTooLong):
            await heard(provider)
