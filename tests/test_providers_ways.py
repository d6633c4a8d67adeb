"""How a call gets to a model's server: by TLS, through the environment's proxies, and packed."""

import asyncio
import gzip
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpcore2
import pytest

from flowground.core.errors import ProviderError, ProviderUnreachable
from flowground.providers.connection import AsyncioBackend, Stream, connect_first
from tests.chat_answers import ANSWER, CALL, STREAMED, WANTED, all_of, model, openai
from tests.talking_servers import Talk, served
from tests.wire import Wire, whole, wire


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Tests run on asyncio's loop, the app on uvloop's where there is one."""
    return "asyncio", {"use_uvloop": request.param}


async def certificate(folder: Path, names: str) -> ssl.SSLContext:
    """A certificate for these names that vouches for itself: cert.pem in `folder`, and what a server needs of it."""
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", "1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-subj", "/CN=ours"]
    make += ["-addext", f"subjectAltName={names}"]
    await asyncio.to_thread(subprocess.run, make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@contextmanager
def full_queue(host: str) -> Iterator[tuple[str, int]]:
    """An address that takes no connection: the system drops who comes while its queue is full."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind((host, 0))
        full.listen(0)
        for _ in range(3):
            waiting.enter_context(caller := socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        yield full.getsockname()


@asynccontextmanager
async def tunnels(to: Wire, *, refuse: bool = False) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that leads every CONNECT to one server, whatever its name; what it was asked."""
    asked: list[str] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if refuse:
            writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Go on\r\n\r\n")
        said, there = await asyncio.open_connection("127.0.0.1", int(to.url.rpartition(":")[2]))
        try:
            await asyncio.gather(copy(reader, there), copy(said, writer), return_exceptions=True)
        finally:
            there.close()

    async with served(talk) as port:
        yield f"http://ada:secret@127.0.0.1:{port}", asked


async def ask_both_ways(url: str) -> None:
    provider = openai(url, key="sk-1", timeout=5)
    assert await provider.complete(CALL) == WANTED
    assert await all_of(provider) == ["Hi", " you", WANTED]
    await provider.close()


async def test_an_authority_that_is_named_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire([ANSWER], [STREAMED], context=await certificate(tmp_path, "IP:127.0.0.1")) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        await ask_both_ways(f"{server.url.replace('http', 'https')}/v1")
        assert server.connections == 1


async def test_a_plain_call_goes_through_the_proxy_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire([ANSWER], [STREAMED]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//ada:secret@"))
        await ask_both_ways("http://model.example/v1")
        for asked in proxy.asked:
            assert asked.path == "http://model.example/v1/chat/completions"
            assert asked.headers["proxy-authorization"] == "Basic YWRhOnNlY3JldA=="
            assert asked.headers["host"] == "model.example"
        assert (len(proxy.asked), proxy.connections) == (2, 1)


async def test_an_encrypted_call_goes_through_a_tunnel_of_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = await certificate(tmp_path, "DNS:model.example")
    async with wire([ANSWER], [STREAMED], context=context) as server, tunnels(server) as (proxy, asked):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        monkeypatch.setenv("https_proxy", proxy)
        await ask_both_ways("https://model.example/v1")
        assert [asked.path for asked in server.asked] == ["/v1/chat/completions"] * 2
        (head,) = asked
        assert head.startswith("CONNECT model.example:443 HTTP/1.1\r\n")
        assert "Basic YWRhOnNlY3JldA==" in head
        assert "sk-1" not in head


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
async def test_an_answer_that_stops_halfway_leaves_the_proxy_free(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    half = whole({"error": "no such model"}, status=status)[:-5]
    async with wire([half, 60.0], [ANSWER]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        provider = openai("http://model.example/v1", timeout=1, retries=0)
        with pytest.raises(ProviderError):
            await provider.complete(CALL)
        await asyncio.wait_for(proxy.left.wait(), 30)
        assert await provider.complete(CALL) == WANTED
        await provider.close()


async def test_a_proxy_that_refuses_is_nobody_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire([ANSWER]) as server, tunnels(server, refuse=True) as (proxy, asked):
        monkeypatch.setenv("https_proxy", proxy)
        provider = openai("https://model.example/v1", timeout=5, retries=0)
        with pytest.raises(ProviderUnreachable, match="Nothing answers at the address of provider 'mine'"):
            await provider.complete(CALL)
        assert len(asked) == 1
        assert server.asked == []
        await provider.close()


async def test_this_computer_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    async with model([ANSWER]) as (provider, server):
        assert await provider.complete(CALL) == WANTED
        assert len(server.asked) == 1


async def test_an_answer_that_is_packed_all_the_same_is_unpacked() -> None:
    text = {"model": "small-2026", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
    async with model([whole(gzip.compress(json.dumps(text).encode()), headers=headers)]) as (provider, server):
        assert (await provider.complete(CALL)).text == "Hi"
        assert server.asked[0].headers["accept-encoding"] == "identity"


LARGE = b"x" * 3_000_000


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


async def test_an_address_that_does_not_answer_is_not_waited_for() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()
        await writer.wait_closed()

    with full_queue("127.0.0.2") as silent:
        server = await asyncio.start_server(serve, "127.0.0.1", silent[1])

        kinds = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        places = [("127.0.0.3", 1), silent, ("127.0.0.1", silent[1])]
        stream = await connect_first([(*kinds, place) for place in places])
        assert await read_all(stream) == b"here"
        await stream.aclose()
        server.close()
        await server.wait_closed()
