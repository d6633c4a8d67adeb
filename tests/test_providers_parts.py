"""Images, documents and reasoning on the wire of OpenAI's chat completions, and what is refused before it is sent.

OpenAI's chat completions on the wire, and what differs at Azure.
"""

import asyncio
import base64
import hashlib
import json
import tracemalloc
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from flowground.core.errors import AnswerTooLong, ProviderRefused, RunError
from flowground.core.messages import FilePart, Message, Reasoning, TextPart, Usage
from flowground.core.values import LONGEST
from flowground.providers.base import MOST_FILE_BYTES, Capabilities, Completion, ModelCall, ToolSpec
from flowground.providers.model_server import encode_files
from flowground.providers.openai import OLLAMA_URL, AzureSettings, OllamaSettings, OpenAISettings
from flowground.settings import Settings
from tests.chat_answers import ANSWER, CALL, DONE, KEY, STREAMED, USAGE, WANTED, all_of, delta, model, openai
from tests.heartbeat import stays_responsive
from tests.opened_providers import open_providers
from tests.talking_servers import served
from tests.wire import Opened, Part, chunked, fault_of, faults_of, hear, hear_end, opening, whole

EVERYTHING = Capabilities(images=True, documents=True, tools=True, response_schema=True)


def file(data: bytes, name: str = "cat.png", media_type: str = "image/png", *, size: int | None = None) -> FilePart:
    async def read() -> bytes:
        return data

    return FilePart(name, name, media_type, len(data) if size is None else size, hashlib.sha256(data).hexdigest(), read)


def shown(*parts: Any) -> ModelCall:
    return ModelCall("small", (Message("user", parts),), {})


async def test_images_and_documents_are_sent_as_data_urls_and_again_when_the_call_is_repeated() -> None:
    call = shown(TextPart("What is this?"), file(b"\x89PNG\r\n"), file(b"%PDF-1.7", "a b.pdf", "application/pdf"))
    busy = whole({"error": "busy"}, status="503 Later", headers="Retry-After: 0\r\n")
    async with model([busy], [ANSWER], takes=EVERYTHING) as (provider, server):
        assert (await provider.complete(call)).text == "Hi you"
        for asked in server.asked:
            text, image, document = asked.body["messages"][0]["content"]
            assert text == {"type": "text", "text": "What is this?"}
            assert image == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}
            sent = {"filename": "a b.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="}
            assert document == {"type": "file", "file": sent}
        assert len(server.asked) == 2


async def test_what_was_sent_is_not_kept_while_the_answer_lasts() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while left:
            left -= len(await reader.read(65_536))
        writer.write(chunked(delta("Hi"), end=False))
        await reader.read()

    async with served(talk) as port:
        provider = openai(f"http://127.0.0.1:{port}/v1")
        call = shown(file(bytes(MOST_FILE_BYTES)))
        tracemalloc.start()
        try:
            async with aclosing(provider.stream(call)) as pieces:
                assert await anext(pieces) == "Hi"
                now, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await provider.close()
    assert now < 5_000_000
    assert MOST_FILE_BYTES < most < 6 * MOST_FILE_BYTES


async def test_a_file_is_read_once_a_call_and_what_it_says_cannot_leave_its_quotes() -> None:
    times = []

    async def read() -> bytes:
        times.append(1)
        return b"abc"

    odd = FilePart("f", 'a".png', 'image/png","x":"', 3, "", read)
    texts = Message("user", (TextPart("What "), TextPart("is this?")))
    call = ModelCall("small", (Message("user", (odd,)), Message("user", (odd,)), texts), {})
    body = json.loads(openai().write(call, await encode_files([odd, odd]), is_streamed=False))
    assert times == [1]
    assert body["messages"][2] == {"role": "user", "content": "What is this?"}
    assert body["messages"][0]["content"][0]["image_url"] == {"url": 'data:image/png","x":";base64,YWJj'}


async def test_the_largest_files_are_written_without_keeping_anybody_waiting() -> None:
    data = bytes(range(256)) * (MOST_FILE_BYTES // 256)
    largest = file(data)
    bodies: list[bytes] = []

    async def write() -> None:
        bodies.append(openai().write(shown(largest), await encode_files([largest]), is_streamed=True))

    await stays_responsive(write)
    url = json.loads(bodies[0])["messages"][0]["content"][0]["image_url"]["url"]
    assert base64.b64decode(url.partition(",")[2]) == data


async def test_a_file_that_changed_or_is_gone_is_not_sent() -> None:
    async def gone() -> bytes:
        raise RunError("The file cat.png was deleted.")

    async with model(takes=EVERYTHING) as (provider, server):
        changed = shown(file(b"longer than it was", size=3))
        refused = await fault_of(provider.complete(changed), ProviderRefused)
        assert refused.message == "The file 'cat.png' is not what it was: send it again."
        lost = shown(FilePart("f", "cat.png", "image/png", 3, "", gone))
        assert (await fault_of(hear(provider, lost), RunError)).message == "The file cat.png was deleted."
        assert server.asked == []


HALF, MANY = MOST_FILE_BYTES // 2, (ToolSpec("t", "", {}),) * 129


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (shown(file(b"", size=HALF), file(b"", "b", size=HALF + 1)), "20.0 MB, and a model is sent 20 MB at most"),
        (shown(*[TextPart("a")] * 1001), "A message to a model has 1000 parts at most, and this one 1001."),
        (ModelCall("small", (), {}, tools=MANY), "A model is offered 128 tools at most, and these are 129."),
    ],
)
async def test_what_is_beyond_a_bound_is_refused_before_anything_is_read(call: ModelCall, said: str) -> None:
    async with model(takes=EVERYTHING) as (provider, server):
        for refused in await faults_of(provider, call, ProviderRefused):
            assert said in refused.message
        assert server.asked == []


def test_each_kind_takes_and_holds_what_its_settings_say_or_what_is_usual() -> None:
    address = "http://127.0.0.1:1/v1"
    entries = {
        "openai": OpenAISettings.model_validate({"api_key": "sk-1"}),
        "vllm": OpenAISettings(base_url=address),
        "router": OpenAISettings(base_url=address, window=200_000, takes=("documents",)),
        "gpu": OllamaSettings(window=32_000),
    }
    opened = open_providers(Settings(providers=entries))
    takes = {name: opened.resolve(f"{name}:m")[0].takes("m") for name in (*entries, "ollama")}
    usual = Capabilities(images=True, tools=True, response_schema=True)
    assert takes == {
        "openai": replace(EVERYTHING, window=128_000),
        "vllm": replace(usual, window=32_000),
        "router": Capabilities(documents=True, window=200_000),
        "gpu": replace(usual, window=32_000),
        "ollama": replace(usual, window=4_096),
    }
    assert OLLAMA_URL.endswith("/v1")  # spoken to as the others are


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
        thoughts = [Reasoning("Hm", "mine", field), Reasoning(", so", "mine", field)]
        assert await all_of(provider) == [*thoughts, "Hi", " you", wanted]
        assert await provider.complete(CALL) == wanted
        assert await all_of(provider) == [reasoning, "Hi you", wanted]  # a server that cannot stream


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>Hm, so < </th</think>\n\nHi <think>you</think>", "Hm, so < </th", "Hi <think>you</think>"),
        ("\n <think>\nHm\n</think>Hi", "Hm\n", "Hi"),
        ("<think>\n\n</think>\n\nHi", "", "Hi"),
        ("<think>Hm, </thi", "Hm, </thi", ""),
        (" <thin air", "", " <thin air"),
        ("\nHi", "", "\nHi"),
        ("<th", "", "<th"),
    ],
)
async def test_what_a_model_thinks_between_marks_is_no_part_of_its_answer(text: str, thought: str, said: str) -> None:
    """So Ollama, vLLM and others give it where nothing takes it out of the text."""
    message = {"role": "assistant", "content": text}
    answer = whole({"model": "small-2026", "choices": [{"message": message, "finish_reason": "stop"}]})
    cuts = [[text], [*text], [text[:9], text[9:]]]
    streams = [chunked(*map(delta, filter(None, cut)), delta(finish="stop"), DONE) for cut in cuts]
    async with model(*([stream] for stream in streams), [answer]) as (provider, _):
        for _cut in cuts:
            *pieces, end = await all_of(provider)
            assert "".join(piece.text for piece in pieces if isinstance(piece, Reasoning)) == thought
            assert "".join(piece for piece in pieces if isinstance(piece, str)) == said
            wanted = Completion(said, "small-2026", None, "stop", (), Reasoning(thought, "mine") if thought else None)
            assert end == wanted
        assert await provider.complete(CALL) == wanted


async def test_reasoning_without_end_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowground.providers.event_stream.LONGEST_ANSWER", 10_000)
    many = thinking("reasoning", *["x" * 90] * 200)
    async with model([chunked(*many, end=False), 60.0], seconds=30) as (provider, _):
        await fault_of(all_of(provider), AnswerTooLong)


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
        *(({"prompt_tokens_details": {"cached_tokens": count}}, 0) for count in (8, -1, True, 1.5, "5", None)),
        *(({"prompt_tokens_details": details}, 0) for details in (7, None)),
    ],
)
async def test_cached_tokens_are_counted_where_they_can_be(more: Any, cached: int) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, **more}
    opened = model([chunked(delta("Hi", finish="stop"), {"choices": [], "usage": usage}, DONE)])
    assert (await hear_end(opened, CALL)).usage == Usage(7, 2, cached)


async def test_a_whole_answer_and_what_was_asked() -> None:
    async with model([ANSWER]) as (provider, server):
        assert await provider.complete(CALL) == WANTED
        asked = server.asked[0]
        assert asked.path == "/deep/v1/chat/completions"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "it's “hi”\n$HOME"}]
        assert asked.body == {"model": "small", "messages": messages, "temperature": 0.5}


async def test_streamed_answers_in_pieces_over_one_connection_with_whole_ones() -> None:
    async with model([STREAMED], [STREAMED], [ANSWER], [STREAMED]) as (provider, server):
        for _ in range(2):
            assert await all_of(provider) == ["Hi", " you", WANTED]
        assert server.asked[0].body["stream_options"] == {"include_usage": True}
        await provider.complete(CALL)
        await all_of(provider)
        assert server.connections == 1


async def test_events_may_be_cut_anywhere() -> None:
    data = b"".join(b"data: %s\r\n\r\n" % json.dumps(delta(text), ensure_ascii=False).encode() for text in "„ö😀“")
    cut = [b": a comment\n\n", *(data[index : index + 3] for index in range(0, len(data), 3)), DONE]
    async with model([chunked(*cut)]) as (provider, _):
        assert await all_of(provider) == [*"„ö😀“", Completion("„ö😀“", "small-2026")]


async def test_text_in_parts_and_a_refusal_are_text() -> None:
    parts = [{"type": "text", "text": "Hi "}, {"type": "text", "text": "you"}]
    messages: list[dict[str, Any]] = [{"content": parts}, {"content": None, "refusal": "Hi you"}]
    async with model(*([whole({"choices": [{"message": message}]})] for message in messages)) as (provider, _):
        for _ in messages:
            assert await provider.complete(CALL) == Completion("Hi you", "small")


async def test_who_leaves_a_call_or_closes_a_stream_leaves_the_server() -> None:
    async with model([60.0], [chunked(delta("Hi"), end=False), 60.0], seconds=60) as (provider, server):
        task = asyncio.ensure_future(provider.complete(CALL))
        await asyncio.wait_for(server.came.wait(), 30)
        task.cancel()
        await asyncio.wait_for(server.left.wait(), 30)
        assert task.cancelled()
        server.left.clear()
        async with aclosing(provider.stream(CALL)) as pieces:
            assert await anext(pieces) == "Hi"
        await asyncio.wait_for(server.left.wait(), 30)


async def test_the_longest_prompt_is_written_without_keeping_anybody_waiting() -> None:
    call = ModelCall("m", tuple(Message("user", text * (LONGEST // 2)) for text in ("🐎", '"')), {})
    bodies: list[bytes] = []

    async def write() -> None:
        bodies.append(openai().write(call, {}, is_streamed=True))

    await stays_responsive(write)
    assert [message["content"] for message in json.loads(bodies[0])["messages"]] == [m.content for m in call.messages]
    half = ModelCall("m", (Message("user", "\ud800"),), {})
    assert json.loads(openai().write(half, {}, is_streamed=False))["messages"][0]["content"] == "\ud800"


DEPLOYED = "/openai/deployments/my%20gpt/chat/completions?api-version="
DEPLOYED_CALL = ModelCall("my gpt", (Message("user", "Hello"),), {"max_tokens": 9})


def azure(*answers: list[Part], **settings: Any) -> Opened:
    return opening(AzureSettings, "", answers, {"api_key": KEY, "retries": 0, **settings})


@pytest.mark.parametrize(
    ("version", "path", "option"),
    [
        ("", "/openai/v1/chat/completions", "max_completion_tokens"),
        ("2024-10-21", f"{DEPLOYED}2024-10-21", "max_completion_tokens"),
        ("2024-06-01", f"{DEPLOYED}2024-06-01", "max_tokens"),
    ],
)
async def test_a_deployment_is_asked_with_its_key_in_azures_header(version: str, path: str, option: str) -> None:
    async with azure([ANSWER], api_version=version) as (provider, server):
        assert (await provider.complete(DEPLOYED_CALL)).text == "Hi you"
        (asked,) = server.asked
        assert (asked.path, asked.headers["api-key"], "authorization" in asked.headers) == (path, KEY, False)
        assert (asked.body["model"], asked.body[option]) == ("my gpt", 9)


async def test_a_stream_begins_with_what_the_filter_says() -> None:
    filters = {"choices": [], "model": "", "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    counted = {"choices": [], "usage": USAGE}
    async with azure([chunked(filters, delta("Hi"), delta(finish="content_filter"), counted, DONE)]) as (provider, _):
        end = await Completion.read(provider.stream(DEPLOYED_CALL))
        assert (end.text, end.model, end.finish_reason) == ("Hi", "small-2026", "content_filter")


async def test_what_the_content_filter_refuses_is_a_sentence() -> None:
    error = {"message": "The response was filtered …", "code": "content_filter", "status": 400}
    async with azure([whole({"error": error}, status="400 Bad Request")]) as (provider, _):
        refused = await fault_of(provider.complete(DEPLOYED_CALL), ProviderRefused)
        assert refused.message == "The provider 'mine' does not answer this: its content filter refused it."
        assert refused.status == 400
