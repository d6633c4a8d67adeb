"""Counts the bytes that an app sends to a browser: a connection to it goes through here."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass
class Wire:
    url: str
    came: int = 0


@contextmanager
def count_bytes(url: str) -> Iterator[Wire]:
    """The same app at another port, `came` what it has sent so far, heads and frames included."""
    address = urlsplit(url)
    wire, is_ready = Wire(""), threading.Event()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, into = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(_carry(reader, into), _carry(to, writer, counted_by=wire))

    async def listen() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            wire.url = url.replace(f":{address.port}", f":{port}", 1)
            is_ready.set()
            await over.wait()
            await _end_others()

    thread = threading.Thread(target=loop.run_until_complete, args=(listen(),))
    thread.start()  # the browser's own loop runs in this one
    is_ready.wait(10)
    try:
        yield wire
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted_by: Wire | None = None) -> None:
    with suppress(OSError), closing(writer):
        while data := await reader.read(65_536):
            if counted_by:
                counted_by.came += len(data)
            writer.write(data)
            await writer.drain()


async def _end_others() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)  # connections that were closed end in the next step
