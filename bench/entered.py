"""The files and functions of `flowground/` that a run and a chat message enter: `python -m bench.entered` prints JSON.

A file counts when one of its functions is entered each time the same thing is done again, so that what happens once
(imports, caches) and what happens by the clock are left out. A call is the entry of a function, and each return of a
coroutine or generator to its work; the fewest of the times count. SQLite's log is moved by a thread that nobody waits
for; it is left out.
"""

import asyncio
import json
import math
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import httpx2

from flowground.api.app import create_api
from flowground.flows import folder as loader
from flowground.store.people import tokens
from tests.chat_socket import TalkHere
from tests.in_process import runtime_of
from tests.running import running
from tests.servers import ROOT, write_folder

_PACKAGE = f"{ROOT / 'flowground'}/"
_ASIDE = "store-checkpoints"
_WARM_UP, _TIMES = 2, 3
_FLOW = """\
name: Talk
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}", temperature: 0.5}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


class Trace:
    """Counts the calls in each file, in every thread that begins after this."""

    def __init__(self) -> None:
        self._calls = Counter[str]()
        self._times: list[Counter[str]] = []
        self._is_on = False
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    @contextmanager
    def one_time(self) -> Iterator[None]:
        time.sleep(0.2)  # what other threads do after the time before is over by then
        self._calls, self._is_on = Counter(), True
        yield
        self._is_on = False
        self._times.append(self._calls)

    def end(self) -> dict[str, int]:
        """Calls by file, of files that were entered each time."""
        threading.setprofile(None)
        sys.setprofile(None)
        times = self._times[_WARM_UP:]
        fewest = min(times, key=Counter.total)
        return {file: count for file, count in fewest.items() if all(file in calls for calls in times)}

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        is_ours = event == "call" and code.co_filename.startswith(_PACKAGE) and code.co_name != "<module>"
        if self._is_on and is_ours and threading.current_thread().name != _ASIDE and not _is_by_the_clock(frame):
            self._calls[code.co_filename.removeprefix(_PACKAGE)] += 1


def _is_by_the_clock(frame: FrameType | None) -> bool:
    """Whether a timer of the loop has called it."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), asyncio.TimerHandle):
            return True
        frame = frame.f_back
    return False


def trace(do: Callable[[Trace, Path], None]) -> dict[str, int]:
    """Calls by file. The folder of flows is not looked at: a slow machine would do so each time."""
    with patch.object(loader, "_LOOK_EVERY", math.inf), tempfile.TemporaryDirectory() as folder:
        traced = Trace()
        do(traced, Path(folder))
        return traced.end()


def run_through_the_api(traced: Trace, folder: Path) -> None:
    async def run() -> None:
        async with running(folder, {"talk": _FLOW}) as runtime:
            token: dict[str, Any] = {"name": "trace", "owner": None, "flows": None, "expires_at": None, "by": "bench"}
            _, secret = await runtime.store.write(tokens.create, **token)
            api = httpx2.ASGITransport(app=create_api(lambda: runtime))
            async with httpx2.AsyncClient(
                transport=api, base_url="http://here", headers={"x-api-key": secret}
            ) as client:
                for _ in range(_WARM_UP + _TIMES):
                    with traced.one_time():
                        (await client.post("/api/v1/run/talk", json={"input_value": "Hello"})).raise_for_status()

    asyncio.run(run())


def send_messages(traced: Trace, folder: Path) -> None:
    """Over a conversation's socket, in one conversation: no page's script runs."""
    with runtime_of(write_folder(folder, config={"default_model": "scripted"}, flows={"talk": _FLOW})) as runtime:
        conversation = TalkHere(runtime, "talk")
        conversation.show()
        for _ in range(_WARM_UP + _TIMES):
            with traced.one_time():
                conversation.ask("Hello")


if __name__ == "__main__":
    print(json.dumps({"run": trace(run_through_the_api), "chat": trace(send_messages)}, indent=1))
