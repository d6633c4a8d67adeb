"""Vectors of texts from a server that speaks OpenAI's `/embeddings`: OpenAI, Ollama, vLLM, llama.cpp, …"""

from collections.abc import Sequence

import httpx2
import orjson

from flowground.errors import ProviderError, ProviderRefused
from flowground.providers.egress import USUAL_EGRESS, EgressSettings
from flowground.providers.server import RetryPolicy, Server

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
