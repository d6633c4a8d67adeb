"""Anthropic's Messages API and the Gemini API on the wire, as their documentations record them; broken and slow too."""

from collections.abc import Callable
from typing import Any

import pytest

from flowground.core.errors import AnswerTooLong, ProviderBusy, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.core.messages import Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.providers.anthropic import AnthropicSettings
from flowground.providers.base import Completion, ModelCall, ToolSpec
from tests import anthropic_answers, google_answers
from tests.anthropic_answers import PING, block, claude, named, start, stop, text, tool
from tests.google_answers import gemini, lines, part
from tests.wire import HANG_UP, Opened, chunked, fault_of, find_sent, hear, hear_end, make_files, whole

Open = Callable[..., Opened]
ASKED = (Message("system", "Be kind."), Message("user", "Hello"))
CALL = ModelCall("m", ASKED, {"temperature": 0.5, "max_tokens": 9, "top_p": 0.9, "seed": 7})
WEATHER = ToolSpec("get_weather", "The weather.", {"type": "object", "properties": {"location": {"type": "string"}}})
ZONE = {"type": "object", "properties": {"zone": {"type": "string"}}}
CLOCK = ToolSpec("get_time", "The time.", {**ZONE, "properties": {"zone": {"type": "string", "pattern": "."}}})
MARK = {"cache_control": {"type": "ephemeral"}}
SIGNED = {"type": "thinking", "thinking": "First, 27 is 3³.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}
CLAUDE_ANSWER, GEMINI_ANSWER = [anthropic_answers.ANSWER], [google_answers.ANSWER]


def claude_says(*events: dict[str, Any]) -> Opened:
    return claude([named(start(), *events)])


# Anthropic


async def test_anthropic_streams_text_with_its_counts() -> None:
    async with claude([named(start(), PING, *text(0, "Hello", "!"), *stop())]) as (provider, server):
        call = ModelCall("claude-opus-4-6", ASKED, {"temperature": 0.5, "seed": 7})
        wanted = Completion("Hello!", "claude-opus-4-6", Usage(25, 15), "stop")
        assert await hear(provider, call) == ["Hello", "!", wanted]
        (asked,) = server.asked
        assert (asked.path, asked.headers["x-api-key"]) == ("/v1/messages", anthropic_answers.KEY)
        assert asked.headers["anthropic-version"] == "2023-06-01"
        assert "authorization" not in asked.headers
        messages = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
        system = [{"type": "text", "text": "Be kind.", **MARK}]
        more = {"model": "claude-opus-4-6", "max_tokens": 32_000, "temperature": 0.5, "stream": True}
        assert asked.body == {"messages": messages, "system": system, **more}


@pytest.mark.parametrize(
    ("model", "options", "most"),
    [("claude-3-haiku-20240307", {}, 4_096), ("claude-opus-4-6", {}, 32_000), ("x", {"max_tokens": 9}, 9)],
)
async def test_anthropic_is_always_told_the_longest_answer(model: str, options: dict[str, int], most: int) -> None:
    assert (await find_sent(claude(CLAUDE_ANSWER), ModelCall(model, ASKED, options)))["max_tokens"] == most


async def test_tokens_of_the_cache_are_counted_as_read() -> None:
    usage = {"input_tokens": 21, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 188_086}
    call = ModelCall("claude-opus-4-6", ASKED, {}, tools=(WEATHER, CLOCK))
    end = await hear_end(claude([named(start(**usage), *text(0, "Hi"), *stop())]), call)
    assert end.usage == Usage(188_207, 15, 188_086)
    marked = await find_sent(claude(CLAUDE_ANSWER), call)
    assert [MARK.items() <= tool.items() for tool in marked["tools"]] == [False, True]


async def test_anthropic_calls_tools_side_by_side_and_is_given_their_results_in_one_message() -> None:
    called = [*tool(1, "toolu_1", "get_weather", "", '{"location":', ' "Oslo"}'), *tool(2, "toolu_2", "get_time")]
    end = await hear_end(claude_says(*text(0, "Okay."), *called, *stop("tool_use")), CALL)
    weather = ToolCall("toolu_1", "get_weather", {"location": "Oslo"})
    assert end.tool_calls == (weather, ToolCall("toolu_2", "get_time", {}))
    assert (end.text, end.finish_reason) == ("Okay.", "tool_calls")
    results = [ToolResult("toolu_1", "get_weather", "15 °C"), ToolResult("toolu_2", "get_time", "no clock", True)]
    said = (*ASKED, end.message, *(Message("tool", (result,)) for result in results), Message("user", "So?"))
    body = await find_sent(claude(CLAUDE_ANSWER), ModelCall("m", said, {}, tools=(WEATHER,)))
    assert [message["role"] for message in body["messages"][1:]] == ["assistant", "user"]
    used = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in end.tool_calls]
    first, second = ({"type": "tool_result", "tool_use_id": call.id} for call in end.tool_calls)
    given = [first | {"content": "15 °C"}, {**second, "content": "no clock", "is_error": True}]
    contents = [message["content"] for message in body["messages"][1:]]
    assert contents == [[{"type": "text", "text": "Okay."}, *used], [*given, {"type": "text", "text": "So?"}]]
    (offered,) = body["tools"]
    assert (offered["name"], offered["description"]) == ("get_weather", "The weather.")
    assert offered["input_schema"] == WEATHER.parameters


@pytest.mark.parametrize(("choice", "said"), [("none", {"type": "none"}), ("t", {"type": "tool", "name": "t"})])
async def test_anthropic_is_told_which_tool_is_to_be_called(choice: str, said: dict[str, str]) -> None:
    call = ModelCall("m", ASKED, {}, tools=(CLOCK,), tool_choice=choice)
    body = await find_sent(claude(CLAUDE_ANSWER, thinking="adaptive"), call)
    assert body["tool_choice"] == said
    assert ("thinking" in body) == (choice == "none")  # the API refuses both together


async def test_thoughts_come_apart_and_go_back_with_their_signatures_to_who_thought_them() -> None:
    deltas = [
        *({"type": "thinking_delta", "thinking": thought} for thought in ("First, ", "27 is 3³.")),
        {"type": "signature_delta", "signature": SIGNED["signature"]},
    ]
    hidden = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}
    begun = {"type": "thinking", "thinking": "", "signature": ""}
    events = [*block(0, begun, *deltas), *block(1, hidden), *tool(2, "toolu_1", "get_time"), *stop("tool_use")]
    used = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}
    answer = {"type": "message", "content": [SIGNED, hidden, used], "model": "c", "stop_reason": "tool_use"}
    async with claude([named(start(), *events)], [whole(answer)], CLAUDE_ANSWER) as (provider, server):
        *pieces, end = await hear(provider, CALL)
        assert [piece.text for piece in pieces if isinstance(piece, Reasoning)] == ["First, ", "27 is 3³."]
        assert isinstance(end, Completion)
        assert end.reasoning
        assert end.reasoning.text == "First, 27 is 3³."
        assert (await provider.complete(CALL)).message == end.message
        other = Message("assistant", (Reasoning("Hm", "other", end.reasoning.opaque), *end.tool_calls))
        for thought, given in ((end.message, [SIGNED, hidden]), (other, [])):
            await provider.complete(ModelCall("m", (*ASKED, thought), {}))
            assert server.asked[-1].body["messages"][1]["content"] == [*given, used]


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
async def test_how_a_model_of_anthropic_thinks_is_a_setting(thinking: str, most: int, said: Any) -> None:
    call = ModelCall("m", ASKED, {"max_tokens": most})
    assert (await find_sent(claude(CLAUDE_ANSWER, thinking=thinking), call)).get("thinking") == said


async def test_anthropic_is_sent_files_and_a_schema_without_what_it_refuses() -> None:
    names = {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {"n": {"const": 1}}}}
    properties = {"maximum": {"type": "integer", "maximum": 3}, "names": names}
    schema = {"$schema": "https://json-schema.org/x", "type": "object", "properties": properties, "required": ["names"]}
    asked = Message("user", (TextPart(" "), *make_files(), TextPart("What?")))
    body = await find_sent(claude(CLAUDE_ANSWER), ModelCall("m", (asked,), {}, schema))
    image, document = ({"type": "base64", "media_type": file.media_type, "data": "YWJj"} for file in make_files())
    files = [{"type": "image", "source": image}, {"type": "document", "source": document}]
    assert body["messages"][0]["content"] == [*files, {"type": "text", "text": "What?"}]
    inner = {"type": "object", "properties": {"n": {"const": 1}}, "additionalProperties": False}
    kept = {"maximum": {"type": "integer"}, "names": {"type": "array", "items": inner}}
    wanted = {"type": "object", "properties": kept, "required": ["names"], "additionalProperties": False}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": wanted}}


async def test_what_anthropic_may_add_is_passed_over() -> None:
    citation = {"type": "citations_delta", "citation": {"cited_text": "x"}}
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    said = (*block(0, searched), *block(1, {"type": "text", "text": "Hi"}, citation))
    assert (await hear_end(claude_says({"type": "of_tomorrow"}, *said, *stop()), CALL)).text == "Hi"


def test_the_vendors_key_goes_to_the_vendor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")
    assert AnthropicSettings().find_key("a", "ANTHROPIC_API_KEY") == "sk-ant-1"
    assert AnthropicSettings(base_url="http://127.0.0.1:1/v1").find_key("a", "ANTHROPIC_API_KEY") is None


# Google


async def test_google_streams_text_with_its_counts_and_the_key_stands_in_no_address() -> None:
    counted = {"candidatesTokenCount": 2, "thoughtsTokenCount": 30, "cachedContentTokenCount": 8}
    answers = [part({"text": "Hello"}), part({"text": "!"}), part({"text": ""}, finish="STOP", **counted)]
    async with gemini([lines(*answers)]) as (provider, server):
        wanted = Completion("Hello!", "gemini-2.5-flash", Usage(11, 32, 8), "stop")
        assert await hear(provider, CALL) == ["Hello", "!", wanted]
        (asked,) = server.asked
        assert asked.path == "/v1beta/models/m:streamGenerateContent?alt=sse"
        assert asked.headers["x-goog-api-key"] == google_answers.KEY
        assert asked.body == {
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "systemInstruction": {"parts": [{"text": "Be kind."}]},
            "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9, "topP": 0.9, "seed": 7},
        }


@pytest.mark.parametrize(("model", "step"), [("a/../b?x#y", "a%2F..%2Fb%3Fx%23y"), ("é", "%C3%A9")])
async def test_a_models_name_is_one_step_of_the_path(model: str, step: str) -> None:
    async with gemini(GEMINI_ANSWER) as (provider, server):
        await provider.complete(ModelCall(model, ASKED, {}))
        assert server.asked[0].path == f"/v1beta/models/{step}:generateContent"
        refused = await fault_of(provider.complete(ModelCall("..", ASKED, {})), ProviderRefused)
        assert "There is no model '..'" in refused.message


async def test_signed_calls_go_back_as_they_came_and_their_results_in_one_content() -> None:
    """Gemini 3 refuses a call without its signature, and names each call; models before it do neither."""
    signed = {"functionCall": {"name": "get_time", "args": {"zone": "UTC"}, "id": "ab12"}, "thoughtSignature": "c2ln"}
    plain = {"functionCall": {"name": "get_time", "args": {}}}
    end = await hear_end(gemini([lines(part(signed), part(plain, finish="STOP"))]), CALL)
    first, second = end.tool_calls
    assert (end.finish_reason, first.id) == ("tool_calls", "ab12")
    assert (first.arguments, second.arguments) == ({"zone": "UTC"}, {})
    results = [ToolResult("ab12", "get_time", "12:00"), ToolResult(second.id, "get_time", "no clock", True)]
    foreign = Message("assistant", (ToolCall("x", "get_time", {}, None, "other", '{"thoughtSignature":"no"}'),))
    said = (*ASKED, end.message, *(Message("tool", (result,)) for result in results), foreign)
    body = await find_sent(gemini(GEMINI_ANSWER), ModelCall("m", said, {}, tools=(CLOCK,)))
    given = [{"name": "get_time", "response": {"result": "12:00"}, "id": "ab12"}]
    given += [{"name": "get_time", "response": {"error": "no clock"}}]
    assert body["contents"][1:] == [
        {"role": "model", "parts": [signed, plain]},
        {"role": "user", "parts": [{"functionResponse": result} for result in given]},
        {"role": "model", "parts": [{"functionCall": {"name": "get_time", "args": {}, "id": "x"}}]},
    ]
    declared = {"name": "get_time", "description": "The time.", "parametersJsonSchema": ZONE}
    assert body["tools"] == [{"functionDeclarations": [declared]}]


@pytest.mark.parametrize(
    ("choice", "said"), [("none", {"mode": "NONE"}), ("t", {"mode": "ANY", "allowedFunctionNames": ["t"]})]
)
async def test_google_is_told_which_tool_is_to_be_called(choice: str, said: Any) -> None:
    body = await find_sent(gemini(GEMINI_ANSWER), ModelCall("m", ASKED, {}, tools=(CLOCK,), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": said}


async def test_thoughts_of_google_come_apart_where_they_are_asked_for() -> None:
    thought = {"text": "A greeting.", "thought": True}
    async with gemini([lines(part(thought), part({"text": "Hi"}, finish="STOP"))], thoughts=True) as (provider, server):
        reasoning = Reasoning("A greeting.", "mine")
        *pieces, end = await hear(provider, CALL)
        assert pieces == [reasoning, "Hi"]
        assert isinstance(end, Completion)
        assert (end.text, end.reasoning) == ("Hi", reasoning)
        assert server.asked[0].body["generationConfig"]["thinkingConfig"] == {"includeThoughts": True}
        await hear(provider, ModelCall("m", (*ASKED, end.message), {}))
        assert server.asked[1].body["contents"][1]["parts"] == [{"text": "Hi"}]


async def test_google_is_sent_files_and_a_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"const": 1}}, "additionalProperties": False, "$schema": "x"}
    asked = Message("user", (*make_files(), TextPart("What?")))
    body = await find_sent(gemini(GEMINI_ANSWER), ModelCall("m", (asked,), {}, schema))
    inline = [{"inlineData": {"mimeType": file.media_type, "data": "YWJj"}} for file in make_files()]
    assert body["contents"][0]["parts"] == [*inline, {"text": "What?"}]
    kept = {"type": "object", "properties": {"n": {"enum": [1]}}, "additionalProperties": False}
    assert body["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": kept}


async def test_a_question_that_google_refuses_is_told_so() -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    async with gemini([lines(blocked)], [whole(blocked)]) as (provider, _):
        for ask in (hear(provider, CALL), provider.complete(CALL)):
            refused = await fault_of(ask, ProviderRefused)
            assert "The provider 'mine' refused the question: PROHIBITED_CONTENT" in refused.message


# Both

CLAUDE_REASONS = {"max_tokens": "length", "refusal": "content_filter", "stop_sequence": "stop", "pause_turn": ""}


def end_gemini(reason: str) -> bytes:
    return lines(part({"text": "Hi"}), {"candidates": [{"finishReason": reason}]})


GEMINI_REASONS = {"MAX_TOKENS": "length", "SAFETY": "content_filter", "MALFORMED_FUNCTION_CALL": ""}


@pytest.mark.parametrize(
    ("opened", "answer", "reason"),
    [
        *((claude, named(start(), *text(0, "Hi"), *stop(said)), to or said) for said, to in CLAUDE_REASONS.items()),
        *((gemini, end_gemini(said), to or said.lower()) for said, to in GEMINI_REASONS.items()),
    ],
)
async def test_why_an_answer_ended_is_told_in_the_words_of_all(opened: Open, answer: bytes, reason: str) -> None:
    assert (await hear_end(opened([answer]), CALL)).finish_reason == reason


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": f"Busy ({anthropic_answers.KEY})"}}
UNAVAILABLE = {"error": {"code": 503, "message": f"Busy ({google_answers.KEY})", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    ("opened", "error", "streamed", "answer", "status"),
    [
        (claude, OVERLOADED, named(OVERLOADED), CLAUDE_ANSWER, "529"),
        (gemini, UNAVAILABLE, lines(UNAVAILABLE), GEMINI_ANSWER, "429"),
    ],
)
async def test_an_overloaded_server_is_asked_again_and_then_told_without_the_key(
    opened: Open, error: Any, streamed: bytes, answer: list[bytes], status: str
) -> None:
    busy = whole(error, status=f"{status} Busy", headers="Retry-After: 0\r\n")
    async with opened([busy], [streamed], answer) as (provider, server):
        assert (await hear(provider, CALL))[0] == "Hello!"
        assert len(server.asked) == 3
    async with opened([busy], retries=0) as (provider, _):
        told = (await fault_of(hear(provider, CALL), ProviderBusy)).message
        assert told == f"The provider 'mine' answered with status {status}: Busy (…)."


NO_PARTS = [7, {"text": 7}, {"functionCall": {}}, {"functionCall": {"name": "a", "args": 7}}]
NO_CANDIDATES = [7, {"content": 7}, *({"content": {"parts": [one]}} for one in NO_PARTS)]
NO_ANSWERS = [{"candidates": 7}, {"promptFeedback": 7}, *({"candidates": [one]} for one in NO_CANDIDATES)]


@pytest.mark.parametrize("answer", NO_ANSWERS)
async def test_what_is_no_answer_of_gemini_is_told_so(answer: dict[str, Any]) -> None:
    async with gemini([lines(answer)], [whole(answer)], retries=0) as (provider, _):
        for ask in (hear(provider, CALL), provider.complete(CALL)):
            assert "that is not an answer of the Gemini API" in (await fault_of(ask, ProviderRefused)).message


CLAUDE_BEGUN = named(start(), PING, *text(0, "Hel"), PING, end=False)
GEMINI_BEGUN = lines(part({"text": "Hel"}), end=False)


@pytest.mark.parametrize(("opened", "begun"), [(claude, CLAUDE_BEGUN), (gemini, GEMINI_BEGUN)])
async def test_an_answer_that_breaks_or_stays_away_is_told(opened: Open, begun: bytes) -> None:
    for then, seconds, fault in ((HANG_UP, 30, ProviderUnreachable), (60.0, 0.5, ProviderTimeout)):
        async with opened([begun, then], retries=0, timeout=seconds) as (provider, _):
            await fault_of(hear(provider, CALL), fault)


LONG = "x" * 100_000
DELTAS = [{"type": "thinking_delta", "thinking": LONG}, {"type": "signature_delta", "signature": LONG}]
BLOCKS = [item for index in range(6_000) for item in block(index, {"type": "thinking"})]


@pytest.mark.parametrize(
    ("opened", "answer"),
    [
        *((claude, named(start(), *block(0, {"type": "thinking"}, *[delta] * 9), end=False)) for delta in DELTAS),
        (claude, chunked(*BLOCKS)),
        (gemini, lines(*[part({"text": LONG, "thought": True})] * 9, end=False)),
    ],
    ids=["thoughts", "signatures", "blocks", "gemini"],
)
async def test_thoughts_without_end_are_too_long(opened: Open, answer: bytes) -> None:
    async with opened([answer, 60.0]) as (provider, _):
        await fault_of(hear(provider, CALL), AnswerTooLong)
