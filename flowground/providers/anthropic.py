"""Anthropic's models, by its Messages API, and servers that speak it."""

from typing import Literal

from pydantic import Field

from flowground.providers.anthropic_format import BlockReader, Thinking, write_call
from flowground.providers.base import Capabilities, ModelCall, Provider, ProviderContext, ProviderSettings
from flowground.providers.chat_request import EncodedFiles
from flowground.providers.event_stream import EventReader
from flowground.providers.served import ModelServer, check_key, read_address
from flowground.providers.server import Server

ANTHROPIC_URL = "https://api.anthropic.com/v1"
_VERSION = (b"anthropic-version", b"2023-06-01")
_USUAL = Capabilities(images=True, documents=True, tools=True, response_schema=True, window=200_000)


class AnthropicSettings(ProviderSettings):
    """Anthropic; with `base_url` another server that speaks its Messages API."""

    type: Literal["anthropic"] = "anthropic"
    thinking: Thinking = Field(
        "off",
        description="whether its models think before they answer: `adaptive` leaves to them how much (Claude 4.6 and "
        "later), `fixed` sets half of the longest answer aside for it (models before). Tokens of it are paid.",
    )

    def open(self, name: str, context: ProviderContext) -> Provider:
        return Anthropic(self, name, context)


class Anthropic(ModelServer):
    """Raises ProviderRefused for an address or key that cannot be used."""

    answer_word = "an answer of the Messages API"
    path_word = "/messages"

    def __init__(self, entry: AnthropicSettings, name: str, context: ProviderContext) -> None:
        self._entry = entry
        server = Server(
            name,
            read_address(name, entry.base_url or ANTHROPIC_URL, "/messages"),
            api_key=check_key(name, entry.find_key(name, "ANTHROPIC_API_KEY")),
            key_header=b"x-api-key",
            headers=[_VERSION],
            timeout=entry.timeout,
            egress=context.egress,
            hint=f"Check `providers.{name}.base_url` in config.yaml and that the server can be reached.",
        )
        super().__init__(
            name,
            server,
            models=read_address(name, entry.base_url or ANTHROPIC_URL, "/models").raw_path,
            timeout=entry.timeout,
            retries=entry.retries,
            takes=entry.find_capabilities(_USUAL),
        )

    def _write(self, call: ModelCall, files: EncodedFiles, *, is_streamed: bool) -> bytes:
        return write_call(
            call,
            is_streamed=is_streamed,
            thinking=self._entry.thinking,
            provider=self._name,
            files=files,
        )

    def _open_reader(self) -> EventReader:
        return BlockReader(self._name)
