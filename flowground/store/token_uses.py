"""Counts uses of tokens in memory and writes them together: never one UPDATE a request."""

import asyncio
import time
from collections.abc import Callable, Mapping
from threading import Lock

from flowground.store.tokens import Use

_FLUSH_SECONDS = 1.0


class TokenUses:
    """`write` takes what gathered, about once a second while tokens are used. A killed process loses that second."""

    def __init__(self, write: Callable[[Mapping[str, Use]], None]) -> None:
        self._write = write
        self._lock = Lock()
        self._uses: dict[str, Use] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop whose timer will flush; None when no timer runs."""

    def note(self, token_id: str) -> None:
        """One use, now. Called on an event loop."""
        with self._lock:
            before = self._uses.get(token_id)
            self._uses[token_id] = Use(before.times + 1 if before else 1, time.time())
            if self._loop is None or self._loop.is_closed():
                self._loop = asyncio.get_running_loop()
                self._loop.call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Hands over what gathered, if anything did."""
        with self._lock:
            uses, self._uses, self._loop = self._uses, {}, None
        if uses:
            self._write(uses)
