"""Google's Gemini models, by generateContent of the Gemini API."""

from typing import Literal

from pydantic import Field

from flowground.providers.base import Capabilities, ModelCall, Provider, ProviderContext, ProviderSettings
from flowground.providers.chat_request import EncodedFiles
from flowground.providers.event_stream import EventReader
from flowground.providers.google_format import PartReader, write_call
from flowground.providers.served import ModelServer, check_key, quote_model, read_address
from flowground.providers.server import Server

GOOGLE_URL = "https://generativelanguage.googleapis.com/v1beta"
_USUAL = Capabilities(images=True, documents=True, tools=True, response_schema=True, window=1_000_000)


class GoogleSettings(ProviderSettings):
    """The Gemini API; with `base_url` another server that speaks it."""

    type: Literal["google"] = "google"
    thoughts: bool = Field(
        False, description="whether a summary of what its models think is asked for; not all have one."
    )

    def open(self, name: str, context: ProviderContext) -> Provider:
        return Google(self, name, context)


class Google(ModelServer):
    """Raises ProviderRefused for an address or key that cannot be used. The key stands in a header, in no address."""

    answer_word = "an answer of the Gemini API"
    path_word = "/models/NAME:generateContent"

    def __init__(self, entry: GoogleSettings, name: str, context: ProviderContext) -> None:
        self._has_thoughts = entry.thoughts
        url = read_address(name, entry.base_url or GOOGLE_URL, "/models/")
        self._path = url.raw_path.decode()
        server = Server(
            name,
            url,
            api_key=check_key(name, entry.find_key(name, "GEMINI_API_KEY")),
            key_header=b"x-goog-api-key",
            timeout=entry.timeout,
            egress=context.egress,
            hint=f"Check `providers.{name}.base_url` in config.yaml and that the server can be reached.",
        )
        super().__init__(
            name,
            server,
            models=self._path.rstrip("/").encode(),
            timeout=entry.timeout,
            retries=entry.retries,
            takes=entry.find_capabilities(_USUAL),
        )

    def _find_target(self, call: ModelCall, *, is_streamed: bool) -> bytes:
        verb = "streamGenerateContent?alt=sse" if is_streamed else "generateContent"
        return f"{self._path}{quote_model(call.model)}:{verb}".encode()

    def _write(self, call: ModelCall, files: EncodedFiles, *, is_streamed: bool) -> bytes:  # noqa: ARG002 - in the path
        return write_call(call, has_thoughts=self._has_thoughts, provider=self._name, files=files)

    def _open_reader(self) -> EventReader:
        return PartReader(self._name)
