from contextlib import aclosing
from pathlib import Path

import pytest

from flowground.errors import ModelNotReady, ProviderError, ProviderUnreachable
from flowground.events import ModelProgress
from flowground.messages import Usage
from flowground.providers.base import Completion
from flowground.providers.builtin.local import Local, LocalSettings
from flowground.providers.builtin.sources import HubFile
from flowground.providers.builtin.weights import Weights, fetch
from flowground.providers.scripted import ScriptedSettings
from flowground.settings import Settings
from tests.model_calls import fault_of
from tests.opened_providers import open_providers
from tests.tiny import DATA, TINY, all_of, call, end_of_fetch, fetched, weights_at
from tests.wire import whole, wire

pytestmark = pytest.mark.anyio


async def test_the_first_message_fetches_shows_progress_and_answers(tmp_path: Path) -> None:
    async with fetched(tmp_path, 0.5) as local:
        assert local.read_status().state == "absent"
        assert local.read_status().message == "The first message fetches the built-in model, Tiny, 0.0 GB, CC0."
        pieces = await all_of(local, "Hi")
        assert isinstance(pieces[0], ModelProgress)
        assert (pieces[0].model, pieces[0].received, pieces[0].total) == ("Tiny", 0, 2)
        assert pieces[-1] == Completion("tiny: Hi", "Tiny", Usage(3, 2), "stop")
        assert local.read_status().state == "ready"


async def test_a_caller_who_does_not_wait_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with fetched(tmp_path, 0.3) as local:
        for _ in range(2):
            refused = await fault_of(local.complete(call("Hi")), ModelNotReady)
            assert (refused.received, refused.total, refused.retry_after) == (0, 2, 5)
        assert local.read_status().state == "fetching"
        await end_of_fetch(local)
        assert (await local.complete(call("Hi"))).model == "Tiny"


async def test_off_fetches_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    async with fetched(tmp_path, download="off") as local:
        local.begin()
        for answer in (all_of(local, "Hi"), local.complete(call("Hi"))):
            refused = await fault_of(answer, ModelNotReady)
            assert refused.hint == "Run `python -m flowground model download`, or name another provider's model."
        assert local.read_status().state == "absent"
        assert not (tmp_path / "models").exists()
        async with wire([whole(DATA)]) as hub:  # as the command line fetches it
            await fetch(tmp_path / "models", progress=lambda *_: None, weights=weights_at(hub.url))
        assert local.read_status().state == "ready"


async def test_auto_fetches_before_the_first_message(tmp_path: Path) -> None:
    async with fetched(tmp_path, download="auto") as local:
        local.begin()
        assert local.read_status().state == "fetching"
        await end_of_fetch(local)
        assert local.read_status().state == "ready"


async def test_leaving_does_not_stop_the_fetch(tmp_path: Path) -> None:
    async with fetched(tmp_path, 0.3) as local:
        async with aclosing(local.stream(call("Hi"))) as pieces:
            assert isinstance(await anext(pieces), ModelProgress)
        assert local.read_status().state == "fetching"
        await end_of_fetch(local)
        assert local.read_status().state == "ready"


async def test_a_fetch_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    wanted = Weights("Tiny", "CC0", "tiny.gguf", 2, "0" * 64, (HubFile("http://127.0.0.1:9/tiny.gguf"),))
    local = Local("local", LocalSettings(), tmp_path, weights=wanted, program=TINY)
    refused = await fault_of(all_of(local, "Hi"), ProviderUnreachable)
    assert refused.message == "Tiny could not be fetched: no source answers."
    assert "`providers.local.path`" in (refused.hint or "")
    assert local.read_status().state == "failed"
    assert (local.read_status().message or "").startswith("Tiny could not be fetched: no source answers. Connect")
    assert (await fault_of(local.complete(call("Hi")), ProviderError)).code == "model_unreachable"
    await fault_of(all_of(local, "Hi"), ProviderUnreachable)
    await local.close()


async def test_providers_tell_where_the_built_in_model_is(tmp_path: Path) -> None:
    providers = open_providers(Settings(data=tmp_path))
    assert providers.read_status().state == "absent"
    assert providers.read_status().total == 491_400_064
    _, name = providers.resolve("local")
    assert name == "local"
    await providers.close()
    assert open_providers(Settings(providers={"local": ScriptedSettings()})).read_status().state == "absent"
