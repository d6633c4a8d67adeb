"""OpenAI, and every server that speaks its chat completions: Ollama, vLLM, llama.cpp, LM Studio, OpenRouter, …"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Literal

import httpx2

from flowground.errors import ProviderError, ProviderRefused, ProviderUnreachable
from flowground.providers.base import Completion, ModelCall, Piece, Provider, ProviderSettings, Surroundings
from flowground.providers.chat_format import ChunkReader, Unreadable, count_most_bytes, read_completion, write_call
from flowground.providers.server import Patience, Server, ServerAnswer

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434/v1"

_END_SECONDS = 0.5
"""How long token counts, `[DONE]` and the connection's end are waited for after a model said that it is finished."""


class OpenAI:
    """`name` is the entry's name in config.yaml; `base_url` the address up to and with `/v1`, its query is kept.

    `timeout` bounds the wait for a free connection; then for the whole answer (`complete`), or for its head, its first
    and each next piece (`stream`). `retries` repeats after 429, 5xx and broken connections, before the first piece
    only. `answer_chars` bounds the bytes that are read of an answer. Raises ProviderRefused for an address or key that
    cannot be used.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = 60,
        retries: int = 2,
        answer_chars: int = 500_000,
        trust_env: bool = True,
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._retries = retries
        self._answer_chars = answer_chars
        self._most_bytes = count_most_bytes(answer_chars)
        # OpenAI's own newer models refuse the name that all other servers know.
        self._renamed = {"max_tokens": "max_completion_tokens"} if base_url == OPENAI_URL else {}
        start = "Start it with `ollama serve`, or check" if base_url == OLLAMA_URL else "Check"
        self._server = Server(
            name,
            _make_endpoint(name, base_url),
            api_key=_check_key(name, api_key),
            timeout=timeout,
            hint=f"{start} `providers.{name}.base_url` in config.yaml and that the server runs.",
            trust_env=trust_env,
        )

    async def complete(self, call: ModelCall) -> Completion:
        return await Completion.read(self.ask(call, is_streamed=False))

    def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        return self.ask(call, is_streamed=True)

    async def ask(self, call: ModelCall, *, is_streamed: bool) -> AsyncGenerator[Piece, None]:
        """The answer's pieces, one and the whole where it is not to be streamed; repeats until the first has come."""
        body = write_call(call, is_streamed=is_streamed, renamed=self._renamed)
        patience = Patience(self._retries)
        has_begun = False
        while True:
            try:
                async with aclosing(self._ask_once(call, body, is_streamed=is_streamed)) as pieces:
                    async for piece in pieces:
                        has_begun = True
                        yield piece
                return
            except ProviderError as error:
                if has_begun:
                    raise
                await patience.wait(error)

    def require_ready(self, model: str) -> None:
        """The server has its weights."""

    async def close(self) -> None:
        await self._server.close()

    async def _ask_once(self, call: ModelCall, body: bytes, *, is_streamed: bool) -> AsyncGenerator[Piece, None]:
        try:
            async with self._server.post(body, is_streamed=is_streamed, most_bytes=self._most_bytes) as answer:
                if answer.is_json or not is_streamed:  # some servers cannot stream
                    completion = read_completion(answer.data, model=call.model, answer_chars=self._answer_chars)
                    yield completion.text
                    yield completion
                    return
                reader, text, since = ChunkReader(self._answer_chars), [], time.monotonic()
                while (data := await self._read_next(answer, reader)) is not None:
                    known = reader.events
                    for piece in reader.feed(data):
                        text.append(piece)
                        yield piece
                    if reader.events > known:
                        since = time.monotonic()  # not before the pieces were taken: that may have lasted
                    elif time.monotonic() - since > self._timeout:
                        raise self._server.explain_timeout()  # comments keep a connection open, but are no answer
                if rest := reader.take_rest():
                    text.append(rest)
                    yield rest
                if not reader.events:
                    raise Unreadable
                if not reader.has_ended:
                    broken = f"The connection to provider {self._name!r} broke before the answer was complete."
                    raise ProviderUnreachable(broken)
                yield Completion("".join(text), reader.model or call.model, reader.usage, reader.finish_reason)
        except Unreadable as problem:
            raise self._explain(problem) from None

    async def _read_next(self, answer: ServerAnswer, reader: ChunkReader) -> bytes | None:
        """The next bytes, None when the answer is whole: what a server does with the connection then is its own.

        It is read to its end, if that comes soon: only then can it serve another call.
        """
        if not reader.has_ended:
            return await answer.read_chunk()
        reader.end_by = reader.end_by or asyncio.get_running_loop().time() + _END_SECONDS
        with suppress(TimeoutError, ProviderError):
            async with asyncio.timeout_at(reader.end_by):
                while (data := await answer.read_chunk()) is not None:
                    if not reader.is_done and not reader.usage:
                        return data
        return None

    def _explain(self, problem: Unreadable) -> ProviderRefused:
        if problem.said:
            return ProviderRefused(
                f"The provider {self._name!r} reported: {self._server.clean(problem.said)}", status=problem.status
            )
        return ProviderRefused(
            f"The provider {self._name!r} answered with something that is not a chat completion.",
            hint=f"Check that `providers.{self._name}.base_url` in config.yaml ends where `/chat/completions` follows.",
        )


class OpenAISettings(ProviderSettings):
    """OpenAI itself; with `base_url` any server that speaks its chat completions."""

    type: Literal["openai"] = "openai"

    def open(self, name: str, surroundings: Surroundings) -> Provider:
        key = self.read_key(name)
        if not self.base_url and not (key := key or os.environ.get("OPENAI_API_KEY")):
            raise ProviderRefused(
                f"The provider {name!r} has no key.",
                hint="Set OPENAI_API_KEY in the app's environment and restart it.",
            )
        return _open(self, name, self.base_url or OPENAI_URL, key=key, surroundings=surroundings)


class OllamaSettings(ProviderSettings):
    """Ollama, on this computer where there is no `base_url`."""

    type: Literal["ollama"] = "ollama"

    def open(self, name: str, surroundings: Surroundings) -> Provider:
        return _open(self, name, self.base_url or OLLAMA_URL, key=self.read_key(name), surroundings=surroundings)


def _open(entry: ProviderSettings, name: str, url: str, *, key: str | None, surroundings: Surroundings) -> OpenAI:
    return OpenAI(
        name,
        url,
        api_key=key,
        timeout=entry.timeout,
        retries=entry.retries,
        answer_chars=surroundings.answer_chars,
    )


def _make_endpoint(name: str, base_url: str) -> httpx2.URL:
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


def _check_key(name: str, api_key: str | None) -> str | None:
    key = (api_key or "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise ProviderRefused(
            f"The key of provider {name!r} contains characters that a key cannot have.",
            hint=f"Check `providers.{name}.api_key` in config.yaml.",
        )
    return key or None
