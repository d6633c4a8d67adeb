"""The built-in model: its process, how its weights come, and its tools, of which it knows none itself."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from flowground.core.errors import ModelNotReady, ProviderError, ProviderRefused, ProviderUnreachable
from flowground.core.events import ModelProgress
from flowground.core.messages import Message, Reasoning, ToolCall, ToolResult, Usage
from flowground.providers.base import Completion, ModelCall, Piece, ToolSpec
from flowground.providers.builtin.local import (
    CannotStart,
    Local,
    LocalSettings,
    check_memory,
    find_available_memory,
    put_tools_into_words,
    read_choice,
)
from flowground.providers.builtin.sources import HubFile
from flowground.providers.builtin.weights import Weights, fetch
from tests.servers import ROOT
from tests.tiny import DATA, TINY, all_of, call, end_of_fetch, fetched, own_file, weights_at
from tests.waiting import eventually
from tests.wire import fault_of, whole, wire


def starts(folder: Path) -> list[str]:
    return (folder / "starts").read_text().splitlines()


def runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: str) -> None:
    """Returns when the process has ended."""
    await asyncio.to_thread(eventually, lambda: not runs(pid))


async def check_answers(local: Local) -> None:
    assert (await local.complete(call("Hi"))).text.startswith("tiny: Hi")


async def test_it_streams_and_is_labelled(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        whole_answer = Completion("tiny: Hi", "mine", Usage(3, 2), "stop")
        assert await all_of(local, "Hi") == [ModelProgress("mine", 2, 2, None), "tiny: ", "Hi", whole_answer]
        assert (await all_of(local, "Hi"))[0] == "tiny: "
        [start] = starts(tmp_path)
        assert runs(start.split()[0])
    assert not runs(start.split()[0]), "it ends with close"


async def test_concurrent_first_messages_start_one_process_whoever_leaves(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        first, *others = (asyncio.create_task(local.complete(call("Hi"))) for _ in range(20))
        await asyncio.sleep(0)  # now all wait for the process
        first.cancel()
        answers = await asyncio.gather(*others)
        assert {answer.model for answer in answers} == {"mine"}
        [start] = starts(tmp_path)
        assert start.split()[2] == "passive"
        assert 1 <= int(start.split()[1]) <= 4


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    program = """
import asyncio, os, sys
from pathlib import Path
from tests.tiny import call, own_file
async def main():
    async with own_file(Path(sys.argv[1])) as local:
        await local.complete(call("Hi"))
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    await asyncio.to_thread(subprocess.run, command, cwd=ROOT, timeout=30, check=False)
    await gone(starts(tmp_path)[0].split()[0])


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_crash_before_the_first_piece_is_repeated_once(tmp_path: Path, streaming: bool) -> None:
    async with own_file(tmp_path) as local:
        answer = (await all_of(local, "crash once"))[-1] if streaming else await local.complete(call("crash once"))
        assert isinstance(answer, Completion)
        assert answer.text.startswith("tiny: crash once")
        assert len(starts(tmp_path)) == 2


async def test_a_crash_in_the_middle_is_told_and_it_starts_again(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        await check_answers(local)
        os.kill(int(starts(tmp_path)[0].split()[0]), 9)
        refused = await fault_of(all_of(local, "crash"), ProviderUnreachable)
        assert refused.message == "The built-in model stopped in the middle of its work."
        await check_answers(local)
        assert len(starts(tmp_path)) == 3


async def test_stopping_reaches_the_process(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        async with aclosing(local.stream(call("wait"))) as pieces:
            while await anext(pieces) != "tiny: ":
                pass
        await asyncio.to_thread(eventually, (tmp_path / "left").exists)
        await check_answers(local)


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
async def test_what_keeps_it_from_running_is_told(tmp_path: Path, manners: dict[str, str], said: str) -> None:
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


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("weather", "The weather of a city.", CITY)
CLOCK = ToolSpec("clock", "The time now.", {"type": "object", "properties": {}})
ASKED = Message("user", "How is Oslo?")
CALL = ModelCall("local", (Message("system", "Be kind."), ASKED), {}, tools=(WEATHER, CLOCK))


async def chosen(*said: Piece) -> list[Piece]:
    async def speak() -> AsyncGenerator[Piece, None]:
        for piece in said:
            yield piece

    return [piece async for piece in read_choice(speak(), 2)]


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def test_the_model_is_asked_for_one_call_or_an_answer() -> None:
    asked = put_tools_into_words(CALL)
    assert (asked.tools, asked.messages[1:]) == ((), (ASKED,))
    told = "Be kind.\n\nYou can call these tools:\n\n- weather: The weather of a city."
    assert asked.messages[0].text.startswith(told)
    assert "- clock: The time now. Arguments: {}" in asked.messages[0].text
    calls = [closed(tool={"const": tool.name}, arguments=tool.parameters) for tool in (WEATHER, CLOCK)]
    assert asked.response_schema == {"anyOf": [*calls, closed(answer={"type": "string"})]}


@pytest.mark.parametrize("may_call", [True, False])
def test_calls_and_results_are_told_in_words(may_call: bool) -> None:
    given = (ToolResult("c", "weather", "7 °C"), ToolResult("d", "clock", "broken", is_error=True))
    made = (Reasoning("hm"), ToolCall("c", "weather", {"city": "Oslo"}), ToolCall("d", "clock", {}))
    messages = (ASKED, Message("assistant", made), Message("tool", given))
    asked = put_tools_into_words(ModelCall("local", messages, {}, tools=(WEATHER,) if may_call else ()))
    end = "Reply with the answer, or call another tool." if may_call else "Reply with the answer."
    assert asked.messages[1 if may_call else 0 :] == (
        ASKED,
        Message("assistant", '{"tool": "weather", "arguments": {"city": "Oslo"}}'),
        Message("assistant", '{"tool": "clock", "arguments": {}}'),
        Message("user", f"Result of weather: 7 °C\nError of clock: broken\n\n{end}"),
    )
    assert (asked.response_schema is not None) == may_call


async def test_a_call_is_no_text_and_an_answer_is_its_text() -> None:
    said = '{"tool": "weather", "arguments": {"city": "Oslo"}}'
    call = ToolCall("call_2", "weather", {"city": "Oslo"})
    pieces = await chosen("{", said[1:], Completion(said, "m", None, "stop"))
    assert pieces == [Completion("", "m", None, "tool_calls", (call,))]
    said, text = json.dumps({"answer": "Cold „brr“\n"}), "Cold „brr“\n"
    pieces = await chosen(said, Completion(said, "m", None, "stop"))
    assert pieces == [text, Completion(text, "m", None, "stop")]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ('{"answer": "It is co', "It is co"),
        ('{ "answer" : "It is \\u00', "It is "),
        ('{"answer": "It is \\', "It is "),
        ('{"tool": "weather", "argu', ""),
        ('{"tool": "weather", "arguments": 7}', ""),
        ("{", ""),
        ("7", ""),
    ],
)
async def test_what_max_tokens_cut_is_shown_as_far_as_it_is_an_answer(said: str, text: str) -> None:
    *pieces, end = await chosen(said, Completion(said, "m", None, "length"))
    assert pieces == ([text] if text else [])
    assert end == Completion(text, "m", None, "length")


async def test_the_process_is_sent_a_schema_and_no_tools(tmp_path: Path) -> None:
    async with own_file(tmp_path) as local:
        assert local.takes("local").tools
        without = await local.complete(ModelCall("local", (ASKED,), {}))
        assert without.text == "tiny: How is Oslo? ['max_tokens', 'messages', 'model']"
        # What this process answers is no JSON: nothing of it is an answer.
        assert (await local.complete(CALL)).text == ""
        none = await local.complete(ModelCall("local", (ASKED,), {}, tools=(CLOCK,), tool_choice="none"))
        assert none.text == without.text
