"""OpenAI, and every server that speaks its chat completions and embeddings: Ollama, vLLM, llama.cpp, Azure, …"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import quote

import httpx2
import orjson
from pydantic import Field

from flowground.errors import ProviderError, ProviderRefused
from flowground.providers.base import (
    Capabilities,
    Completion,
    ModelCall,
    Provider,
    ProviderContext,
    ProviderSettings,
)
from flowground.providers.chat_completions import ChunkReader, read_completion, write_call
from flowground.providers.egress import USUAL_EGRESS, EgressSettings
from flowground.providers.event_stream import EventReader
from flowground.providers.model_server import EncodedFiles, ModelServer, check_key, quote_model, read_address
from flowground.providers.server import RetryPolicy, Server
from flowground.yaml_file.section import check_http_address

_NUMBER_BYTES = 32
"""The longest number of an answer, as JSON."""
_MOST_DIMENSIONS = 8_192
"""Numbers of one vector."""
_HEAD_BYTES = 65_536
"""Of an answer, beside its vectors."""


class EmbeddingServer:
    """One model of one server; `provider` is its name in config.yaml. Lives on one event loop."""

    def __init__(
        self,
        provider: str,
        model: str,
        url: httpx2.URL,
        *,
        api_key: str | None,
        timeout: float,
        retries: int,
        egress: EgressSettings = USUAL_EGRESS,
    ) -> None:
        self.model = f"{provider}:{model}"
        self._provider = provider
        self._name = model
        self._retries = retries
        hint = f"Check `providers.{provider}.base_url` in config.yaml and that the server runs."
        self._server = Server(provider, url, api_key=api_key, timeout=timeout, hint=hint, egress=egress)

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each of a few texts, in their order. Raises ProviderError."""
        body = orjson.dumps({"model": self._name, "input": list(texts)})
        most = _HEAD_BYTES + len(texts) * _MOST_DIMENSIONS * _NUMBER_BYTES
        policy = RetryPolicy(self._retries)
        while True:
            try:
                async with self._server.post(body, is_streamed=False, most_bytes=most) as answer:
                    return self._read(answer.data, len(texts))
            except ProviderError as error:
                await policy.wait(error)

    async def close(self) -> None:
        """Closes the connections."""
        await self._server.close()

    def _read(self, data: bytearray, number: int) -> list[list[float]]:
        try:
            listed = sorted(orjson.loads(data)["data"], key=lambda item: item["index"])
            vectors = [item["embedding"] for item in listed]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise self._refuse("answered with something that is no list of vectors") from None
        if len(vectors) != number or not all(_is_vector(vector) for vector in vectors):
            raise self._refuse(f"did not answer with {number} vectors")
        return vectors

    def _refuse(self, said: str) -> ProviderRefused:
        return ProviderRefused(
            f"The provider {self._provider!r} {said}.", hint=f"Check that {self._name} is a model of embeddings."
        )


def _is_vector(vector: object) -> bool:
    return (
        isinstance(vector, list)
        and 0 < len(vector) <= _MOST_DIMENSIONS
        and all(isinstance(number, int | float) for number in vector)
    )


OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434/v1"

_USUAL = Capabilities(images=True, tools=True, response_schema=True)
"""What models of such servers usually take; a server whose model does not says so. Few read documents."""
_WINDOW_ELSEWHERE = 32_000
"""Of models at an address that is not OpenAI's: as many as nearly all that are run today hold."""
_WINDOW_OLLAMA = 4_096
"""What Ollama gives a model on a computer with less than 24 GiB of memory for graphics, whatever the model could hold;
beyond that it forgets the beginning without a word."""


class OpenAI(ModelServer):
    """`name` is the entry's name in config.yaml; `base_url` the address up to and with `/v1`, its query is kept.

    The rest is as `ModelServer` says. Raises ProviderRefused for an address or key that cannot be used.
    """

    answer_word = "a chat completion"
    path_word = "/chat/completions"
    files_are_urls = True
    key_header = b"Authorization"

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = 60,
        retries: int = 2,
        takes: Capabilities = _USUAL,
        egress: EgressSettings = USUAL_EGRESS,
    ) -> None:
        # OpenAI's own newer models refuse the name that all other servers know.
        self._renamed = {"max_tokens": "max_completion_tokens"} if base_url == OPENAI_URL else {}
        start = "Start it with `ollama serve`, or check" if base_url == OLLAMA_URL else "Check"
        server = Server(
            name,
            read_address(name, base_url, "/chat/completions"),
            api_key=check_key(name, api_key),
            key_header=self.key_header,
            timeout=timeout,
            hint=f"{start} `providers.{name}.base_url` in config.yaml and that the server runs.",
            egress=egress,
        )
        models = read_address(name, base_url, "/models").raw_path
        super().__init__(name, server, models=models, timeout=timeout, retries=retries, takes=takes)

    def _write(self, call: ModelCall, files: EncodedFiles, *, is_streamed: bool) -> bytes:
        return write_call(call, is_streamed=is_streamed, renamed=self._renamed, provider=self._name, files=files)

    def _open_reader(self) -> EventReader:
        return ChunkReader(self._name)

    def _read_completion(self, data: bytearray, call: ModelCall) -> Completion:
        return read_completion(data, model=call.model, provider=self._name)


class OpenAISettings(ProviderSettings):
    """OpenAI itself; with `base_url` any server that speaks its chat completions."""

    type: Literal["openai"] = "openai"

    def open(self, name: str, context: ProviderContext) -> Provider:
        key = self.find_key(name, "OPENAI_API_KEY")
        usual = replace(_USUAL, window=_WINDOW_ELSEWHERE) if self.base_url else replace(_USUAL, documents=True)
        takes = self.find_capabilities(usual)
        return _open(self, name, self.base_url or OPENAI_URL, key=key, takes=takes, context=context)

    def open_embeddings(self, name: str, model: str, egress: EgressSettings) -> EmbeddingServer:
        key = self.find_key(name, "OPENAI_API_KEY")
        return _open_embeddings(self, name, model, self.base_url or OPENAI_URL, key=key, egress=egress)


class OllamaSettings(ProviderSettings):
    """Ollama, on this computer where there is no `base_url`."""

    type: Literal["ollama"] = "ollama"

    def open(self, name: str, context: ProviderContext) -> Provider:
        takes = self.find_capabilities(replace(_USUAL, window=_WINDOW_OLLAMA))
        url = self.base_url or OLLAMA_URL
        return _open(self, name, url, key=self.read_key(name), takes=takes, context=context)

    def open_embeddings(self, name: str, model: str, egress: EgressSettings) -> EmbeddingServer:
        return _open_embeddings(self, name, model, self.base_url or OLLAMA_URL, key=self.read_key(name), egress=egress)


def _open(
    entry: ProviderSettings,
    name: str,
    url: str,
    *,
    key: str | None,
    takes: Capabilities,
    context: ProviderContext,
) -> OpenAI:
    return OpenAI(
        name,
        url,
        api_key=key,
        timeout=entry.timeout,
        retries=entry.retries,
        takes=takes,
        egress=context.egress,
    )


def _open_embeddings(
    entry: ProviderSettings, name: str, model: str, url: str, *, key: str | None, egress: EgressSettings
) -> EmbeddingServer:
    endpoint = read_address(name, url, "/embeddings")
    return EmbeddingServer(
        name, model, endpoint, api_key=check_key(name, key), timeout=entry.timeout, retries=entry.retries, egress=egress
    )


_RENAMED_SINCE = "2024-09"
"""Versions from here on know `max_completion_tokens`, which newer models want."""


class AzureSettings(ProviderSettings):
    """A resource of Azure OpenAI; `base_url` is needed."""

    type: Literal["azure"] = "azure"
    base_url: Annotated[str, check_http_address("https://mine.openai.azure.com")] | None = Field(
        None, description="the resource's address, like https://mine.openai.azure.com, without a path."
    )
    api_version: str = Field(
        "",
        max_length=40,
        description="a dated version, like 2024-10-21, asks the deployment's own path. Left out: "
        "`/openai/v1/`, which needs none.",
    )

    def open(self, name: str, context: ProviderContext) -> Provider:
        if not self.base_url:
            raise ProviderRefused(
                f"The provider {name!r} has no address.",
                hint=f"Set `providers.{name}.base_url` in config.yaml to the resource's: https://mine.openai.azure.com",
            )
        return Azure(self, name, f"{self.base_url}/openai", context)


class Azure(OpenAI):
    """`url` is the address up to `/openai`."""

    key_header = b"api-key"

    def __init__(self, entry: AzureSettings, name: str, url: str, context: ProviderContext) -> None:
        version = entry.api_version
        super().__init__(
            name,
            url if version else f"{url}/v1",
            api_key=entry.read_key(name),
            timeout=entry.timeout,
            retries=entry.retries,
            takes=entry.find_capabilities(_USUAL),
            egress=context.egress,
        )
        if not version or version >= _RENAMED_SINCE:
            self._renamed = {"max_tokens": "max_completion_tokens"}
        self._path = read_address(name, url, "/deployments/").raw_path.decode() if version else ""
        if version:
            listed = read_address(name, url, "/models").raw_path.decode()
            self._models = f"{listed}?api-version={quote(version, safe='')}".encode()
        self._query = f"?api-version={quote(version, safe='')}"

    def _find_target(self, call: ModelCall, *, is_streamed: bool) -> bytes | None:  # noqa: ARG002 - the same for both
        if not self._path:
            return None
        return f"{self._path}{quote_model(call.model)}/chat/completions{self._query}".encode()
