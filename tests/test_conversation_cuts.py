"""Connections that are cut in the middle of an answer: nothing is missing, and no letter comes twice."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowground.app.runtime import Runtime
from tests.chat_socket import TalkHere, Told, join_texts
from tests.in_process import runtime_of
from tests.servers import write_folder
from tests.test_conversation_answers import show

PIECES = [f"{'🦜é x'[number % 4]}{number} " for number in range(120)]
TWO = """\
name: Two
components:
  ChatInput: {type: ChatInput}
  One: {type: LanguageModel, model: "quick:echo", input_value: "${ChatInput}"}
  Two: {type: LanguageModel, model: "slow:echo", input_value: "${ChatInput}"}
  First: {type: ChatOutput, input_value: "${One}"}
  Second: {type: ChatOutput, input_value: "${Two}"}
"""
CONFIG = {
    "providers": {
        "quick": {"type": "scripted", "pieces": PIECES, "delay": 0.01},
        "slow": {"type": "scripted", "pieces": PIECES[::-1], "delay": 0.025},
    }
}
LONG = "name: Long\ncomponents:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: '${In}'}\n"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Runtime]:
    with runtime_of(write_folder(tmp_path, config=CONFIG, flows={"two": TWO, "long": LONG})) as running:
        yield running


@contextmanager
def held_back(app: Runtime, *pages: TalkHere) -> Iterator[None]:
    """These pages take nothing."""
    until = asyncio.run_coroutine_threadsafe(make_event(), app.loop).result(60)
    for page in pages:
        page.hold_back(until)
    yield
    app.loop.call_soon_threadsafe(until.set)


async def make_event() -> asyncio.Event:
    return asyncio.Event()


@pytest.mark.parametrize("seed", range(3))
def test_a_page_that_comes_back_goes_on_where_it_was(app: Runtime, seed: int) -> None:
    """Two answers grow at once; after a few frames, by chance, the connection is lost."""
    chance = random.Random(seed)
    steady = show(app, "two")
    steady.say("Begin")
    run = steady.read_until("started")["run"]
    told: list[Told] = []
    number, cuts, ended = 0, 0, None
    while ended is None:
        page = TalkHere(app, "two")
        shown = page.show(steady.session, **({"after": {"run": run, "number": number}} if number else {}))
        if shown["running"] is None:
            ended = page.told[-1]
            break
        for _ in range(chance.randint(1, 4)):
            frame = page.read()
            told.append(frame)
            number = max(number, frame.get("number", 0))
            if frame["type"] == "ended":
                ended = frame
                break
        cuts += 1
        page.leave()
    assert cuts >= 2
    final = steady.read_until("ended")
    ids = [message["id"] for message in final["messages"]]
    whole = join_texts(steady.told)
    assert [whole[key] for key in ids] == ["".join(PIECES), "".join(PIECES[::-1])]
    texts = join_texts(told)  # which asserts that each piece begins where the one before ended
    stored = {message["id"]: message["text"] for message in TalkHere(app, "two").show(steady.session)["messages"]}
    for key in ids:
        assert stored[key] == whole[key]
        assert whole[key].startswith(texts[key])
        if ended["type"] == "ended":
            assert texts[key] == whole[key]


def test_a_reader_that_takes_nothing_gets_the_rest_in_one_piece(app: Runtime) -> None:
    """Its frames are not piled up: once it reads again, one frame has all that grew."""
    steady = show(app, "two")
    lazy = show(app, "two", steady.session)
    with held_back(app, lazy):
        steady.ask("Begin " + "x" * 100_000)
    lazy.read_until("ended")
    assert join_texts(lazy.told) == join_texts(steady.told)
    assert len([frame for frame in lazy.told if frame["type"] == "text"]) < 4


def test_a_page_that_was_cut_off_for_reading_nothing_leaves_nothing_behind(tmp_path: Path) -> None:
    config = {"limits": {"request_seconds": 1}}
    with runtime_of(write_folder(tmp_path, config=config, flows={"long": LONG})) as impatient:
        steady, lazy = show(impatient, "long"), TalkHere(impatient, "long")
        steady.ask("Begin " + "x" * 100_000)
        with held_back(impatient, lazy):
            for _ in range(3):  # it has asked for more before it is cut off
                lazy.send("open", session=steady.session)
            lazy.wait_for_cut()
            lazy.leave()
            lazy.wait_for_end()
