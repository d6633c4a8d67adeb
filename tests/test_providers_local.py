import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from flowground.errors import ModelNotReady, ProviderError, ProviderRefused, ProviderUnreachable
from flowground.events import ModelProgress
from flowground.messages import Message, Usage
from flowground.providers import Providers
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.providers.child import CannotStart, available_memory, check_memory
from flowground.providers.hub import HubFile
from flowground.providers.local import Local
from flowground.providers.weights import Weights
from flowground.settings import ProviderSettings, Settings
from tests.wire import Part, whole, wire

pytestmark = pytest.mark.anyio

TINY = (sys.executable, str(Path(__file__).with_name("tiny_model.py")))


def call(text: str, **options: float) -> ModelCall:
    return ModelCall("local", (Message("user", text),), options)


@asynccontextmanager
async def own_file(
    folder: Path, manners: dict[str, str] | None = None, *, idle_seconds: float = 60
) -> AsyncIterator[Local]:
    """A model from a file of one's own."""
    (folder / "mine.gguf").write_text(json.dumps(manners or {}))
    entry = ProviderSettings(path=folder / "mine.gguf", timeout=5)
    local = Local("local", entry, folder, program=TINY, idle_seconds=idle_seconds)
    try:
        yield local
    finally:
        await local.close()


@asynccontextmanager
async def fetched(
    folder: Path, *answer: Part, download: Literal["auto", "on_first_message", "off"] = "on_first_message"
) -> AsyncIterator[Local]:
    """A model whose weights a server on loopback gives."""
    data = b"{}"
    async with wire([*answer, whole(data)]) as hub:
        source = HubFile(f"{hub.url}/tiny.gguf")
        wanted = Weights("Tiny", "CC0", "tiny.gguf", len(data), hashlib.sha256(data).hexdigest(), (source,))
        local = Local("local", ProviderSettings(download=download), folder / "models", weights=wanted, program=TINY)
        try:
            yield local
        finally:
            await local.close()


async def all_of(local: Local, text: str) -> list[Piece]:
    async with aclosing(local.stream(call(text))) as pieces:
        return [piece async for piece in pieces]


def starts(folder: Path) -> list[str]:
    return (folder / "starts").read_text().splitlines()


def runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: str) -> None:
    """Returns when the process has ended; fails the test when that takes five seconds."""
    async with asyncio.timeout(5):
        while runs(pid):  # noqa: ASYNC110 -- nothing else tells
            await asyncio.sleep(0.02)


async def test_it_streams_and_is_labelled(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        assert await all_of(local, "Hi") == [
            ModelProgress("mine", 2, 2, None),
            "tiny: ",
            "Hi",
            Completion("tiny: Hi", "mine", Usage(3, 2), "stop"),
        ]
        assert (await all_of(local, "Hi"))[0] == "tiny: "
        assert len(starts(tmp_path)) == 1


async def test_concurrent_first_messages_start_one_process(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        answers = await asyncio.gather(*(local.complete(call("Hi")) for _ in range(20)))
        assert {answer.model for answer in answers} == {"mine"}
        [start] = starts(tmp_path)
        assert start.split()[2] == "passive"
        assert 1 <= int(start.split()[1]) <= 4


async def test_a_first_caller_who_leaves_does_not_stop_the_start(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        first, second = (asyncio.create_task(local.complete(call("Hi"))) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await second).text.startswith("tiny: Hi")
        assert len(starts(tmp_path)) == 1


async def test_the_makers_advice_gives_way_to_the_flow(tmp_path: Path) -> None:
    async with fetched(tmp_path) as local:
        await local.fetch()
        answer = await local.complete(call("Hi", temperature=0.9))
    assert answer.model == "Tiny"
    advised = ["max_tokens", "messages", "model", "repeat_penalty", "temperature", "top_k", "top_p"]
    assert answer.text == f"tiny: Hi {advised}"


async def test_it_ends_with_close(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        await local.complete(call("Hi"))
        pid = starts(tmp_path)[0].split()[0]
        assert runs(pid)
    assert not runs(pid)


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_text("{}")
    program = """
import asyncio, os, sys
from pathlib import Path
from tests.test_providers_local import TINY, Local, ProviderSettings, call
async def main():
    file = Path(sys.argv[1])
    await Local("local", ProviderSettings(path=file), file.parent, program=TINY).complete(call("Hi"))
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", program, str(tmp_path / "mine.gguf")]
    await asyncio.to_thread(subprocess.run, command, cwd=root, timeout=30, check=False)
    await gone(starts(tmp_path)[0].split()[0])


async def test_it_starts_again_after_a_crash(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        await local.complete(call("Hi"))
        os.kill(int(starts(tmp_path)[0].split()[0]), 9)
        assert (await local.complete(call("Hi"))).text.startswith("tiny: Hi")
        assert len(starts(tmp_path)) == 2


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_crash_before_the_first_piece_is_repeated_once(tmp_path: Path, streaming: bool) -> None:
    async with own_file(tmp_path) as local:
        answer = (await all_of(local, "crash once"))[-1] if streaming else await local.complete(call("crash once"))
        assert isinstance(answer, Completion)
        assert answer.text.startswith("tiny: crash once")
        assert len(starts(tmp_path)) == 2


async def test_a_crash_in_the_middle_is_told(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        with pytest.raises(ProviderUnreachable) as refused:
            await all_of(local, "crash")
        assert refused.value.message == "The built-in model broke off in the middle of its work."
        assert (await local.complete(call("Hi"))).text.startswith("tiny: Hi")


async def test_stopping_reaches_the_process(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        async with aclosing(local.stream(call("wait"))) as pieces:
            while await anext(pieces) != "tiny: ":
                pass
        async with asyncio.timeout(5):
            while not (tmp_path / "left").exists():  # noqa: ASYNC110 -- nothing else tells
                await asyncio.sleep(0.02)
        assert (await local.complete(call("Hi"))).text.startswith("tiny: Hi")


async def test_an_idle_process_ends_and_the_next_message_starts_another(tmp_path: Path) -> None:
    async with own_file(tmp_path, idle_seconds=0.1) as local:
        await local.complete(call("Hi"))
        await gone(starts(tmp_path)[0].split()[0])
        assert (await local.complete(call("Hi"))).text.startswith("tiny: Hi")


async def test_a_conversation_that_is_too_long_is_told_in_plain_words(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        with pytest.raises(ProviderRefused) as refused:
            await local.complete(call("long"))
        assert refused.value.message.startswith("The conversation is longer than the built-in model can read")


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        ({"end": "SIGILL"}, "This computer's processor lacks AVX2, which the built-in model needs."),
        ({"end": "SIGKILL"}, "There is too little free memory for the built-in model: it needs about 0.3 GB."),
        ({"end": "SIGSEGV"}, "The built-in model's process ended while it started."),
        ({"say": "nonsense"}, "The built-in model's process ended while it started."),
        ({"say": '{"failed": "no_wheel"}'}, "The built-in model's runtime is not installed."),
        ({"say": '{"failed": "no_libgomp"}'}, "The built-in model needs the system library libgomp1."),
        ({"say": '{"failed": "wheel_broken"}'}, "The built-in model's runtime does not fit this computer."),
        (
            {"say": '{"failed": "model_broken"}'},
            "The model file cannot be loaded: it is damaged or no GGUF file.",
        ),
    ],
    ids=["no avx2", "killed", "crash", "nonsense", "no wheel", "no libgomp", "broken wheel", "broken file"],
)
async def test_what_keeps_it_from_running_is_one_sentence_and_what_to_do(
    tmp_path: Path, manners: dict[str, str], said: str
) -> None:
    async with own_file(tmp_path, manners) as local:
        with pytest.raises(ProviderRefused) as refused:
            await local.complete(call("Hi"))
        assert refused.value.message == said
        assert refused.value.hint


def test_too_little_memory_is_told_before_the_start() -> None:
    check_memory(491_400_064, None)
    check_memory(491_400_064, 2_000_000_000)
    with pytest.raises(CannotStart) as refused:
        check_memory(491_400_064, 500_000_000)
    assert refused.value.message == "There is too little free memory for the built-in model: it needs about 0.8 GB."
    assert (available_memory() or 0) > 0 or sys.platform != "linux"


async def test_a_file_of_ones_own_that_is_not_there(tmp_path: Path) -> None:
    local = Local("local", ProviderSettings(path=tmp_path / "none.gguf"), tmp_path, program=TINY)
    assert local.status().state == "failed"
    with pytest.raises(ProviderRefused) as refused:
        await all_of(local, "Hi")
    assert refused.value.hint == "Check `providers.local.path` in config.yaml: it names a GGUF file."
    await local.close()


async def test_the_first_message_fetches_shows_progress_and_answers(tmp_path: Path) -> None:
    async with fetched(tmp_path, 0.5) as local:
        assert local.status().state == "absent"
        said = "The first message fetches the built-in model, Tiny, 0.0 GB, CC0."
        assert local.status().message == said
        pieces = await all_of(local, "Hi")
        assert isinstance(pieces[0], ModelProgress)
        assert (pieces[0].model, pieces[0].received, pieces[0].total) == ("Tiny", 0, 2)
        assert pieces[-1] == Completion("tiny: Hi", "Tiny", Usage(3, 2), "stop")
        assert local.status().state == "ready"


async def test_a_caller_who_does_not_wait_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with fetched(tmp_path, 0.3) as local:
        for _ in range(2):
            with pytest.raises(ModelNotReady) as refused:
                await local.complete(call("Hi"))
            assert (refused.value.received, refused.value.total, refused.value.retry_after) == (0, 2, 5)
        assert local.status().state == "fetching"
        await local.fetch()
        assert (await local.complete(call("Hi"))).model == "Tiny"


async def test_off_fetches_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    async with fetched(tmp_path, download="off") as local:
        local.begin()
        for answer in (all_of(local, "Hi"), local.complete(call("Hi"))):
            with pytest.raises(ModelNotReady) as refused:
                await answer
            assert refused.value.hint == "Run `python -m flowground model download`, or name another provider's model."
        assert local.status().state == "absent"
        assert not (tmp_path / "models").exists()
        await local.fetch()  # the command line's way
        assert local.status().state == "ready"


async def test_auto_fetches_before_the_first_message(tmp_path: Path) -> None:
    async with fetched(tmp_path, download="auto") as local:
        local.begin()
        assert local.status().state == "fetching"
        await local.fetch()
        assert local.status().state == "ready"


async def test_leaving_does_not_stop_the_fetch(tmp_path: Path) -> None:
    async with fetched(tmp_path, 0.3) as local:
        async with aclosing(local.stream(call("Hi"))) as pieces:
            assert isinstance(await anext(pieces), ModelProgress)
        assert local.status().state == "fetching"
        await local.fetch()
        assert local.status().state == "ready"


async def test_a_fetch_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    wanted = Weights("Tiny", "CC0", "tiny.gguf", 2, "0" * 64, (HubFile("http://127.0.0.1:9/tiny.gguf"),))
    local = Local("local", ProviderSettings(), tmp_path, weights=wanted, program=TINY)
    with pytest.raises(ProviderUnreachable):
        await all_of(local, "Hi")
    assert local.status().state == "failed"
    assert (local.status().message or "").startswith("Tiny could not be fetched: no source answers. Connect")
    with pytest.raises(ProviderError) as refused:
        await local.complete(call("Hi"))
    assert refused.value.code == "model_unreachable"
    with pytest.raises(ProviderUnreachable):
        await local.fetch()
    await local.close()


async def test_providers_tell_where_the_built_in_model_is(tmp_path: Path) -> None:
    providers = Providers(Settings(data=tmp_path))
    assert providers.local_status().state == "absent"
    assert providers.local_status().total == 491_400_064
    _, name = providers.resolve("local")
    assert name == "local"
    await providers.close()
    assert Providers(Settings(providers={"local": ProviderSettings(type="scripted")})).local_status().state == "absent"
