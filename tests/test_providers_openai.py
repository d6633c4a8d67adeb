import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from flowground.messages import Message
from flowground.providers.base import Completion, ModelCall
from flowground.providers.chat_request import write_call
from flowground.values import LONGEST
from tests.chat_answers import ANSWER, CALL, DONE, KEY, STREAMED, WANTED, all_of, delta, model
from tests.heartbeat import stays_responsive
from tests.wire import chunked, whole

pytestmark = pytest.mark.anyio


async def test_a_whole_answer_and_what_was_asked() -> None:
    async with model([ANSWER]) as (provider, server):
        assert await provider.complete(CALL) == WANTED
        asked = server.asked[0]
        assert asked.path == "/deep/v1/chat/completions"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.body == {
            "model": "small",
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "it's “hi”\n$HOME"}],
            "temperature": 0.5,
        }


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


async def test_a_server_that_cannot_stream_answers_at_once() -> None:
    async with model([ANSWER]) as (provider, _):
        assert await all_of(provider) == ["Hi you", WANTED]


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


def test_openai_itself_gets_the_new_name_of_max_tokens() -> None:
    call = ModelCall("m", (), {"max_tokens": 5})
    body = json.loads(write_call(call, is_streamed=False, renamed={"max_tokens": "max_completion_tokens"}))
    assert body == {"model": "m", "messages": [], "max_completion_tokens": 5}


async def test_the_longest_prompt_is_written_without_keeping_anybody_waiting() -> None:
    call = ModelCall("m", tuple(Message("user", text * (LONGEST // 2)) for text in ("🐎", '"')), {})
    bodies: list[bytes] = []

    async def write() -> None:
        bodies.append(write_call(call, is_streamed=True, renamed={}))

    await stays_responsive(write)
    assert [message["content"] for message in json.loads(bodies[0])["messages"]] == [m.content for m in call.messages]
    half = ModelCall("m", (Message("user", "\ud800"),), {})
    assert json.loads(write_call(half, is_streamed=False, renamed={}))["messages"][0]["content"] == "\ud800"


async def test_connections_beyond_those_kept_are_closed_again() -> None:
    async with model([asyncio.Barrier(140), ANSWER], seconds=60) as (provider, server):
        for connections in (140, 152):  # 128 were kept
            assert await asyncio.gather(*(provider.complete(CALL) for _ in range(140))) == [WANTED] * 140
            assert server.connections == connections
