"""Does something stop everybody else? Measured by CPU time, so that a busy machine does not fail it.

`heartbeat()` measures what runs inside its block, `calmest(action)` gives the best of a few tries, and
`stays_responsive(action)` asserts it. The action runs on the loop of the test (plain asyncio, no uvloop): build large
bodies before it and read answers after it, since the client's own work on this loop would be measured too.
"""

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_USUAL = 0.010
"""Seconds of CPU time that `_work` takes on the machines of which `MOST` speaks."""
_TEXT = "[" + ",".join(['{"a":[1.5],"b":"word"}'] * 20_000) + "]"
TRIES = 10
_BEAT = 0.001


def _work() -> float:
    begun = time.thread_time()
    json.loads(_TEXT)
    sum(number * number for number in range(100_000))
    return time.thread_time() - begun


MOST = 0.050 * max(1.0, min(_work() for _ in range(5)) / _USUAL)
"""Seconds that one thing may keep the loop or the interpreter's lock (the GIL): 50 ms, and as much longer as this
machine is slower."""


@dataclass(slots=True)
class Hold:
    """The longest in seconds: `callback` on a loop by its thread's CPU time, `gil` by the process's CPU time between
    two beats of a thread that wakes each millisecond."""

    callback: float = 0.0
    gil: float = 0.0

    @property
    def longest(self) -> float:
        return max(self.callback, self.gil)


@contextmanager
def heartbeat() -> Iterator[Hold]:
    """Measures the block; the figures stand when it has ended. One at a time.

    A callback that was running when the block began is not measured: inside a coroutine, start a task.
    """
    hold, done = Hold(), threading.Event()
    beating = threading.Thread(target=_beat, args=(hold, done), daemon=True)
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(handle)
        hold.callback = max(hold.callback, time.thread_time() - begun)

    gc.collect()
    gc.freeze()  # as the app does when it has started: what the tests before left is not looked through here
    handles: Any = asyncio.events.Handle
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_BEAT)  # Python code gives the lock away sooner, so that what is left is a call into C
    handles._run = timed
    beating.start()
    try:
        yield hold
    finally:
        handles._run = run
        sys.setswitchinterval(interval)
        done.set()
        beating.join()
        gc.unfreeze()


def _beat(hold: Hold, done: threading.Event) -> None:
    last = time.process_time()
    while not done.is_set():
        time.sleep(_BEAT)
        now = time.process_time()
        hold.gil = max(hold.gil, now - last)
        last = now


async def calmest(action: Callable[[], Awaitable[object]]) -> Hold:
    """The shortest of each of the two figures in up to `TRIES` tries; none after one that is within the bound."""
    tries: list[Hold] = []
    while len(tries) < TRIES and not any(hold.longest < MOST for hold in tries):
        with heartbeat() as hold:
            await asyncio.create_task(_do(action))  # a task of its own: its first step is a callback that is measured
        tries.append(hold)
    return Hold(min(hold.callback for hold in tries), min(hold.gil for hold in tries))


async def _do(action: Callable[[], Awaitable[object]]) -> None:
    await action()


async def stays_responsive(action: Callable[[], Awaitable[object]]) -> None:
    """Fails when the action keeps the loop or the interpreter's lock for `MOST` or longer."""
    hold = await calmest(action)
    assert hold.callback < MOST, f"one callback of the loop took {hold.callback * 1000:.0f} ms of CPU time"
    assert hold.gil < MOST, f"the interpreter's lock was kept for {hold.gil * 1000:.0f} ms of CPU time"
