"""How a call gets to a model's server: by TLS, through the environment's proxies, and packed."""

import asyncio
import gzip
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flowground.errors import ProviderError, ProviderUnreachable
from flowground.providers.openai import OpenAI
from tests.chat_answers import ANSWER, CALL, STREAMED, WANTED, all_of, model
from tests.talking_servers import served
from tests.wire import Wire, whole, wire

pytestmark = pytest.mark.anyio


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
    provider = OpenAI("mine", url, api_key="sk-1", timeout=5)
    assert await provider.complete(CALL) == WANTED
    assert await all_of(provider) == ["Hi", " you", WANTED]
    await provider.close()


async def test_an_authority_of_ones_own_is_trusted_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
async def test_an_answer_that_stops_halfway_leaves_the_way_through_the_proxy_free(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    half = whole({"error": "no such model"}, status=status)[:-5]
    async with wire([half, 60.0], [ANSWER]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        provider = OpenAI("mine", "http://model.example/v1", timeout=1, retries=0)
        with pytest.raises(ProviderError):
            await provider.complete(CALL)
        await asyncio.wait_for(proxy.left.wait(), 30)
        assert await provider.complete(CALL) == WANTED
        await provider.close()


async def test_a_proxy_that_refuses_is_nobody_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire([ANSWER]) as server, tunnels(server, refuse=True) as (proxy, asked):
        monkeypatch.setenv("https_proxy", proxy)
        provider = OpenAI("mine", "https://model.example/v1", timeout=5, retries=0)
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
