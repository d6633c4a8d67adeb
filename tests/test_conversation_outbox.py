"""What a socket has still to be sent: in order, so much and no more, and given up where nobody takes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.types import Message

from flowground.ui.conversation.broadcast import Outbox, UnsentFrames

MOST = 64_000


class Reader:
    """The other side: takes frames while it is `open`."""

    def __init__(self, unsent: UnsentFrames | None = None, *, seconds: float = 60) -> None:
        self.taken: list[str] = []
        self.given_up = self.refills = 0
        self.more: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.outbox = Outbox(
            self.take, seconds=seconds, give_up=self.note_end, refill=self.refill, unsent=unsent or UnsentFrames()
        )

    async def take(self, message: Message) -> None:
        await self.open.wait()
        assert message["type"] == "websocket.send"
        self.taken.append(message["text"])

    def note_end(self) -> None:
        self.given_up += 1

    def refill(self) -> None:
        self.refills += 1
        if self.more:
            self.outbox.put(self.more.pop(0))


@pytest.fixture
async def reader(request: pytest.FixtureRequest) -> AsyncIterator[Reader]:
    reader = Reader(seconds=getattr(request, "param", 60))
    task = asyncio.create_task(reader.outbox.run())
    yield reader
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_frames_are_sent_in_order_and_then_more_is_asked_for(reader: Reader) -> None:
    reader.more = ["third"]
    await reader.outbox.flush()  # nothing waits
    reader.outbox.put("first")
    reader.outbox.put("second")
    await reader.outbox.flush()
    assert reader.taken == ["first", "second", "third"]
    assert reader.refills == 2
    reader.outbox.put("fourth")
    await reader.outbox.flush()
    assert (reader.taken[-1], reader.refills) == ("fourth", 3)
    reader.open.clear()
    reader.outbox.put("fifth")
    flushing = asyncio.create_task(reader.outbox.flush())
    await asyncio.sleep(0.05)
    assert not flushing.done()  # it is being sent
    reader.open.set()
    await asyncio.wait_for(flushing, 20)
    assert reader.taken[-1] == "fifth"


async def test_who_does_not_read_is_not_listened_to(reader: Reader) -> None:
    reader.open.clear()
    reader.outbox.put("x" * MOST)
    assert not reader.outbox.is_full
    assert await asyncio.wait_for(reader.outbox.wait_for_room(), 20)
    reader.outbox.put("y")
    assert reader.outbox.is_full
    waiting = asyncio.create_task(reader.outbox.wait_for_room())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    reader.open.set()
    assert await asyncio.wait_for(waiting, 20)
    await reader.outbox.flush()
    assert not reader.outbox.is_full
    assert [len(frame) for frame in reader.taken] == [MOST, 1]


@pytest.mark.parametrize("reader", [0.2], indirect=True)
async def test_a_socket_that_takes_nothing_is_given_up_and_nothing_waits_for_it(reader: Reader) -> None:
    reader.open.clear()
    reader.outbox.put("x" * (MOST + 1))
    assert not await asyncio.wait_for(reader.outbox.wait_for_room(), 20)
    await asyncio.wait_for(reader.outbox.flush(), 20)
    assert reader.given_up == 1
    reader.outbox.put("late")
    assert not reader.outbox.is_full
    await asyncio.wait_for(reader.outbox.flush(), 20)
    assert reader.taken == []


async def test_of_a_persons_sockets_the_one_that_took_nothing_for_longest_is_given_up() -> None:
    unsent = UnsentFrames()
    first, second = (Reader(unsent) for _ in range(2))
    first.outbox.put("x" * 6_000_000)
    second.outbox.put("y" * 4_000_000)
    assert (first.given_up, second.given_up) == (0, 0)
    second.outbox.put("y")
    assert (first.given_up, second.given_up) == (1, 0)
    second.outbox.put("y" * 10_000_000)
    assert second.given_up == 0  # it is the only one
