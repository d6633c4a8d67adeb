"""Strangers who mean harm: `python -m bench.hostile URL SOCKETS FRAMES`.

Says "ready", and ends on SIGTERM with a line of JSON.

Every socket asks for the page, again every few seconds, and comes back when it is closed. Each frame is 24 MB of a
widget's text on a page of its own. All say that they come from ten addresses.
"""

import asyncio
import json
import os
import resource
import signal
import sys
from collections import Counter

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin, Subprotocol

from tests.browser import Browser

_AGAIN = 5.0
"""Seconds between two pages that a socket asks for."""
_FRAME = 24_000_000
_ADDRESSES = 10
_AT_ONCE = 4
"""Frames on their way at a time: this process shares the machine with what it attacks."""


class Strangers:
    def __init__(self, url: str) -> None:
        self._url = url
        self._frames = asyncio.Semaphore(_AT_ONCE)
        self._cookies = Browser(url).cookies
        huge = BackMsg()
        widget = huge.rerun_script.widget_states.widgets.add()
        widget.id, widget.string_value = f"$$ID-{'a' * 32}-None", "x" * _FRAME
        self._huge = huge.SerializeToString()
        ask = BackMsg()
        ask.rerun_script.page_name = ""
        self._ask = ask.SerializeToString()
        self.seen: Counter[str] = Counter()

    async def stay(self, number: int) -> None:
        """One socket, for ever."""
        await asyncio.sleep(number / 100)
        while True:
            try:
                async with self._page(number) as page:
                    self.seen["opened"] += 1
                    while True:
                        await page.send(self._ask)
                        await _finished(page)
                        self.seen["pages"] += 1
                        await asyncio.sleep(_AGAIN)
            except WebSocketException as error:
                received = getattr(error, "rcvd", None)
                self.seen[f"closed {received.code if received else type(error).__name__}"] += 1
            except (OSError, TimeoutError) as error:
                self.seen[f"failed {type(error).__name__}"] += 1
            await asyncio.sleep(1)

    async def shout(self, number: int) -> None:
        """One huge frame, on a page that then says no more."""
        await asyncio.sleep(number / 4)
        try:
            async with self._page(number) as page:
                await page.send(self._ask)
                await _finished(page)
                async with self._frames:
                    await page.send(self._huge)
                await asyncio.wait_for(_finished(page), 30)
                self.seen["frames taken"] += 1
                await asyncio.sleep(3_600)
        except (WebSocketException, OSError, TimeoutError):
            self.seen["frames refused"] += 1

    def _page(self, number: int) -> connect:
        address = self._url.replace("http", "ws", 1)
        return connect(
            f"{address}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            origin=Origin(self._url),
            additional_headers={"Cookie": self._cookies, "X-Forwarded-For": f"203.0.113.{number % _ADDRESSES + 1}"},
            max_size=None,
            compression=None,
            proxy=None,
            open_timeout=20,
        )


async def _finished(page: ClientConnection) -> None:
    while True:
        message = ForwardMsg.FromString(await page.recv(decode=False))
        if message.WhichOneof("type") == "script_finished":
            return


async def main(url: str, sockets: int, frames: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("ready", flush=True)
    strangers = Strangers(url)
    tasks = [asyncio.create_task(strangers.stay(number)) for number in range(sockets)]
    tasks += [asyncio.create_task(strangers.shout(number)) for number in range(frames)]
    await ended.wait()
    print(json.dumps(dict(sorted(strangers.seen.items()))), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.nice(19)  # real strangers have computers of their own
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
