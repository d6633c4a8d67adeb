"""Images, documents and reasoning on the wire of OpenAI's chat completions, and what is refused before it is sent."""

import asyncio
import base64
import hashlib
import json
import tracemalloc
from contextlib import aclosing
from typing import Any

import pytest

from flowground.errors import AnswerTooLong, ProviderRefused, RunError
from flowground.messages import FilePart, Message, Reasoning, TextPart
from flowground.providers.base import (
    MOST_FILE_BYTES,
    MOST_PARTS,
    MOST_TOOLS,
    Capabilities,
    Completion,
    ModelCall,
    ToolSpec,
)
from flowground.providers.chat_request import encode_files, write_call
from flowground.providers.openai import OLLAMA_URL, OllamaSettings, OpenAI, OpenAISettings
from flowground.settings import Settings
from tests.chat_answers import CALL, DONE, all_of, delta, model
from tests.heartbeat import stays_responsive
from tests.opened_providers import open_providers
from tests.wire import chunked, event, whole

pytestmark = pytest.mark.anyio

EVERYTHING = Capabilities(images=True, documents=True, tools=True, response_schema=True)


def file(data: bytes, name: str = "cat.png", media_type: str = "image/png", *, size: int | None = None) -> FilePart:
    async def read() -> bytes:
        return data

    return FilePart(name, name, media_type, len(data) if size is None else size, hashlib.sha256(data).hexdigest(), read)


def shown(*parts: Any) -> ModelCall:
    return ModelCall("small", (Message("user", parts),), {})


async def test_images_and_documents_are_sent_as_data_urls() -> None:
    call = shown(TextPart("What is this?"), file(b"\x89PNG\r\n"), file(b"%PDF-1.7", "a b.pdf", "application/pdf"))
    async with model([whole({"choices": [{"message": {"content": "A cat."}}]})], takes=EVERYTHING) as (
        provider,
        server,
    ):
        assert (await provider.complete(call)).text == "A cat."
        assert server.asked[0].body["messages"][0]["content"] == [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
            {"type": "file", "file": {"filename": "a b.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="}},
        ]


async def test_text_in_parts_without_a_file_is_one_text() -> None:
    call = shown(TextPart("What "), TextPart("is this?"))
    body = json.loads(write_call(call, is_streamed=False, renamed={}))
    assert body["messages"] == [{"role": "user", "content": "What is this?"}]


async def test_a_file_is_read_once_a_call_and_what_it_says_cannot_leave_its_quotes() -> None:
    times = []

    async def read() -> bytes:
        times.append(1)
        return b"abc"

    odd = FilePart("f", 'a".png', 'image/png","x":"', 3, "", read)
    call = ModelCall("small", (Message("user", (odd,)), Message("user", (odd,))), {})
    body = json.loads(write_call(call, is_streamed=False, renamed={}, files=await encode_files([odd, odd])))
    assert times == [1]
    assert body["messages"][0]["content"][0]["image_url"] == {"url": 'data:image/png","x":";base64,YWJj'}


async def test_the_largest_files_are_written_without_keeping_anybody_waiting() -> None:
    data = bytes(range(256)) * (MOST_FILE_BYTES // 256)
    largest = file(data)
    bodies: list[bytes] = []

    async def write() -> None:
        bodies.append(write_call(shown(largest), is_streamed=True, renamed={}, files=await encode_files([largest])))

    await stays_responsive(write)
    url = json.loads(bodies[0])["messages"][0]["content"][0]["image_url"]["url"]
    assert base64.b64decode(url.partition(",")[2]) == data


async def test_what_was_sent_is_not_kept_while_the_answer_lasts() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while left:
            left -= len(await reader.read(65_536))
        writer.write(chunked(delta("Hi"), end=False))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    provider = OpenAI("mine", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    call = shown(file(bytes(MOST_FILE_BYTES)))
    tracemalloc.start()
    try:
        async with aclosing(provider.stream(call)) as pieces:
            assert await anext(pieces) == "Hi"
            now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await provider.close()
        server.close()
    assert now < 5_000_000
    assert MOST_FILE_BYTES < most < 6 * MOST_FILE_BYTES


async def test_a_repeat_sends_the_file_again() -> None:
    busy = whole({"error": "busy"}, status="503 Later", headers="Retry-After: 0\r\n")
    answer = whole({"choices": [{"message": {"content": "A cat."}}]})
    async with model([busy], [answer], takes=EVERYTHING) as (provider, server):
        assert (await provider.complete(shown(file(b"abc")))).text == "A cat."
        assert server.asked[0].body == server.asked[1].body
        assert server.asked[1].body["messages"][0]["content"][0]["image_url"]["url"].endswith("YWJj")


async def test_a_file_that_changed_is_not_sent() -> None:
    async with model(takes=EVERYTHING) as (provider, server):
        with pytest.raises(ProviderRefused) as refused:
            await provider.complete(shown(file(b"longer than it was", size=3)))
        assert refused.value.message == "The file 'cat.png' is not what it was: send it again."
        assert server.asked == []


async def test_a_file_that_is_gone_ends_the_call_with_its_own_reason() -> None:
    async def gone() -> bytes:
        raise RunError("The file cat.png was deleted.")

    async with model(takes=EVERYTHING) as (provider, server):
        with pytest.raises(RunError, match=r"The file cat.png was deleted\."):
            await all_of_call(provider, shown(FilePart("f", "cat.png", "image/png", 3, "", gone)))
        assert server.asked == []


async def all_of_call(provider: Any, call: ModelCall) -> list[Any]:
    async with aclosing(provider.stream(call)) as pieces:
        return [piece async for piece in pieces]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            shown(*[file(b"", size=MOST_FILE_BYTES // 2), file(b"", "b", size=MOST_FILE_BYTES // 2 + 1)]),
            "The files of this conversation have 20.0 MB, and a model is sent 20 MB at most.",
        ),
        (shown(*[TextPart("a")] * (MOST_PARTS + 1)), "A message to a model has 1000 parts at most, and this one 1001."),
        (
            ModelCall("small", (), {}, tools=(ToolSpec("t", "", {}),) * (MOST_TOOLS + 1)),
            "A model is offered 128 tools at most, and these are 129.",
        ),
    ],
    ids=["bytes", "parts", "tools"],
)
async def test_what_is_beyond_a_bound_is_refused_before_anything_is_read(call: ModelCall, said: str) -> None:
    async with model(takes=EVERYTHING) as (provider, server):
        for answer in (provider.complete(call), all_of_call(provider, call)):
            with pytest.raises(ProviderRefused) as refused:
                await answer
            assert refused.value.message == said
        assert server.asked == []


def test_openai_itself_reads_documents_and_other_servers_where_the_settings_say_so() -> None:
    entries = {
        "openai": OpenAISettings.model_validate({"api_key": "sk-1"}),
        "vllm": OpenAISettings(base_url="http://127.0.0.1:1/v1"),
        "router": OpenAISettings(base_url="http://127.0.0.1:1/v1", takes=("documents",)),
    }
    opened = open_providers(Settings(providers=entries))
    takes = {name: opened.resolve(f"{name}:m")[0].takes("m") for name in (*entries, "ollama")}
    usual = Capabilities(images=True, tools=True, response_schema=True)
    assert takes == {
        "openai": EVERYTHING,
        "vllm": usual,
        "router": Capabilities(documents=True),
        "ollama": usual,
    }
    assert OLLAMA_URL.endswith("/v1")  # spoken to as the others are


def test_each_kind_has_the_window_that_its_models_are_given_where_nobody_sets_one() -> None:
    address = "http://127.0.0.1:1/v1"
    entries = {
        "openai": OpenAISettings.model_validate({"api_key": "sk-1"}),
        "vllm": OpenAISettings(base_url=address),
        "router": OpenAISettings(base_url=address, window=200_000),
        "gpu": OllamaSettings(window=32_000),
    }
    opened = open_providers(Settings(providers=entries))
    windows = {name: opened.resolve(f"{name}:m")[0].takes("m").window for name in (*entries, "ollama")}
    assert windows == {"openai": 128_000, "vllm": 32_000, "router": 200_000, "gpu": 32_000, "ollama": 4_096}


# What a model thinks


def thinking(field: str, *pieces: str) -> list[dict[str, Any]]:
    return [{"model": "small-2026", "choices": [{"index": 0, "delta": {field: piece}}]} for piece in pieces]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_comes_beside_the_text(field: str) -> None:
    """DeepSeek and llama.cpp name it `reasoning_content`; vLLM, Ollama and OpenRouter `reasoning`."""
    first = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "", field: "Hm"}}]}
    last = {"choices": [{"index": 0, "delta": {"content": "Hi", field: None}, "finish_reason": None}]}
    events = [first, *thinking(field, ", so"), last, delta(" you"), delta(finish="stop")]
    reasoning = Reasoning("Hm, so", "mine", field)
    message = {"role": "assistant", "content": "Hi you", field: "Hm, so"}
    answer = {"model": "small-2026", "choices": [{"message": message, "finish_reason": "stop"}]}
    async with model([chunked(*events, DONE)], [whole(answer)]) as (provider, _):
        wanted = Completion("Hi you", "small-2026", None, "stop", (), reasoning)
        assert await all_of(provider) == [
            Reasoning("Hm", "mine", field),
            Reasoning(", so", "mine", field),
            "Hi",
            " you",
            wanted,
        ]
        assert await provider.complete(CALL) == wanted
        assert await all_of(provider) == [reasoning, "Hi you", wanted]  # a server that cannot stream


async def test_reasoning_without_an_answer_and_a_letter_cut_in_two() -> None:
    events = [*thinking("reasoning", "\ud83d", "\ude00", "\ud83d"), delta(finish="length")]
    async with model([chunked(*events, DONE)]) as (provider, _):
        thought = Reasoning("😀", "mine", "reasoning")
        end = Completion("", "small-2026", None, "length", (), Reasoning("😀\ufffd", "mine", "reasoning"))
        assert await all_of(provider) == [thought, end]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("value", [7, [], {}, "", None, True])
async def test_reasoning_that_is_no_text_is_none(field: str, value: Any) -> None:
    events = [{"choices": [{"delta": {"content": "Hi", field: value}, "message": {"content": "Hi", field: value}}]}]
    async with model([chunked(*events, delta(finish="stop"), DONE)], [whole(events[0])]) as (provider, _):
        assert await all_of(provider) == ["Hi", Completion("Hi", "small-2026", None, "stop")]
        assert await provider.complete(CALL) == Completion("Hi", "small")


async def test_reasoning_without_end_is_too_long() -> None:
    many = event(
        b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in thinking("reasoning", *["x" * 90] * 100))
    )
    async with model([chunked(end=False), *[many] * 100, 60.0], seconds=30, answer_chars=10_000) as (provider, _):
        with pytest.raises(AnswerTooLong):
            await all_of(provider)


async def test_a_content_filter_and_a_refusal_are_told() -> None:
    refusal = {"choices": [{"delta": {"content": None, "refusal": "I cannot help with that."}}]}
    async with model([chunked(refusal, delta(finish="content_filter"), DONE)]) as (provider, _):
        said = "I cannot help with that."
        assert await all_of(provider) == [said, Completion(said, "small-2026", None, "content_filter")]


@pytest.mark.parametrize(
    ("more", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 5}}, 5),
        ({"prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 2}, 5),
        ({"prompt_tokens_details": None}, 0),
        *(({"prompt_tokens_details": {"cached_tokens": count}}, 0) for count in (8, -1, True, 1.5, "5", None)),
        ({"prompt_tokens_details": 7}, 0),
    ],
)
async def test_cached_tokens_are_counted_where_they_can_be(more: Any, cached: int) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, **more}
    async with model([chunked(delta("Hi", finish="stop"), {"choices": [], "usage": usage}, DONE)]) as (provider, _):
        end = (await all_of(provider))[-1]
        assert isinstance(end, Completion)
        assert end.usage
        assert (end.usage.input_tokens, end.usage.output_tokens, end.usage.cached_tokens) == (7, 2, cached)
