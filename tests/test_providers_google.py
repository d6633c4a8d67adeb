"""The Gemini API on the wire, as its public documentation records it; broken and slow too."""

from contextlib import aclosing
from typing import Any

import pytest

from flowground.errors import AnswerTooLong, ProviderBusy, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.messages import FilePart, Message, Reasoning, TextPart, ToolCall, ToolResult, Usage
from flowground.providers.base import Completion, ModelCall, Piece, Provider, ToolSpec
from tests.google_answers import ANSWER, KEY, gemini, lines, part
from tests.wire import HANG_UP, whole

pytestmark = pytest.mark.anyio

ASKED = (Message("system", "Be kind."), Message("user", "Hello"))
CALL = ModelCall("gemini-2.5-flash", ASKED, {"temperature": 0.5, "max_tokens": 9, "top_p": 0.9, "seed": 7})
CLOCK = ToolSpec(
    "get_time", "The time.", {"type": "object", "properties": {"zone": {"type": "string", "pattern": "."}}}
)


async def heard(provider: Provider, call: ModelCall = CALL) -> list[Piece]:
    async with aclosing(provider.stream(call)) as pieces:
        return [piece async for piece in pieces]


async def end_of(*answers: dict[str, Any]) -> Completion:
    async with gemini([lines(*answers)]) as (provider, _):
        end = (await heard(provider))[-1]
        assert isinstance(end, Completion)
        return end


async def test_a_stream_comes_as_text_with_its_counts_and_the_key_stands_in_no_address() -> None:
    counted = {"candidatesTokenCount": 2, "thoughtsTokenCount": 30, "cachedContentTokenCount": 8}
    answers = [part({"text": "Hello"}), part({"text": "!"}), part({"text": ""}, finish="STOP", **counted)]
    async with gemini([lines(*answers)]) as (provider, server):
        wanted = Completion("Hello!", "gemini-2.5-flash", Usage(11, 32, 8), "stop")
        assert await heard(provider) == ["Hello", "!", wanted]
        (asked,) = server.asked
        assert asked.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        assert asked.headers["x-goog-api-key"] == KEY
        assert asked.body == {
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "systemInstruction": {"parts": [{"text": "Be kind."}]},
            "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9, "topP": 0.9, "seed": 7},
        }


async def test_a_whole_answer_and_one_for_a_stream() -> None:
    wanted = Completion("Hello!", "gemini-2.5-flash", Usage(11, 2), "stop")
    async with gemini([ANSWER]) as (provider, server):
        assert await provider.complete(CALL) == wanted
        assert server.asked[0].path == "/v1beta/models/gemini-2.5-flash:generateContent"
        assert await heard(provider) == ["Hello!", wanted]


@pytest.mark.parametrize(("model", "step"), [("a/../b?x#y", "a%2F..%2Fb%3Fx%23y"), ("é", "%C3%A9")])
async def test_a_models_name_is_one_step_of_the_path(model: str, step: str) -> None:
    async with gemini([ANSWER]) as (provider, server):
        await provider.complete(ModelCall(model, ASKED, {}))
        assert server.asked[0].path == f"/v1beta/models/{step}:generateContent"
        with pytest.raises(ProviderRefused, match=r"There is no model '\.\.'"):
            await provider.complete(ModelCall("..", ASKED, {}))


async def test_signed_calls_go_back_as_they_came_and_their_results_in_one_content() -> None:
    """Gemini 3 refuses a call without its signature, and names each call; models before it do neither."""
    answers = [
        part({"functionCall": {"id": "ab12", "name": "get_time", "args": {"zone": "UTC"}}, "thoughtSignature": "c2ln"}),
        part({"functionCall": {"name": "get_time", "args": {}}}, finish="STOP"),
    ]
    end = await end_of(*answers)
    assert end.finish_reason == "tool_calls"
    first, second = end.tool_calls
    assert (first.id, first.arguments, second.arguments) == ("ab12", {"zone": "UTC"}, {})
    results = [
        Message("tool", (ToolResult("ab12", "get_time", "12:00"),)),
        Message("tool", (ToolResult(second.id, "get_time", "no clock", True),)),
    ]
    foreign = Message("assistant", (ToolCall("x", "get_time", {}, None, "other", '{"thoughtSignature":"no"}'),))
    async with gemini([ANSWER]) as (provider, server):
        again = ModelCall("m", (*ASKED, end.message, *results, foreign), {}, tools=(CLOCK,))
        await provider.complete(again)
        body = server.asked[0].body
        assert body["contents"][1:] == [
            {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"name": "get_time", "args": {"zone": "UTC"}, "id": "ab12"},
                        "thoughtSignature": "c2ln",
                    },
                    {"functionCall": {"name": "get_time", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "get_time", "response": {"result": "12:00"}, "id": "ab12"}},
                    {"functionResponse": {"name": "get_time", "response": {"error": "no clock"}}},
                ],
            },
            {"role": "model", "parts": [{"functionCall": {"name": "get_time", "args": {}, "id": "x"}}]},
        ]
        schema = {"type": "object", "properties": {"zone": {"type": "string"}}}
        declared = {"name": "get_time", "description": "The time.", "parametersJsonSchema": schema}
        assert body["tools"] == [{"functionDeclarations": [declared]}]


@pytest.mark.parametrize(
    ("choice", "said"), [("none", {"mode": "NONE"}), ("t", {"mode": "ANY", "allowedFunctionNames": ["t"]})]
)
async def test_which_tool_is_to_be_called_is_said(choice: str, said: Any) -> None:
    async with gemini([ANSWER]) as (provider, server):
        await provider.complete(ModelCall("m", ASKED, {}, tools=(CLOCK,), tool_choice=choice))
        assert server.asked[0].body["toolConfig"] == {"functionCallingConfig": said}


async def test_thoughts_come_apart_where_they_are_asked_for() -> None:
    thought = {"text": "A greeting.", "thought": True}
    async with gemini([lines(part(thought), part({"text": "Hi"}, finish="STOP"))], thoughts=True) as (provider, server):
        reasoning = Reasoning("A greeting.", "mine")
        *pieces, end = await heard(provider)
        assert pieces == [reasoning, "Hi"]
        assert isinstance(end, Completion)
        assert (end.text, end.reasoning) == ("Hi", reasoning)
        assert server.asked[0].body["generationConfig"]["thinkingConfig"] == {"includeThoughts": True}
        await heard(provider, ModelCall("m", (*ASKED, end.message), {}))
        assert server.asked[1].body["contents"][1]["parts"] == [{"text": "Hi"}]


async def test_images_and_documents_and_a_schema() -> None:
    async def read() -> bytes:
        return b"abc"

    files = [FilePart(kind, kind, kind, 3, "", read) for kind in ("image/png", "application/pdf")]
    schema = {"type": "object", "properties": {"n": {"const": 1}}, "additionalProperties": False, "$schema": "x"}
    async with gemini([ANSWER]) as (provider, server):
        await provider.complete(ModelCall("m", (Message("user", (*files, TextPart("What?"))),), {}, schema))
        body = server.asked[0].body
        inline = [{"inlineData": {"mimeType": file.media_type, "data": "YWJj"}} for file in files]
        assert body["contents"][0]["parts"] == [*inline, {"text": "What?"}]
        kept = {"type": "object", "properties": {"n": {"enum": [1]}}, "additionalProperties": False}
        assert body["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": kept}


@pytest.mark.parametrize(
    ("said", "reason"),
    [("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("MALFORMED_FUNCTION_CALL", "malformed_function_call")],
)
async def test_why_an_answer_ended_is_told_in_the_words_of_all(said: str, reason: str) -> None:
    assert (await end_of(part({"text": "H"}), {"candidates": [{"finishReason": said}]})).finish_reason == reason


# What a server does that is broken, slow or hostile


async def test_a_question_that_is_refused_is_told_so() -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    async with gemini([lines(blocked)], [whole(blocked)]) as (provider, _):
        for ask in (heard(provider), provider.complete(CALL)):
            with pytest.raises(ProviderRefused, match="The provider 'mine' refused the question: PROHIBITED_CONTENT"):
                await ask


async def test_an_overloaded_server_is_asked_again_and_a_quota_told() -> None:
    error = {"error": {"code": 503, "message": f"The model is overloaded. {KEY}", "status": "UNAVAILABLE"}}
    busy = whole(error, status="503 Unavailable", headers="Retry-After: 0\r\n")
    async with gemini([busy], [lines(error)], [ANSWER]) as (provider, server):
        assert (await heard(provider))[0] == "Hello!"
        assert len(server.asked) == 3
    spent = {"error": {"code": 429, "message": f"Quota of {KEY}", "status": "RESOURCE_EXHAUSTED"}}
    async with gemini([whole(spent, status="429 Too Many")], retries=0) as (provider, _):
        with pytest.raises(ProviderBusy) as failed:
            await heard(provider)
        assert failed.value.message == "The provider 'mine' answered with status 429: Quota of …"


@pytest.mark.parametrize(
    "answer",
    [
        {"candidates": 7},
        {"candidates": [7]},
        {"candidates": [{"content": 7}]},
        {"candidates": [{"content": {"parts": [7]}}]},
        {"candidates": [{"content": {"parts": [{"text": 7}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "a", "args": 7}}]}}]},
        {"promptFeedback": 7},
    ],
)
async def test_what_is_no_answer_is_told_so(answer: dict[str, Any]) -> None:
    async with gemini([lines(answer)], [whole(answer)], retries=0) as (provider, _):
        for ask in (heard(provider), provider.complete(CALL)):
            with pytest.raises(ProviderRefused, match="that is not an answer of the Gemini API"):
                await ask


@pytest.mark.parametrize("count", [-1, True, 1.5, "5", None, 2**40])
async def test_what_cannot_be_a_number_of_tokens_counts_nothing(count: Any) -> None:
    end = await end_of(part({"text": "Hi"}, finish="STOP", candidatesTokenCount=count))
    assert end.usage == Usage(11, 0)


async def test_an_answer_that_breaks_or_stays_away_is_told() -> None:
    begun = lines(part({"text": "Hel"}), end=False)
    async with gemini([begun, HANG_UP], [begun, 60.0], retries=0, timeout=0.5) as (provider, _):
        with pytest.raises(ProviderUnreachable):
            await heard(provider)
        with pytest.raises(ProviderTimeout):
            await heard(provider)


async def test_thoughts_without_end_are_too_long() -> None:
    many = [part({"text": "x" * 100_000, "thought": True})] * 9
    async with gemini([lines(*many, end=False), 60.0]) as (provider, _):
        with pytest.raises(AnswerTooLong):
            await heard(provider)
