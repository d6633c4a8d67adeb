"""OpenAI's models at Azure, each in a deployment that has a name of its own, which is the model's name here."""

from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from flowground.errors import ProviderRefused
from flowground.providers.base import Capabilities, ModelCall, Provider, ProviderContext, ProviderSettings
from flowground.providers.openai import OpenAI
from flowground.providers.served import quote_model, read_address
from flowground.yaml_file.section import check_http_address

_USUAL = Capabilities(images=True, tools=True, response_schema=True)
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
