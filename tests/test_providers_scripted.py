import asyncio
import json
from contextlib import aclosing

import pytest

from flowground.errors import ModelNotReady, ProviderBusy, ProviderRefused, ProviderUnreachable
from flowground.events import ModelProgress
from flowground.messages import Message, Usage
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.providers.scripted import ScriptedSettings
from flowground.settings import Settings
from tests.opened_providers import open_providers

pytestmark = pytest.mark.anyio


def call(model: str, text: str = "Hello there,  friend", **options: float) -> ModelCall:
    return ModelCall(model, (Message("system", "Be kind."), Message("user", text)), options)


async def streamed(model: str | None, text: str = "Hello there,  friend", **entries: ScriptedSettings) -> list[Piece]:
    provider, name = open_providers(Settings(providers=entries, default_model="scripted")).resolve(model)
    async with aclosing(provider.stream(call(name, text))) as pieces:
        return [piece async for piece in pieces]


async def test_it_repeats_the_last_user_message_word_by_word() -> None:
    assert await streamed(None, "Hello there,  friend\n") == [
        "You ",
        "said: ",
        "Hello ",
        "there,  ",
        "friend\n",
        Completion("You said: Hello there,  friend\n", "scripted:echo", Usage(5, 5), "stop"),
    ]


async def test_the_whole_answer_at_once_is_the_same() -> None:
    provider, name = open_providers().resolve("scripted")
    assert await provider.complete(call(name, "Hi")) == Completion("You said: Hi", "scripted:echo", Usage(3, 3), "stop")


async def test_json_shows_what_the_model_was_given_byte_for_byte() -> None:
    provider, name = open_providers().resolve("scripted:json")
    answer = await provider.complete(call(name, "it's “quoted”\n$HOME", temperature=0.5))
    assert json.loads(answer.text) == {
        "model": "json",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "it's “quoted”\n$HOME"}],
        "options": {"temperature": 0.5},
    }


async def test_pieces_from_the_settings_replace_the_answer() -> None:
    pieces = await streamed("demo:echo", demo=ScriptedSettings(pieces=("a", "b")))
    assert pieces == ["a", "b", Completion("ab", "scripted:echo", Usage(5, 1), "stop")]


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [("fail", ProviderRefused, 500), ("busy", ProviderBusy, 429), ("nonsense", ProviderRefused, 404)],
)
async def test_it_fails_on_request(model: str, error: type[ProviderRefused], status: int) -> None:
    with pytest.raises(error) as streaming:
        await streamed(f"scripted:{model}")
    provider, name = open_providers().resolve(f"scripted:{model}")
    with pytest.raises(error) as whole:
        await provider.complete(call(name))
    assert (streaming.value.status, whole.value.status) == (status, status)


async def test_it_breaks_in_the_middle() -> None:
    provider, name = open_providers().resolve("scripted:breaks")
    async with aclosing(provider.stream(call(name))) as pieces:
        assert [await anext(pieces) for _ in range(3)] == ["You ", "said: ", "Hello "]
        with pytest.raises(ProviderUnreachable):
            await anext(pieces)


async def test_it_shows_the_progress_of_a_fetch() -> None:
    pieces = await streamed("scripted:fetching")
    assert [piece.received for piece in pieces if isinstance(piece, ModelProgress)] == [0, 400, 800, 1000]
    provider, name = open_providers().resolve("scripted:fetching")
    with pytest.raises(ModelNotReady) as refused:
        await provider.complete(call(name))
    assert (refused.value.received, refused.value.total, refused.value.retry_after) == (400, 1000, 1)


async def test_silence_lasts_until_it_is_cancelled() -> None:
    provider, name = open_providers().resolve("scripted:silent")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(provider.complete(call(name)), 0.05)


@pytest.mark.parametrize(("said", "stars"), [("Broken.", 1), ("4 of 5", 4), ("9 of 5", 5)])
async def test_invented_numbers_are_within_the_bounds_of_the_schema(said: str, stars: int) -> None:
    schema = {"type": "object", "properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 5}}}
    provider, name = open_providers().resolve("scripted")
    end = await provider.complete(ModelCall(name, (Message("user", said),), {}, schema))
    assert json.loads(end.text) == {"stars": stars}
