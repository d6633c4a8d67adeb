"""The table of kinds, and who is found behind `provider:model`."""

import importlib
import json
import pkgutil
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from flowground import providers
from flowground.core.errors import ConfigError, ProviderRefused
from flowground.core.messages import FilePart, Message, ToolCall
from flowground.core.words import join_words
from flowground.providers import KINDS
from flowground.providers.base import Capabilities, ModelCall, Provider, ProviderSettings, ToolSpec
from flowground.providers.builtin import local
from flowground.settings import Settings
from tests import anthropic_answers, google_answers
from tests.chat_answers import ANSWER
from tests.opened_providers import open_providers
from tests.tiny import TINY
from tests.wire import faults_of, wire

Entry = dict[str, Any]


@asynccontextmanager
async def no_server(_folder: Path) -> AsyncIterator[tuple[Entry, str]]:
    yield {}, "You said: Hi"


def server_says(answer: bytes, text: str) -> Callable[[Path], AbstractAsyncContextManager[tuple[Entry, str]]]:
    @asynccontextmanager
    async def serve(_folder: Path) -> AsyncIterator[tuple[Entry, str]]:
        async with wire([answer]) as server:
            yield {"base_url": f"{server.url}/v1", "api_key": "sk-of-the-test"}, text

    return serve


@asynccontextmanager
async def own_process(folder: Path) -> AsyncIterator[tuple[Entry, str]]:
    (folder / "mine.gguf").write_text(json.dumps({}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "PROGRAM", TINY)
        yield {"path": "mine.gguf"}, "tiny: Hi"


SERVERS: dict[str, Callable[[Path], AbstractAsyncContextManager[tuple[Entry, str]]]] = {
    "local": own_process,
    **dict.fromkeys(("openai", "ollama", "azure"), server_says(ANSWER, "Hi you")),
    "google": server_says(google_answers.ANSWER, "Hello!"),
    "anthropic": server_says(anthropic_answers.ANSWER, "Hello!"),
    "scripted": no_server,
}
"""For each kind something that answers it: the settings which lead there, and how the answer to "Hi" begins."""


async def never_read() -> bytes:
    raise AssertionError("a file of a refused call was read")


def list_beside_text(model: str, takes: Capabilities) -> list[tuple[ModelCall, bool, str]]:
    """Calls with something beside text, whether it is taken, and what is said where it is not."""

    def show(media_type: str) -> ModelCall:
        return ModelCall(model, (Message("user", (FilePart("f", "a", media_type, 3, "", never_read),)),), {})

    asked, made = Message("user", "Hi"), Message("assistant", (ToolCall("c", "clock", {}),))
    tools = (ToolSpec("clock", "The time.", {"type": "object"}),)
    return [
        (show("image/png"), takes.images, "sees no images"),
        (show("application/pdf"), takes.documents, "reads no documents"),
        (ModelCall(model, (asked,), {}, tools=tools), takes.tools, "calls no tools"),
        (ModelCall(model, (asked, made), {}), takes.tools, "calls no tools"),
        (ModelCall(model, (asked,), {}, {"type": "object"}), takes.response_schema, "gives no JSON of a schema"),
    ]


@asynccontextmanager
async def opened(folder: Path, kind: str, entry: Entry) -> AsyncIterator[tuple[Provider, str]]:
    (folder / "config.yaml").write_text(json.dumps({"providers": {"mine": {"type": kind, **entry}}}), "utf-8")
    found = open_providers(Settings.load(folder / "config.yaml"))
    yield found.resolve("mine" if KINDS[kind].only_model else "mine:small")
    await found.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_answers_by_its_settings(kind: str, tmp_path: Path) -> None:
    assert kind in SERVERS, f"tests/test_providers.py has nothing in SERVERS that answers the kind {kind!r}"
    async with SERVERS[kind](tmp_path) as (entry, expected), opened(tmp_path, kind, entry) as (provider, model):
        answer = await provider.complete(ModelCall(model, (Message("user", "Hi"),), {}))
        assert answer.text.startswith(expected)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_refuses_what_its_model_does_not_take_and_asks_nobody(kind: str, tmp_path: Path) -> None:
    """By what the kind says itself, and by the setting `takes`."""
    async with SERVERS[kind](tmp_path) as (entry, _):
        settings: list[dict[str, list[str]]] = [{}, {"takes": []}, {"takes": ["images", "tools"]}]
        for takes in settings:
            async with opened(tmp_path, kind, entry | takes) as (provider, model):
                said = provider.takes(model)
                assert takes == {} or said == Capabilities(**dict.fromkeys(takes["takes"], True))
                for call, is_taken, lacks in list_beside_text(model, said):
                    for refused in [] if is_taken else await faults_of(provider, call, ProviderRefused):
                        assert refused.message == f"The model 'mine:{model}' {lacks}."
                        assert "providers.mine.takes" in (refused.hint or "")


def test_every_settings_class_of_a_provider_stands_in_the_table() -> None:
    found: set[type] = set()
    for module in pkgutil.walk_packages(providers.__path__, f"{providers.__name__}."):
        if module.name.endswith("local_server"):  # a program, not a module
            continue
        names = vars(importlib.import_module(module.name)).values()
        found |= {item for item in names if isinstance(item, type) and issubclass(item, ProviderSettings)}
    assert found - {ProviderSettings} == set(KINDS.values())


def test_the_table_names_each_kind_by_its_type() -> None:
    assert {name: kind.model_validate({}).type for name, kind in KINDS.items()} == {name: name for name in KINDS}


def test_an_unfinished_kind_opens_nothing() -> None:
    class Unfinished(ProviderSettings):
        type: Literal["unfinished"] = "unfinished"

    with pytest.raises(TypeError, match="abstract method"):
        Unfinished.model_validate({"api_key": "sk-of-another-vendor"})


@pytest.mark.parametrize("entry", ["type: bedrock, api_key: sk-1", "api_key: sk-1", "type: bedrock"])
def test_a_kind_that_does_not_exist_falls_through_to_no_other(tmp_path: Path, entry: str) -> None:
    (tmp_path / "config.yaml").write_text(f"providers:\n  bedrock: {{{entry}}}\n", "utf-8")
    with pytest.raises(ConfigError) as refused:
        Settings.load(tmp_path / "config.yaml")
    assert refused.value.message in (
        f"config.yaml:2: providers.bedrock.type: should be {join_words(map(repr, KINDS), 'or')}",
        "config.yaml:2: providers.bedrock: says neither `type` nor `base_url`",
    )


KNOWN = ", ".join(sorted(KINDS))
AZURE = "config.yaml to the resource's: https://mine.openai.azure.com"


@pytest.mark.parametrize(
    ("named", "message", "hint"),
    [
        ("scriptet:echo", "There is no provider 'scriptet' (did you mean scripted?)", f"Known now: {KNOWN}."),
        ("ollama", "model", "Write `model: ollama:NAME`, with the model's name."),
        ("openai:gpt-5-mini", "key", "Set OPENAI_API_KEY in the app's environment and restart it."),
        ("anthropic:claude-opus-4-6", "key", "Set ANTHROPIC_API_KEY in the app's environment and restart it."),
        ("azure:gpt", "address", f"Set `providers.azure.base_url` in {AZURE}"),
    ],
)
def test_who_is_named_and_not_found_is_told_with_what_to_do(named: str, message: str, hint: str) -> None:
    with pytest.raises(ProviderRefused, match=re.escape(message)) as refused:
        open_providers().resolve(named)
    assert (refused.value.hint or "").endswith(hint)
