"""The runtime in this process on a loop thread of its own, as the command line and AppTest have it, and its end."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowground.app import runtime
from flowground.app.runtime import Runtime
from flowground.settings import Settings


@contextmanager
def runtime_of(config: Path) -> Iterator[Runtime]:
    """`runtime.get()` for the length of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    app = Runtime(Settings.load(config))
    asyncio.run_coroutine_threadsafe(app.start(), loop).result(60)
    runtime.install(app)
    try:
        yield app
    finally:
        runtime.install(None)
        asyncio.run_coroutine_threadsafe(app.close(), loop).result(60)
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(60)
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


async def _end_tasks() -> None:
    """Ends what still runs on the loop, as a server's end does."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
