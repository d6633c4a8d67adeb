import asyncio
import os
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from flowground.errors import ProviderRefused, ProviderUnreachable
from flowground.events import ModelProgress
from flowground.messages import Usage
from flowground.providers.base import Completion
from flowground.providers.builtin.child import CannotStart, check_memory, find_available_memory
from flowground.providers.builtin.local import Local, LocalSettings
from tests.model_calls import fault_of
from tests.tiny import TINY, all_of, call, fetched, own_file

pytestmark = pytest.mark.anyio


def starts(folder: Path) -> list[str]:
    return (folder / "starts").read_text().splitlines()


def runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: str) -> None:
    """Returns when the process has ended; fails the test when that takes twenty seconds."""
    async with asyncio.timeout(60):
        while runs(pid):  # noqa: ASYNC110 -- nothing else tells
            await asyncio.sleep(0.02)


async def check_answers(local: Local) -> None:
    assert (await local.complete(call("Hi"))).text.startswith("tiny: Hi")


async def test_it_streams_and_is_labelled(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        assert await all_of(local, "Hi") == [
            ModelProgress("mine", 2, 2, None),
            "tiny: ",
            "Hi",
            Completion("tiny: Hi", "mine", Usage(3, 2), "stop"),
        ]
        assert (await all_of(local, "Hi"))[0] == "tiny: "
        [start] = starts(tmp_path)
        assert runs(start.split()[0])
    assert not runs(start.split()[0]), "it ends with close"


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
        await asyncio.sleep(0)  # now both wait for the process
        first.cancel()
        assert (await second).text.startswith("tiny: Hi")
        assert len(starts(tmp_path)) == 1


async def test_the_makers_advice_gives_way_to_the_flow(tmp_path: Path) -> None:
    async with fetched(tmp_path) as local:
        await all_of(local, "Hi")  # the first message fetches it
        answer = await local.complete(call("Hi", temperature=0.9))
    assert answer.model == "Tiny"
    advised = ["max_tokens", "messages", "model", "repeat_penalty", "temperature", "top_k", "top_p"]
    assert answer.text == f"tiny: Hi {advised}"


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_text("{}")
    program = """
import asyncio, os, sys
from pathlib import Path
from flowground.providers.builtin.local import Local, LocalSettings
from tests.tiny import TINY, call
async def main():
    file = Path(sys.argv[1])
    await Local("local", LocalSettings(path=file), file.parent, program=TINY).complete(call("Hi"))
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
        await check_answers(local)
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
        refused = await fault_of(all_of(local, "crash"), ProviderUnreachable)
        assert refused.message == "The built-in model stopped in the middle of its work."
        await check_answers(local)


async def test_stopping_reaches_the_process(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        async with aclosing(local.stream(call("wait"))) as pieces:
            while await anext(pieces) != "tiny: ":
                pass
        async with asyncio.timeout(60):
            while not (tmp_path / "left").exists():  # noqa: ASYNC110 -- nothing else tells
                await asyncio.sleep(0.02)
        await check_answers(local)


async def test_an_answer_may_be_asked_for_as_soon_as_a_stream_has_ended(tmp_path: Path) -> None:
    """The process closes a stream's connection a moment after its end, when another call may stand on it."""
    async with own_file(tmp_path) as local:
        for _ in range(5):
            assert "tiny: " in await all_of(local, "Hi")
            await check_answers(local)
        assert len(starts(tmp_path)) == 1


async def test_an_idle_process_ends_and_the_next_message_starts_another(tmp_path: Path) -> None:
    async with own_file(tmp_path, idle_seconds=0.1) as local:
        await local.complete(call("Hi"))
        await gone(starts(tmp_path)[0].split()[0])
        await check_answers(local)


async def test_a_conversation_that_is_too_long_is_told_in_plain_words(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        refused = await fault_of(local.complete(call("long")), ProviderRefused)
        assert refused.message.startswith("The conversation is longer than the built-in model can read")


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        ({"end": "SIGILL"}, "This computer's processor lacks AVX2, which the built-in model needs."),
        ({"end": "SIGKILL"}, "There is not enough free memory for the built-in model: it needs about 0.3 GB."),
        ({"end": "SIGSEGV"}, "The built-in model's process ended while it started."),
        ({"say": "nonsense"}, "The built-in model's process ended while it started."),
        ({"say": '{"failed": "no_wheel"}'}, "The built-in model's runtime is not installed."),
        ({"say": '{"failed": "no_libgomp"}'}, "The built-in model needs the system library libgomp1."),
        ({"say": '{"failed": "wheel_broken"}'}, "The built-in model's runtime does not fit this computer."),
        ({"say": '{"failed": "model_broken"}'}, "The model file cannot be loaded: it is damaged or not a GGUF file."),
    ],
)
async def test_what_keeps_it_from_running_is_one_sentence_and_what_to_do(
    tmp_path: Path, manners: dict[str, str], said: str
) -> None:
    async with own_file(tmp_path, manners) as local:
        refused = await fault_of(local.complete(call("Hi")), ProviderRefused)
        assert refused.message == said
        assert refused.hint


def test_too_little_memory_is_told_before_the_start() -> None:
    check_memory(491_400_064, None)
    check_memory(491_400_064, 2_000_000_000)
    with pytest.raises(CannotStart) as refused:
        check_memory(491_400_064, 500_000_000)
    assert refused.value.message == "There is not enough free memory for the built-in model: it needs about 0.8 GB."
    assert (find_available_memory() or 0) > 0 or sys.platform != "linux"


async def test_a_file_of_ones_own_that_is_not_there(tmp_path: Path) -> None:
    local = Local("local", LocalSettings(path=tmp_path / "none.gguf"), tmp_path, program=TINY)
    assert local.read_status().state == "failed"
    refused = await fault_of(all_of(local, "Hi"), ProviderRefused)
    assert refused.hint == "Check `providers.local.path` in config.yaml: it names a GGUF file."
    await local.close()
