"""Deletes what is too old or too much, by a task of the process, in small steps with pauses.

`RetentionTask._list_kinds` is the table of what is deleted, and when. The task looks once an hour, and for visitors'
conversations also soon after a visitor's message. No request waits for it, and several processes may do it at once. A
conversation in which something runs, or that somebody continues, is left alone.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

from flowground.runs.files import Files
from flowground.settings import RetentionSettings
from flowground.settings.limits import PublicSettings
from flowground.store import Store
from flowground.store.people import removals
from flowground.store.people.removals import Removal
from flowground.store.runs import erasing, shared_chats
from flowground.store.runs import files as stored_files
from flowground.store.runs.idempotency import KEPT_SECONDS

_log = logging.getLogger(__name__)
VISITORS = "visitors' conversations"
REMOVED = "people who were removed"
FILES = "bytes that may be nobody's"
_URGENT = {REMOVED, FILES}
_AT_ONCE = 20
"""Visitors' conversations that one query finds."""
_DAY = 86_400.0
_ADDRESS_DAYS = 90
"""Days for which an address counts as a member's after they signed in there."""
_AGAIN_SECONDS = 10.0
"""Seconds after which a finished removal is repeated: another process may have stored something meanwhile."""
_SIGN_IN_DAYS = 7
_SHARED_DAYS = 1 / 24
_LINK_DAYS = 30
"""Days for which ended links are kept."""
_UNSENT_DAYS = 1
"""Days for which an uploaded file waits for its message."""
_NO_DAYS = 1e-9
"""Deleted at once: 0 days would mean never."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of data that is deleted. `forget` deletes what is older than a time (seconds since 1970) and yields,
    after each small step, how many were deleted completely. `days` is the age at which that happens; 0: never."""

    says: str
    days: float
    forget: Callable[[float], AsyncGenerator[int, None]]


class RetentionTask:
    """The task that deletes; `start` belongs to the runtime's loop.

    `at_least` and `at_most` are seconds between two rounds, `rest` seconds after each step, `again` seconds before a
    removal is repeated.
    """

    def __init__(
        self,
        store: Store,
        retention: RetentionSettings,
        public: PublicSettings,
        *,
        now: Callable[[], float] = time.time,
        at_least: float = 60,
        at_most: float = 3600,
        rest: float = 0.05,
        again: float = _AGAIN_SECONDS,
    ) -> None:
        self._store = store
        self.files: Files | None = None
        """The files whose bytes are deleted with their last row; None: this process keeps no files."""
        self._public = public
        self._now = now
        self._at_least, self._at_most, self._rest, self._again = at_least, at_most, rest, again
        self._kinds = [kind for kind in self._list_kinds(retention) if kind.days]
        self._wanted = {REMOVED}
        """Kinds to delete before the hour is over; at the start, removals that an earlier process did not finish."""
        self._woken = asyncio.Event()
        self._finished: list[Removal] = []
        """Finished removals that are repeated once."""
        self._task: asyncio.Task[None] | None = None

    def _list_kinds(self, keep: RetentionSettings) -> Iterator[_Kind]:
        """Everything that is ever deleted."""
        yield _Kind(REMOVED, 1, self._finish_removals)
        yield _Kind(VISITORS, max(self._public.days, self._public.conversations), self._forget_visitors)
        yield _Kind("files that were not sent", _UNSENT_DAYS, self._repeat(stored_files.delete_unsent))
        yield _Kind("files of no conversation", keep.conversations_days, self._repeat(stored_files.delete_old))
        yield _Kind("conversations", keep.conversations_days, self._forget_conversations)
        yield _Kind("messages' traces and requests", keep.run_contents_days, self._repeat(erasing.forget_contents))
        yield _Kind("shared chats that expired", _SHARED_DAYS, self._repeat(shared_chats.forget_expired))
        rows: tuple[tuple[str, str, float], ...] = (
            ("lines of the audit trail", "audit", keep.audit_days),
            ("access requests that were decided", "access_requests", keep.audit_days),
            ("idempotency keys", "idempotency_keys", KEPT_SECONDS / _DAY),
            ("passwords that were tried", "attempts", 1),
            ("what limits counted", "counters", 1),
            ("addresses of sign-ins", "known_addresses", _ADDRESS_DAYS),
            ("sign-ins that expired", "sign_ins", _SIGN_IN_DAYS),
            ("sign-ins that were ended", "ended_sign_ins", _SIGN_IN_DAYS),
            ("links for passwords", "password_links", _LINK_DAYS),
            ("tickets for sign-ins", "tickets", 1),
        )
        for says, kind, days in rows:
            yield _Kind(says, days, self._repeat(partial(erasing.delete_expired, kind=kind)))
        yield _Kind(FILES, _NO_DAYS, self._sweep_files)  # last: bytes of everything that was deleted before

    def start(self) -> None:
        """Starts the task."""
        self._task = asyncio.get_running_loop().create_task(self._look())

    def look_soon(self, kind: str) -> None:
        """Wakes the task for this kind. Removals and files are urgent; other kinds wait until the last round is
        `at_least` seconds ago."""
        self._wanted.add(kind)
        self._woken.set()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def forget(self, *, only: Collection[str] | None = None) -> Counter[str]:
        """Deletes what is too old or too much; returns how many of each kind. `only`: just these kinds.

        A kind that cannot be deleted is logged, and the others are deleted all the same.
        """
        forgotten = Counter[str]()
        for kind in self._kinds:
            if only is not None and kind.says not in only and not (kind.says == FILES and forgotten):
                continue
            try:
                async with aclosing(kind.forget(self._now() - kind.days * _DAY)) as steps:
                    async for count in steps:
                        forgotten[kind.says] += count
                        await asyncio.sleep(self._rest)
            except Exception as error:  # noqa: BLE001 - the task goes on: its next round tries again
                _log.warning("%s could not be deleted: %s", kind.says, str(error).partition("\n")[0])
        if forgotten:
            self._store.empty_log()
        return +forgotten

    def _repeat(self, step: Callable[..., int]) -> Callable[[float], AsyncGenerator[int, None]]:
        """Repeats a step of the store until it deletes nothing more."""

        async def forget(before: float) -> AsyncGenerator[int, None]:
            while count := await self._store.write(step, before=before):
                yield count

        return forget

    async def _sweep_files(self, before: float) -> AsyncGenerator[int, None]:
        while self.files and (count := await self.files.sweep(before)):
            yield count

    async def _forget_visitors(self, _: float) -> AsyncGenerator[int, None]:
        before = self._now() - self._public.days * _DAY if self._public.days else 0.0
        while found := await self._store.read(
            erasing.find_surplus, keep=self._public.conversations, before=before, limit=_AT_ONCE
        ):
            for session, used in found:
                while not await self._store.write(erasing.erase_unused, session=session, until=used):
                    yield 0
                yield 1

    async def _forget_conversations(self, before: float) -> AsyncGenerator[int, None]:
        after: int | None = 0
        while after is not None:
            found, after = await self._store.read(erasing.find_unused, after=after, before=before)
            for session in found:
                while not await self._store.write(erasing.erase_unused, session=session, until=before):
                    yield 0
                yield 1
            if not found:
                await asyncio.sleep(self._rest)

    async def _finish_removals(self, _: float) -> AsyncGenerator[int, None]:
        write = self._store.write
        again, self._finished = self._finished, []
        for removal in [*again, *await self._store.read(removals.list_removals)]:
            while not await write(erasing.erase_conversations, owners=removal.owners):
                yield 0
            while await write(stored_files.delete_of_owners, owners=removal.owners):
                yield 0
            run: str | None = ""
            while run is not None:
                run = await write(removals.rename_runs, removal=removal, after=run)
                yield 0
            line: int | None = 0
            while line is not None:
                line = await write(removals.rename_lines, removal=removal, after=line)
                yield 0
            await write(removals.finish_removal, removal=removal)
            if removal not in again:
                self._finished.append(removal)
            yield 1

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        at_all, earliest = clock() + self._at_least, clock()
        while True:
            due = min(earliest, at_all) if self._wanted else at_all
            if clock() < due and not self._wanted & _URGENT:
                self._woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(due - clock()):  # `wait_for` may lose the end of the process
                        await self._woken.wait()
                continue
            only: set[str] | None
            only, self._wanted = self._wanted, set()
            if clock() >= at_all:
                only, at_all = None, clock() + self._at_most
            if forgotten := await self.forget(only=only):
                _log.info("forgotten: %s", ", ".join(f"{says}: {count}" for says, count in forgotten.items()))
            if self._finished:
                asyncio.get_running_loop().call_later(self._again, self.look_soon, REMOVED)
            if not only or not only <= _URGENT:  # an urgent round does not delay the others
                earliest = clock() + self._at_least
