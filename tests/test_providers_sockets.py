"""The connections under a model's calls: bytes both ways, time limits, and a host with more than one address."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import httpcore2
import pytest

from flowground.providers.sockets import AsyncioBackend, Stream, connect_first
from tests.talking_servers import Talk, served

pytestmark = pytest.mark.anyio

LARGE = b"x" * 3_000_000


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Tests run on asyncio's loop, the app on uvloop's where there is one."""
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def connected(talk: Talk) -> AsyncIterator[Stream]:
    """A connection to a server that does `talk` and closes it."""
    async with served(talk) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=30)
        yield stream
        await stream.aclose()


async def read_all(stream: Stream, most: int = 65_536) -> bytes:
    found = []
    while data := await stream.read(most, timeout=30):
        assert len(data) <= most
        found.append(data)
    return b"".join(found)


async def test_bytes_go_both_ways_in_pieces_of_the_readers_size() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(LARGE)))
        await writer.drain()

    async with connected(talk) as stream:
        assert not stream.get_extra_info("is_readable")
        await stream.write(LARGE, timeout=30)
        assert await read_all(stream) == LARGE
        assert stream.get_extra_info("is_readable")
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"more", timeout=30)


async def test_the_head_and_the_body_of_a_small_call_go_out_as_one() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))

    async with connected(talk) as stream:
        await stream.write(b"head ", timeout=30)
        await stream.write(b"and body", timeout=30)
        assert await read_all(stream) == b"head and body"


async def test_a_server_waits_for_a_reader_who_takes_their_time() -> None:
    sent = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(8):
            writer.write(LARGE)
            await writer.drain()
        sent.set()

    async with connected(talk) as stream:
        assert await stream.read(1, timeout=30) == b"x"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sent.wait(), 0.3)
        assert len(await read_all(stream, most=10_000_000)) == 8 * len(LARGE) - 1


async def test_a_silent_server_is_given_up_whether_it_is_read_or_written_to() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with connected(talk) as stream:
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(10, timeout=0.05)
        with pytest.raises(httpcore2.WriteTimeout):
            await stream.write(20 * LARGE, timeout=0.05)


async def test_who_is_cancelled_leaves_the_connection_readable() -> None:
    go = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"late")

    async with connected(talk) as stream:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.read(10), 0.05)
        go.set()
        assert await read_all(stream) == b"late"


async def test_a_broken_connection_is_no_end() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger = struct.pack("ii", 1, 0)  # closed at once: the system resets the connection
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with connected(talk) as stream:
        await stream.write(LARGE[:100_000], timeout=30)
        with pytest.raises(httpcore2.ReadError):
            await read_all(stream)


async def test_an_address_that_does_not_answer_is_not_waited_for() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()
        await writer.wait_closed()

    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        silent = full.getsockname()
        for _ in range(3):  # they fill its queue: the system drops who comes then
            waiting.enter_context(caller := socket.socket())
            caller.setblocking(False)
            caller.connect_ex(silent)
        server = await asyncio.start_server(serve, "127.0.0.1", silent[1])

        kinds = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        places = [("127.0.0.3", 1), silent, ("127.0.0.1", silent[1])]
        stream = await connect_first([(*kinds, place) for place in places])
        assert await read_all(stream) == b"here"
        await stream.aclose()
        server.close()
        await server.wait_closed()
