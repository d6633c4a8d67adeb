"""OpenAI's models at Azure: what differs from OpenAI itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowground.errors import ProviderRefused
from flowground.messages import Message
from flowground.providers.azure import AzureSettings
from flowground.providers.base import Completion, ModelCall, Provider, Surroundings
from tests.chat_answers import ANSWER, DONE, KEY, USAGE, delta
from tests.model_calls import fault_of
from tests.opened_providers import open_providers
from tests.wire import Part, Wire, chunked, whole, wire

pytestmark = pytest.mark.anyio
DEPLOYED = "/openai/deployments/my%20gpt/chat/completions?api-version="
CALL = ModelCall("my gpt", (Message("user", "Hello"),), {"max_tokens": 9})


@asynccontextmanager
async def azure(*answers: list[Part], **settings: Any) -> AsyncIterator[tuple[Provider, Wire]]:
    async with wire(*answers) as server:
        entry = AzureSettings.model_validate({"base_url": server.url, "api_key": KEY, "retries": 0, **settings})
        provider = entry.open("mine", Surroundings(Path(), 500_000))
        try:
            yield provider, server
        finally:
            await provider.close()


@pytest.mark.parametrize(
    ("version", "path", "option"),
    [
        ("", "/openai/v1/chat/completions", "max_completion_tokens"),
        ("2024-10-21", f"{DEPLOYED}2024-10-21", "max_completion_tokens"),
        ("2024-06-01", f"{DEPLOYED}2024-06-01", "max_tokens"),
    ],
)
async def test_a_deployment_is_asked_with_its_key_in_azures_header(version: str, path: str, option: str) -> None:
    async with azure([ANSWER], api_version=version) as (provider, server):
        assert (await provider.complete(CALL)).text == "Hi you"
        (asked,) = server.asked
        assert (asked.path, asked.headers["api-key"], "authorization" in asked.headers) == (path, KEY, False)
        assert (asked.body["model"], asked.body[option]) == ("my gpt", 9)


async def test_a_stream_begins_with_what_the_filter_says() -> None:
    filters = {"choices": [], "model": "", "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    counted = {"choices": [], "usage": USAGE}
    async with azure([chunked(filters, delta("Hi"), delta(finish="content_filter"), counted, DONE)]) as (provider, _):
        end = await Completion.read(provider.stream(CALL))
        assert (end.text, end.model, end.finish_reason) == ("Hi", "small-2026", "content_filter")


FOUND = {name: {"filtered": name != "hate", "severity": "x"} for name in ("hate", "violence", "jailbreak")}


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ({"code": "Policy", "content_filter_result": FOUND}, "found violence, jailbreak"),
        (None, "refused it"),
        ({"content_filter_result": [7]}, "refused it"),
    ],
)
async def test_what_the_content_filter_refuses_is_a_sentence(inner: Any, said: str) -> None:
    error = {"message": "The response was filtered …", "code": "content_filter", "status": 400, "innererror": inner}
    async with azure([whole({"error": error}, status="400 Bad Request")]) as (provider, _):
        refused = await fault_of(provider.complete(CALL), ProviderRefused)
        assert refused.message == f"The provider 'mine' does not answer this: its content filter {said}."
        assert refused.status == 400


def test_a_resource_without_an_address_says_what_to_set() -> None:
    with pytest.raises(ProviderRefused) as refused:
        open_providers().resolve("azure:gpt")
    assert "providers.azure.base_url" in (refused.value.hint or "")
