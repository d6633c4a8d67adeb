"""A connection reads every answer as httpcore2's do, however its bytes come, and knows whether it may be used again."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import cast

import httpcore2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from flowground.providers.connection import Connection
from tests.talking_servers import served

HEADERS = [(b"Host", b"model.example"), (b"Content-Length", b"2")]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Heard = tuple[int, dict[bytes, bytes], bytes] | str

ANSWERS = {
    "whole": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello",
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "nothing said of its length": b"HTTP/1.1 200 OK\r\nServer: small\r\n\r\nuntil the end",
    "of 1.0": b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "of 1.0, kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
    "in chunks": CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "with words on its chunks": CHUNKED + b'5;a="b"\r\nhello\r\n0;c\r\n\r\n',
    "with trailers": CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n\r\n",
    "a chunk that does not end": CHUNKED + b"5\r\nhel",
    "no number of a chunk": CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "broken off": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    "broken off in the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "a page": b"<html>hello</html>\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
    "a length and chunks": CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "lines without CR": b"HTTP/1.1 200 OK\nContent-Length: 2\nServer: small\n\nhi",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "go on, twice": b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    "letters of its own": b"HTTP/1.1 200 D\xe9j\xe0\r\nX-Name: d\xc3\xa9j\xc3\xa0\r\nContent-Length: 2\r\n\r\nhi",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
}


def url_at(port: int) -> httpcore2.URL:
    return httpcore2.URL(scheme=b"http", host=b"127.0.0.1", port=port, target=b"/v1")


async def ask(connection: Connection) -> bytes:
    await connection.post(b"/v1", HEADERS, b"{}")
    body = b""
    while data := await connection.read():
        body += data
    return body


async def hear(url: httpcore2.URL) -> Heard:
    connection = Connection(url, None, None, (10, 10))
    try:
        body = await ask(connection)
        return connection.status, connection.headers, body
    except httpcore2.ProtocolError:
        return "no answer"
    finally:
        await connection.aclose()


async def hear_by_httpcore2(url: httpcore2.URL) -> Heard:
    async with httpcore2.AsyncHTTPConnection(url.origin) as connection:
        try:
            request = httpcore2.Request("POST", url, headers=HEADERS, content=b"{}")
            answer = await connection.handle_async_request(request)
            body = b"".join([data async for data in cast(AsyncIterable[bytes], answer.stream)])
        except httpcore2.ProtocolError:
            return "no answer"
        return answer.status, {name.lower(): value for name, value in answer.headers}, body


async def compare(pieces: Sequence[bytes]) -> Heard:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with served(talk) as port:
        heard = await hear(url_at(port))
        assert heard == await hear_by_httpcore2(url_at(port))
        return heard


@pytest.mark.parametrize("cut", [lambda data: [data], lambda data: [data[i : i + 1] for i in range(len(data))]])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_as_httpcore2_reads_it(name: str, cut: Callable[[bytes], list[bytes]]) -> None:
    asyncio.run(compare(cut(ANSWERS[name])))


@settings(max_examples=60)
@given(
    status=some.sampled_from([200, 201, 400, 404, 429, 500, 503]),
    headers=some.dictionaries(
        some.from_regex(r"x-[a-z0-9]{1,8}", fullmatch=True), some.from_regex(r"[!-~]{0,20}", fullmatch=True)
    ),
    chunks=some.lists(some.binary(min_size=1, max_size=40), max_size=5),
    is_chunked=some.booleans(),
    cuts=some.lists(some.integers(0, 400), max_size=8),
)
def test_any_answer_is_read_alike_wherever_its_bytes_are_cut(
    status: int, headers: dict[str, str], chunks: list[bytes], is_chunked: bool, cuts: list[int]
) -> None:
    body = b"".join(chunks)
    length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % len(body)
    lines = [b"HTTP/1.1 %d So" % status, *(f"{name}: {value}".encode() for name, value in headers.items()), length]
    sent = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b"")] if is_chunked else chunks
    data = b"\r\n".join((*lines, b"", b"")) + b"".join(sent)
    edges = [0, *sorted(cuts), len(data)]
    heard = asyncio.run(compare([data[a:b] for a, b in pairwise(edges)]))
    assert heard[::2] == (status, body)


KEPT = {"whole", "empty", "of 1.0, kept", "in chunks", "with trailers", "go on, twice", "no reason", "early hints"}


@asynccontextmanager
async def held(sent: Sequence[bytes]) -> AsyncIterator[tuple[Connection, asyncio.Event]]:
    """A connection whose server sends one of these for each call and stays; the last when the event is set."""
    go_on = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in sent[:-1]:
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(piece)
        await go_on.wait()
        writer.write(sent[-1])
        await asyncio.Event().wait()

    async with served(talk) as port:
        connection = Connection(url_at(port), None, None, (10, 10))
        try:
            yield connection, go_on
        finally:
            await connection.aclose()


@pytest.mark.parametrize("name", sorted(KEPT))
async def test_a_connection_is_used_again_after_an_answer_that_keeps_it(name: str) -> None:
    async with held([ANSWERS[name], ANSWERS["in chunks"], b""]) as (connection, _):
        await ask(connection)
        assert connection.is_usable()
        assert await ask(connection) == b"hello world"
        assert connection.headers == {b"transfer-encoding": b"chunked"}
        assert connection.is_usable()


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", b"zz", b"\0"])
@pytest.mark.parametrize("is_at_once", [True, False])
async def test_what_comes_unasked_spoils_a_connection(more: bytes, is_at_once: bool) -> None:
    whole = ANSWERS["whole"]
    async with held([whole + more, b""] if is_at_once else [whole, more]) as (connection, go_on):
        assert await ask(connection) == b"hello"
        if not is_at_once:
            assert connection.is_usable()
            go_on.set()
            async with asyncio.timeout(60):
                while connection.is_usable():  # noqa: ASYNC110 - nothing tells that the bytes came
                    await asyncio.sleep(0)
        assert not connection.is_usable()


async def test_an_answer_that_ends_it_or_half_of_one_leaves_no_connection_to_use() -> None:
    async with held([ANSWERS["closing"], b""]) as (connection, _):
        assert await ask(connection) == b"hi"
        assert not connection.is_usable()
    async with held([CHUNKED + b"5\r\nhello\r\n", b""]) as (connection, _):
        assert not connection.is_usable()
        await connection.post(b"/v1", HEADERS, b"{}")
        assert await connection.read() == b"hello"
        assert not connection.is_usable()


ENDLESS = {
    "a header": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000,
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X-One: 1\r\n" * 30_000,
    "a reason": b"HTTP/1.1 200 " + b"x" * 200_000,
    "heads before the head": b"HTTP/1.1 100 Continue\r\n\r\n" * 9_000,
    "words on a chunk": CHUNKED + b"5;a=" + b"x" * 200_000,
    "trailers": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X-One: 1\r\n" * 30_000,
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_lines_without_an_end_are_given_up(name: str) -> None:
    async with held([ENDLESS[name], b""]) as (connection, _):
        with pytest.raises(httpcore2.RemoteProtocolError):
            await ask(connection)
        assert not connection.is_usable()
