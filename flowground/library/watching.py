"""Keeps the indexes of a library up to date, and deletes those that no flow names any more.

A task of the process looks every few seconds whether files changed, and has what changed indexed, one knowledge after
the other; several processes may do the same, one of them indexes.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from flowground.errors import FlowgroundError, RunError
from flowground.knowledge import IndexHomes, KnowledgeBusy
from flowground.loader import Catalogue
from flowground.words import count

if TYPE_CHECKING:
    from flowground.library import Library, Shelved

_log = logging.getLogger(__name__)

_LOOK_SHARE = 20
"""Looking takes a twentieth of the time at most, however many files there are."""
_FORGET_EVERY = 600.0
"""Seconds between two looks for indexes that no flow names any more."""
_PAUSE = 60.0
"""Seconds before a model of embeddings or a page that failed is asked again."""


def explain(error: BaseException) -> str:
    """Why something failed, for the log and for who waits for an index."""
    return error.full_message if isinstance(error, FlowgroundError) else f"{type(error).__name__}: {error}"


class Watching:
    """Of one library, whose pace it has; `start` and `close` belong to one loop."""

    def __init__(self, library: "Library", catalogue: Catalogue, homes: IndexHomes) -> None:
        self._library = library
        self._catalogue = catalogue
        self._homes = homes
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._failures: dict[str, str] = {}
        self._noted: dict[str, tuple[Mapping[str, str], Sequence[str]]] = {}
        self._pauses: dict[str, float] = {}

    def look_soon(self) -> None:
        """Looks now, where it was started. In any thread."""
        if self._task:
            self._task.get_loop().call_soon_threadsafe(self._woken.set)

    def start(self) -> None:
        """Begins to watch."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Ends what goes on."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        forgotten = -_FORGET_EVERY
        while True:
            looked = 0.0
            if time.monotonic() - forgotten >= _FORGET_EVERY:
                forgotten = time.monotonic()
                await self._forget()
            for shelved in self._library.list_all():
                begun = time.monotonic()
                if begun < self._pauses.get(shelved.address, 0.0):
                    continue
                try:
                    is_outdated = await self._library.is_outdated(shelved)
                    looked += time.monotonic() - begun
                    if is_outdated:
                        await self._renew(shelved)
                except KnowledgeBusy:
                    continue  # another process does it
                except Exception as error:  # noqa: BLE001 - a task's door: the next look tries again
                    self._log_failure(shelved.address, error)
                    if shelved.section.urls:
                        self._pauses[shelved.address] = time.monotonic() + _PAUSE
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), max(self._library.pace.look_every, _LOOK_SHARE * looked))
            self._woken.clear()

    async def _forget(self) -> None:
        """What no flow names any more; nothing while a flow's file has mistakes, which may name some, and nothing where
        there is no flow: their folder may come later than this process."""
        wanted = {shelved.address for shelved in self._library.list_all()}
        deletes = bool(self._catalogue.list_flows()) and not self._catalogue.list_problems()
        try:
            gone = await asyncio.to_thread(self._homes.forget, wanted, now=time.time(), deletes=deletes)
        except (RunError, OSError) as error:
            _log.warning("Indexes that no flow names are kept: %s", explain(error))
            return
        self._library.let_go(gone)

    async def _renew(self, shelved: "Shelved") -> None:
        await asyncio.sleep(self._library.pace.settle)
        report = await self._library.index(shelved)
        if report.vectors:
            self._log_failure(shelved.address, RunError(report.vectors))
            self._pauses[shelved.address] = time.monotonic() + _PAUSE
        else:
            self._failures.pop(shelved.address, None)
        unmet = await self._library.list_unmet(shelved, await shelved.knowledge.list_files())
        self._log_notes(shelved, report.notes, unmet)

    def _log_notes(self, shelved: "Shelved", notes: Mapping[str, str], unmet: Sequence[str]) -> None:
        """Once, until others come: a page that fails is asked again and again."""
        told = self._noted.get(shelved.address)
        self._noted[shelved.address] = (notes, unmet)
        if told == (notes, unmet):
            return
        if notes:
            first, *others = notes.values()
            said = f"{first} `knowledge list` names the others." if others else first
            kind = "source" if shelved.section.urls else "file"
            _log.warning("%s of the knowledge %s: %s", count(len(notes), kind), shelved.address, said)
        for one in unmet:
            _log.warning("The knowledge %s: %s", shelved.address, one)

    def _log_failure(self, address: str, error: Exception) -> None:
        """Once, until it is indexed or fails in another way."""
        said = explain(error)
        if self._failures.get(address) != said:
            self._failures[address] = said
            _log.warning("The knowledge %s could not be indexed: %s", address, said)
