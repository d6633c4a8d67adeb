"""OpenAI, and every server that speaks its chat completions: Ollama, vLLM, llama.cpp, LM Studio, OpenRouter, …"""

from dataclasses import replace
from typing import Literal

from flowground.providers.base import (
    Capabilities,
    Completion,
    ModelCall,
    Provider,
    ProviderContext,
    ProviderSettings,
)
from flowground.providers.chat_format import ChunkReader, read_completion
from flowground.providers.chat_request import EncodedFiles, write_call
from flowground.providers.egress import USUAL_EGRESS, EgressSettings
from flowground.providers.embedding_server import EmbeddingServer
from flowground.providers.event_stream import EventReader
from flowground.providers.served import ModelServer, check_key, read_address
from flowground.providers.server import Server

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
