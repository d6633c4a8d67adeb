"""OpenAI, and every server that speaks its chat completions: Ollama, vLLM, llama.cpp, LM Studio, OpenRouter, …"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx2

from flowground.errors import ProviderError, ProviderRefused, ProviderUnreachable
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.providers.chat_format import (
    MAX_ANSWER_BYTES,
    ChunkReader,
    Unreadable,
    read_completion,
    write_call,
)
from flowground.providers.server import Answer, Patience, Server

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434/v1"


class OpenAI:
    """`name` is the entry's name in config.yaml; `base_url` the address up to and with `/v1`, its query is kept.

    `timeout` bounds the wait for the whole answer (`complete`), or for the first and each next piece (`stream`);
    `retries` repeats after 429, 5xx and broken connections, before the first piece only. Raises ProviderRefused
    for an address or key that cannot be used.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = 60,
        retries: int = 2,
        trust_env: bool = True,
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._retries = retries
        # OpenAI's own newer models refuse the name that all other servers know.
        self._renamed = {"max_tokens": "max_completion_tokens"} if base_url == OPENAI_URL else {}
        start = "Start it with `ollama serve`, or check" if base_url == OLLAMA_URL else "Check"
        self._server = Server(
            name,
            _endpoint(name, base_url),
            api_key=_usable(name, api_key),
            timeout=timeout,
            hint=f"{start} `providers.{name}.base_url` in config.yaml and that the server runs.",
            trust_env=trust_env,
        )

    async def complete(self, call: ModelCall) -> Completion:
        body = write_call(call, stream=False, renamed=self._renamed)
        patience = Patience(self._retries)
        while True:
            try:
                return await self._whole(call, body)
            except ProviderError as error:
                await patience.wait(error)

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        body = write_call(call, stream=True, renamed=self._renamed)
        patience = Patience(self._retries)
        begun = False
        while True:
            try:
                async with aclosing(self._pieces(call, body)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
            except ProviderError as error:
                if begun:
                    raise
                await patience.wait(error)
            else:
                return

    def require_ready(self, model: str) -> None:
        """The server has its weights."""

    async def close(self) -> None:
        await self._server.close()

    async def _whole(self, call: ModelCall, body: bytes) -> Completion:
        try:
            async with asyncio.timeout(self._timeout), aclosing(await self._server.post(body)) as answer:
                return read_completion(await _read(answer), model=call.model)
        except TimeoutError:
            raise self._server.timeout() from None
        except Unreadable as problem:
            raise self._refused(problem) from None

    async def _pieces(self, call: ModelCall, body: bytes) -> AsyncGenerator[Piece, None]:
        try:
            async with aclosing(await self._server.post(body)) as answer:
                if answer.is_json:  # a server that cannot stream
                    completion = read_completion(await _read(answer), model=call.model)
                    yield completion.text
                    yield completion
                    return
                reader, text = ChunkReader(), []
                while not reader.done and (data := await answer.chunk()) is not None:
                    for piece in reader.feed(data):
                        text.append(piece)
                        yield piece
                    if reader.idle_seconds() > self._timeout:
                        raise self._server.timeout()
                await answer.drain()
                if not reader.done and not reader.finish_reason:
                    raise ProviderUnreachable(
                        f"The connection to provider {self._name!r} broke before the answer's end."
                    )
                yield Completion("".join(text), reader.model or call.model, reader.usage, reader.finish_reason)
        except Unreadable as problem:
            raise self._refused(problem) from None

    def _refused(self, problem: Unreadable) -> ProviderRefused:
        if problem.said:
            return ProviderRefused(
                f"The provider {self._name!r} reported: {self._server.clean(problem.said)}", status=problem.status
            )
        return ProviderRefused(
            f"The provider {self._name!r} answered with something that is no chat completion.",
            hint=f"Check that `providers.{self._name}.base_url` in config.yaml ends where `/chat/completions` follows.",
        )


async def _read(answer: Answer) -> bytes:
    parts, size = [], 0
    while (chunk := await answer.chunk()) is not None:
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise Unreadable
    return b"".join(parts)


def _endpoint(name: str, base_url: str) -> httpx2.URL:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ProviderRefused(
            f"The address of provider {name!r} cannot be used.",
            hint=f"`providers.{name}.base_url` in config.yaml is like https://host/v1, without a name or password.",
        )
    return url.copy_with(path=url.path.rstrip("/") + "/chat/completions", fragment=None)


def _usable(name: str, api_key: str | None) -> str | None:
    key = (api_key or "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise ProviderRefused(
            f"The key of provider {name!r} holds characters that no key has.",
            hint=f"Check `providers.{name}.api_key` in config.yaml.",
        )
    return key or None
