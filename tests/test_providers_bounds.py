"""Every wait for a model's server has an end, every answer a size, and its failures are passed over or told."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowground.core.errors import AnswerTooLong, ProviderBusy, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.core.messages import Usage
from flowground.providers.base import Completion
from flowground.providers.connection import AT_ONCE
from flowground.providers.openai import OpenAI
from tests.chat_answers import ANSWER, CALL, DONE, KEY, STREAMED, USAGE, WANTED, all_of, delta, model, openai
from tests.test_providers_ways import certificate, full_queue
from tests.wire import HANG_UP, Part, chunked, event, fault_of, faults_of, whole, wire

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
async def test_an_answer_that_said_its_end_is_whole_whatever_follows(after: list[Part], usage: Usage | None) -> None:
    async with model([PIECES, *after], seconds=60) as (provider, _):
        pieces = await asyncio.wait_for(all_of(provider), 30)
        assert pieces == ["Hi", Completion("Hi", "small-2026", usage, "stop")]


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
async def test_halves_of_a_letter_are_joined_and_a_lone_half_is_replaced(said: list[str], heard: list[str]) -> None:
    text = "".join(heard)
    plain = {"choices": [{"message": {"content": "".join(said)}, "finish_reason": "stop"}]}
    streamed = chunked(*(delta(piece) for piece in said), delta(finish="stop"), DONE)
    async with model([whole(plain)], [streamed]) as (provider, _):
        assert (await provider.complete(CALL)).text == text
        *pieces, end = await all_of(provider)
        assert (pieces, end) == (heard, Completion(text, "small-2026", None, "stop"))


async def test_an_answer_is_cut_while_it_arrives() -> None:
    """Sixty megabytes are announced; the server notices that nobody takes them."""
    megabyte = event(b" " * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answers = ([head, *[megabyte] * 60], [chunked(delta("Hi"), end=False), *[megabyte] * 60])
    async with model(*answers) as (provider, server):
        for call in (provider.complete(CALL), all_of(provider)):
            server.left.clear()
            await fault_of(call, AnswerTooLong)
            await asyncio.wait_for(server.left.wait(), 20)


async def test_a_server_that_takes_no_connection_is_told_alike_and_asked_once() -> None:
    with full_queue("127.0.0.1") as (host, port):
        provider = openai(f"http://{host}:{port}/v1", timeout=0.3)
        await faults_of(provider, CALL, ProviderTimeout)
        await provider.close()


async def test_a_certificate_that_is_not_trusted_is_named_and_nobody_asked(tmp_path: Path) -> None:
    async with wire([ANSWER], context=await certificate(tmp_path, "DNS:wrong.example")) as server:
        provider = openai(server.url.replace("http", "https") + "/v1", timeout=5)
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


async def test_a_refusal_says_why_without_key_and_address() -> None:
    said = {"error": {"message": f"Wrong key\n{KEY} at /deep/v1/chat/completions", "code": "invalid_api_key"}}
    async with model([whole(said, status="401 Unauthorized")]) as (provider, server):
        refused = await fault_of(provider.complete(CALL), ProviderRefused)
        assert (refused.status, len(server.asked)) == (401, 1)
        assert refused.message == "The provider 'mine' answered with status 401: Wrong key … at …"
        assert refused.hint == "Check `providers.mine.api_key` in config.yaml."


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Oh No", "503 Later"])
async def test_passing_failures_are_repeated(status: str) -> None:
    failed = whole({"error": "busy"}, status=status, headers="Retry-After: 0\r\n")
    async with model([failed], [failed], [ANSWER], [failed], [failed], [STREAMED]) as (provider, _):
        assert await provider.complete(CALL) == WANTED
        assert await all_of(provider) == ["Hi", " you", WANTED]


async def test_repeats_end() -> None:
    async with model([whole({"detail": "broken"}, status="500 Oh No")], retries=1) as (provider, server):
        refused = await fault_of(provider.complete(CALL), ProviderRefused)
        assert (refused.status, len(server.asked)) == (500, 2)
        assert refused.message == "The provider 'mine' answered with status 500: broken."


async def test_a_long_wait_is_the_callers() -> None:
    async with model([whole({}, status="429 Busy", headers="Retry-After: 120\r\n")]) as (provider, server):
        refused = await fault_of(all_of(provider), ProviderBusy)
        assert (refused.retry_after, refused.status, len(server.asked)) == (120, 429, 1)


async def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async with model([ANSWER, HANG_UP], [HANG_UP], [ANSWER]) as (provider, server):
        assert await provider.complete(CALL) == WANTED
        assert await provider.complete(CALL) == WANTED
        assert len(server.asked) == 3


HI = chunked(delta("Hi"), end=False)


@pytest.mark.parametrize(
    ("answer", "seconds", "fault"),
    [
        ([HI, HANG_UP], 30, ProviderUnreachable),
        ([chunked(delta("Hi"))], 30, ProviderUnreachable),
        ([HI, 60.0], 3, ProviderTimeout),
    ],
)
async def test_an_answer_without_its_end_is_broken_and_not_begun_anew(
    answer: list[Part], seconds: float, fault: Any
) -> None:
    async with model(answer, seconds=seconds) as (provider, server), aclosing(provider.stream(CALL)) as pieces:
        assert await anext(pieces) == "Hi"
        await fault_of(anext(pieces), fault)
        assert len(server.asked) == 1


async def test_a_server_that_is_down_is_asked_again_after_any_number_of_calls() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        provider = openai(f"http://127.0.0.1:{nobody.getsockname()[1]}/v1", retries=0, timeout=20)
        for _ in range(260):  # more than may be under way at once
            async with asyncio.timeout(20):
                refused = await fault_of(provider.complete(CALL), ProviderUnreachable)
        await provider.close()
    assert refused.message == "Nothing answers at the address of provider 'mine'."
    assert refused.hint == "Check `providers.mine.base_url` in config.yaml and that the server runs."


COMMENTS = [0.02, event(b": still here\n\n")] * 3000


@pytest.mark.parametrize("answer", [[60.0, ANSWER], [chunked(end=False), 60.0], [chunked(end=False), *COMMENTS]])
async def test_a_late_answer_is_given_up(answer: list[Part]) -> None:
    async with model(answer, seconds=0.7) as (provider, server):
        await fault_of(all_of(provider), ProviderTimeout)
        await asyncio.wait_for(server.left.wait(), 30)
        late = await fault_of(provider.complete(CALL), ProviderTimeout)
        assert late.message == "The provider 'mine' did not answer within 0.7 seconds."


NO_CONTENT = [b'{"choices":[{"message":{"content":7}}]}', b'{"choices":[{"message":{"content":["a"]}}]}']
NO_MESSAGE = [b"{}", b'{"choices":[]}', b'{"choices":[{"message":7}]}', *NO_CONTENT]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices":7}', b"\xff\xfe", b"[" * 100_000, *NO_MESSAGE])
async def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """A sign-in page, for one; it is asked for once, and told alike where a stream was wanted."""
    async with model([whole(body)], [chunked(b"data: " + (body or b"x") + b"\n\n", DONE)]) as (provider, server):
        refused = await fault_of(provider.complete(CALL), ProviderRefused)
        assert refused.message == "The provider 'mine' answered with something that is not a chat completion."
        if body in NO_MESSAGE:
            assert await all_of(provider) == [Completion("", "small")]  # an event without text is none
        else:
            streamed = await fault_of(all_of(provider), ProviderRefused)
            assert (streamed.message, streamed.hint) == (refused.message, refused.hint)
        assert len(server.asked) == 2


async def test_an_error_under_status_200_is_an_error() -> None:
    failure = {"error": {"message": "out of memory", "code": 507}}
    async with model([whole(failure)], [chunked(failure)], retries=0) as (provider, _):
        for _ in range(2):
            refused = await fault_of(all_of(provider), ProviderRefused)
            assert (refused.status, refused.message) == (507, "The provider 'mine' reported: out of memory.")


async def test_a_redirect_is_not_followed() -> None:
    async with model([whole(b"", status="307 Moved", headers="Location: http://127.0.0.1:1/\r\n")]) as (provider, _):
        assert (await fault_of(provider.complete(CALL), ProviderRefused)).status == 307


@pytest.mark.parametrize("address", ["127.0.0.1:80/v1", "ftp://host/v1", "http://me:secret@host/v1", "http://", "::"])
def test_an_address_that_cannot_be_used_is_refused(address: str) -> None:
    with pytest.raises(ProviderRefused, match=r"^The address of provider 'mine' cannot be used\.$"):
        openai(address)


def test_a_key_that_is_no_key_is_refused() -> None:
    with pytest.raises(ProviderRefused) as refused:
        openai("http://127.0.0.1/v1", key="two\nlines")
    assert "two" not in refused.value.message


async def test_an_outage_is_logged_once_and_its_end_too_and_a_refusal_is_none(caplog: pytest.LogCaptureFixture) -> None:
    down = whole({"error": {"message": f"Overloaded {KEY}"}}, status="503 Away")
    refusal = whole({"error": "no such model"}, status="404 No")
    async with model([refusal], *[[down]] * 3, [ANSWER], [ANSWER], [down], retries=0) as (provider, _):
        for _ in range(4):
            await fault_of(provider.complete(CALL), ProviderRefused)
        await all_of(provider)
        await provider.complete(CALL)
        await fault_of(all_of(provider), ProviderRefused)
    begun = "The provider 'mine' is down, which is told once: The provider 'mine' answered with status 503: Overloaded"
    told = [record.getMessage().removesuffix(" …") for record in caplog.records]
    assert told == [begun, "The provider 'mine' answers again.", begun]
