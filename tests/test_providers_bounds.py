"""Every wait for a model's server has an end, every answer a size, and both ways to ask tell of a fault alike."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowground.errors import AnswerTooLong, ProviderBusy, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.messages import Usage
from flowground.providers.base import Completion
from flowground.providers.lanes import AT_ONCE
from flowground.providers.openai import OpenAI
from tests.chat_answers import ANSWER, CALL, DONE, USAGE, all_of, delta, model
from tests.model_calls import fault_of, faults_of
from tests.test_providers_ways import certificate
from tests.wire import Part, chunked, event, whole, wire

pytestmark = pytest.mark.anyio

PIECES = chunked(delta("Hi"), delta(finish="stop"), end=False)


def dripped(data: bytes, *, pause: float) -> list[Part]:
    return [part for byte in data for part in (bytes([byte]), pause)]


async def test_a_head_that_comes_byte_by_byte_is_given_up() -> None:
    head = dripped(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 300, pause=0.05)
    async with model(head, seconds=1) as (provider, server):
        await faults_of(provider, CALL, ProviderTimeout)
        assert len(server.asked) == 2


async def test_the_words_of_a_refusal_are_waited_for_no_longer_than_an_answer() -> None:
    refusal = whole({"error": "no such model " * 9}, status="404 Not Found")
    slow = [refusal[:-100], *dripped(refusal[-100:], pause=0.1)]
    async with model(slow, seconds=1) as (provider, _):
        assert [fault.code for fault in await faults_of(provider, CALL, ProviderRefused)] == ["model_failed"] * 2


@pytest.mark.parametrize(
    ("after", "usage"),
    [([60.0], None), ([0.05, event({"choices": [], "usage": USAGE}), 60.0], Usage(7, 2)), ([0.05, b"zz"], None)],
    ids=["nothing more", "counts, no end", "garbage"],
)
async def test_an_answer_that_said_its_end_is_whole_whatever_the_connection_does(
    after: list[Part], usage: Usage | None
) -> None:
    async with model([PIECES, *after], seconds=60) as (provider, _):
        pieces = await asyncio.wait_for(all_of(provider), 30)
        assert pieces == ["Hi", Completion("Hi", "small-2026", usage, "stop")]


async def test_a_reader_who_takes_their_time_is_no_silence_of_the_model() -> None:
    begun: list[Part] = [chunked(delta("Hi"), end=False), 0.1, event(b": comment\n\n")]
    late = [*begun, 0.2, event(delta("!", finish="stop")), event(DONE)]
    async with model(late, seconds=1) as (provider, _), aclosing(provider.stream(CALL)) as pieces:
        assert await anext(pieces) == "Hi"
        await asyncio.sleep(1.4)
        assert await anext(pieces) == "!"


@pytest.mark.parametrize("count", [2**31, 99999999999999999999, -1, True, 1.5, "7", None])
async def test_what_cannot_be_a_number_of_tokens_is_no_count(count: Any) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": 1}
    answer = {"choices": [{"message": {"content": "ok"}, "delta": {"content": "ok"}, "finish_reason": "stop"}]}
    async with model([whole(answer | {"usage": usage})], [chunked(answer | {"usage": usage}, DONE)]) as (provider, _):
        assert await provider.complete(CALL) == Completion("ok", "small", None, "stop")
        assert (await all_of(provider))[-1] == Completion("ok", "small", None, "stop")


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (["hi \ud83d", "\ude00 there"], ["hi ", "😀 there"]),
        (["\ud83d", "\ude00"], ["😀"]),
        (["hi \ud83d", "there"], ["hi ", "�there"]),
        (["\ude00 hi \ud83d"], ["� hi ", "�"]),
        (["\ud83d", "\ud83d\ude00", "é"], ["�😀", "é"]),
    ],
)
async def test_a_letter_that_was_cut_in_two_is_joined_and_a_lone_half_replaced(
    said: list[str], heard: list[str]
) -> None:
    text = "".join(heard)
    plain = {"choices": [{"message": {"content": "".join(said)}, "finish_reason": "stop"}]}
    streamed = chunked(*(delta(piece) for piece in said), delta(finish="stop"), DONE)
    async with model([whole(plain)], [streamed]) as (provider, _):
        assert (await provider.complete(CALL)).text == text
        *pieces, end = await all_of(provider)
        assert (pieces, end) == (heard, Completion(text, "small-2026", None, "stop"))


async def test_half_a_letter_in_a_refusal_and_a_models_name_is_replaced() -> None:
    named = whole({"model": "m\ud83d", "choices": [{"message": {"content": "ok"}}]})
    async with model([whole({"error": {"message": "no \ud83d"}}, status="400 Bad")], [named]) as (provider, _):
        with pytest.raises(ProviderRefused, match="no �"):
            await provider.complete(CALL)
        assert (await provider.complete(CALL)).model == "m�"


async def test_an_answer_is_cut_while_it_arrives() -> None:
    """Sixty megabytes are announced; the server notices that nobody takes them."""
    megabyte = event(b" " * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answers = ([head, *[megabyte] * 60], [chunked(delta("Hi"), end=False), *[megabyte] * 60])
    async with model(*answers, answer_chars=1000) as (provider, server):
        for call in (provider.complete(CALL), all_of(provider)):
            server.left.clear()
            await fault_of(call, AnswerTooLong)
            await asyncio.wait_for(server.left.wait(), 20)


async def test_a_server_that_takes_no_connection_is_told_alike_and_asked_once() -> None:
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # they fill its queue
            waiting.enter_context(caller := socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        provider = OpenAI("mine", f"http://127.0.0.1:{full.getsockname()[1]}/v1", timeout=0.3)
        await faults_of(provider, CALL, ProviderTimeout)
        await provider.close()


async def test_an_encrypted_call_of_a_plain_server_is_told_alike() -> None:
    async with model([ANSWER], seconds=0.3) as (_, server):
        provider = OpenAI("mine", server.url.replace("http", "https") + "/v1", timeout=0.3)
        await faults_of(provider, CALL, ProviderTimeout)
        await provider.close()


async def test_a_certificate_that_is_not_trusted_is_named_and_nobody_asked(tmp_path: Path) -> None:
    async with wire([ANSWER], context=await certificate(tmp_path, "DNS:wrong.example")) as server:
        provider = OpenAI("mine", server.url.replace("http", "https") + "/v1", timeout=5)
        for fault in await faults_of(provider, CALL, ProviderUnreachable):
            assert fault.message.startswith("The certificate of provider 'mine' is not trusted: ")
            assert "outgoing.ca_file" in (fault.hint or "")
        assert server.asked == []
        await provider.close()


@asynccontextmanager
async def as_many_as_may_be(provider: OpenAI) -> AsyncIterator[None]:
    """Streams that have begun and go on, one on each connection that the provider may have."""
    streams = [provider.stream(CALL) for _ in range(AT_ONCE)]
    for begun in range(0, AT_ONCE, 32):
        some = streams[begun : begun + 32]
        assert await asyncio.gather(*(anext(stream) for stream in some)) == ["Hi"] * 32
    yield
    for stream in streams:
        await stream.aclose()


async def test_a_wait_for_a_free_connection_ends_and_loses_none() -> None:
    async with model([chunked(delta("Hi"), end=False), asyncio.Barrier(10_000)], seconds=2) as (provider, server):
        for calls in (AT_ONCE, 2 * AT_ONCE):  # the second time only when no connection was lost the first time
            async with as_many_as_may_be(provider):
                leaving = [asyncio.ensure_future(all_of(provider)) for _ in range(20)]
                await asyncio.sleep(0)  # now each waits for a connection
                for task in leaving:
                    task.cancel()
                left = await asyncio.gather(*leaving, return_exceptions=True)
                assert {type(end) for end in left} == {asyncio.CancelledError}
                for fault in await faults_of(provider, CALL, ProviderBusy):
                    assert fault.message.startswith(f"All {AT_ONCE} calls that provider 'mine' may have at once")
                assert len(server.asked) == calls
