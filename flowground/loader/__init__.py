"""The folder of flow files: what is in it now, read again when it changes, without a restart.

A file that is broken, or claims an address that another file has, stops only itself: its last good version goes on
serving. So it does when the folder cannot be looked at. A change is seen by the next look that comes half a second
after the one before; a look without a change costs one listing of the folder. On an event loop nothing is read: the
look happens in a thread, and whoever asks meanwhile gets what was read last.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flowground.errors import FlowError, Problem
from flowground.flow.parse import is_uuid
from flowground.loader.folder import ENDINGS, FlowFile, FlowFolder, list_secrets
from flowground.loader.shelf import Shelf, make_shelf, settle
from flowground.loader.unmeant import ConfigNames
from flowground.wiring import Servers, WiredFlow
from flowground.words import count

_log = logging.getLogger(__name__)

_LOOK_EVERY = 0.5
_PATIENCE = 0.2
"""Seconds that a request waits for the look that it set off: a listing takes one millisecond, a large file longer."""


class Catalogue:
    """All flows of one folder, for every thread. Opening it reads the folder once.

    `servers` are the MCP servers that flows may name, `names` what else; None: these are not looked for.
    """

    def __init__(self, folder: Path, *, servers: Servers | None = None, names: ConfigNames | None = None) -> None:
        self.servers = servers
        self._folder = FlowFolder(folder, servers=servers, names=names)
        self._shelf = Shelf()
        self._lock = threading.Lock()
        self._looked = 0.0
        self._failures = 0
        self._is_open = self._is_logging = False
        self._look()
        self._is_open = True

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder.path

    def list_flows(self) -> Mapping[str, WiredFlow]:
        """Id -> flow, sorted by name."""
        return self._take_shelf().flows

    def find(self, address: str) -> WiredFlow | None:
        """The flow with this id or endpoint name; a UUID in capitals or small letters."""
        addresses = self._take_shelf().addresses
        return addresses.get(address) or (addresses.get(address.lower()) if is_uuid(address) else None)

    def list_problems(self) -> Mapping[str, FlowError]:
        """File name -> its mistakes, also of a file whose last good version serves."""
        return self._take_shelf().problems

    def list_warnings(self) -> Mapping[str, Sequence[Problem]]:
        """File name -> what its author should change, of files that serve as they are."""
        return self._take_shelf().warnings

    def find_stale(self, flow_id: str) -> FlowError | None:
        """What is wrong with this flow's file, while its last good version serves."""
        return self._take_shelf().stale.get(flow_id)

    def find_broken_file(self, address: str) -> tuple[str, FlowError] | None:
        """The file that would be the flow of this address by its name, and its mistakes, where it has some."""
        problems = self._take_shelf().problems
        return next(((file, problems[file]) for ending in ENDINGS if (file := f"{address}{ending}") in problems), None)

    async def read_text(self, file: str) -> str | None:
        """What stands in a file of the folder now, odd bytes as "�"; None where it cannot be read."""
        return await asyncio.to_thread(self._folder.read_text, file)

    async def read_bytes(self, file: str) -> bytes:
        """All of a file of the folder. Raises OSError, and FlowError for one over the limit."""
        return await asyncio.to_thread(self._folder.read_bytes, file)

    async def read_draft(
        self, file: str, data: bytes, *, names_secrets: bool
    ) -> tuple[WiredFlow | None, Sequence[Problem]]:
        """The flow that this file would be with other content, beside all other files as they are, and its warnings; or
        None and its mistakes. Nothing of it is kept. It may name environment variables that the flow which serves does
        not name, or, where not `names_secrets`, is told alike whether there is such a one."""
        return await asyncio.to_thread(self._read_draft, file, data, names_secrets=names_secrets)

    def _read_draft(self, name: str, data: bytes, *, names_secrets: bool) -> tuple[WiredFlow | None, Sequence[Problem]]:
        with self._lock:
            files = {other: replace(file) for other, file in self._folder.files.items()}
            serving = [wired.flow for wired in self._shelf.flows.values() if wired.flow.file == name]
        known = {secret for flow in serving for secret in list_secrets(flow)}
        with suppress(OSError, FlowError):  # of a file with mistakes, which serves nothing, what stands in it
            known |= self._folder.find_secrets(name, self._folder.read_bytes(name))
        if not names_secrets and (added := self._folder.find_secrets(name, data) - known):
            says = f"`${{env:{min(added)}}}` is not in the file that serves: add it where the files are kept."
            return None, [Problem(name, 1, 1, says)]
        file = files.setdefault(name, FlowFile((0, 0, 0)))
        self._folder.take(file, name, data)
        settle(files)
        shelf = make_shelf(files)
        if error := shelf.problems.get(name):
            return None, error.problems
        return next(wired for wired in shelf.flows.values() if wired.flow.file == name), shelf.warnings.get(name, ())

    def log_problems(self) -> None:
        """Names in the log each file that never was a flow or has warnings, now and from now on, once; for servers."""
        self._is_logging = True
        self._log_new()

    async def refresh(self) -> None:
        """A look where one is due, in a thread; called on the loop before what was asked for is taken from here."""
        if self._is_due():
            look = self._look_in_thread(asyncio.get_running_loop())
            await asyncio.wait([look], timeout=_PATIENCE)

    async def read_now(self) -> None:
        """A look in a thread, whenever the last one was: a file that was written before is there afterwards."""
        await asyncio.to_thread(self._look_in_turn)

    def _look_in_turn(self) -> None:
        with self._lock:
            self._look()

    def _take_shelf(self) -> Shelf:
        """What is there; whoever comes while a thread is looking takes what it saw last."""
        if self._is_due():
            try:
                self._look_in_thread(asyncio.get_running_loop())
            except RuntimeError:  # a thread without a loop: it may read files itself
                self._look_alone()
        return self._shelf

    def _is_due(self) -> bool:
        return time.monotonic() - self._looked >= _LOOK_EVERY

    def _look_in_thread(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        self._looked = time.monotonic()  # nobody sets off another one meanwhile
        return loop.run_in_executor(None, self._look_alone)

    def _look_alone(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()

    def _look(self) -> None:
        try:
            is_changed = self._folder.look()
        except OSError as error:
            self._fail(error)
        else:
            if self._failures:
                self._failures, is_changed = 0, True
                _log.warning("The folder of flows can be read again.")
            if is_changed:
                settle(self._folder.files)
                self._shelf = make_shelf(self._folder.files)
                self._log_new()
        self._looked = time.monotonic()

    def _fail(self, error: OSError) -> None:
        """What was read last goes on serving, unless two looks in a row did not find the folder.

        One look may fail while the folder is replaced, or while no descriptor is left.
        """
        message = f"The folder of flows cannot be read: {error.strerror}."
        is_first, self._failures = not self._failures, self._failures + 1
        if is_first and self._is_open:
            _log.warning("%s What was read last goes on serving.", message)
        if isinstance(error, FileNotFoundError) and not is_first:
            self._folder.files.clear()
        if not is_first or not self._is_open:
            shelf, problem = make_shelf(self._folder.files), FlowError([Problem(self._folder.path.name, 1, 1, message)])
            self._shelf = replace(shelf, problems={self._folder.path.name: problem, **shelf.problems})

    def _log_new(self) -> None:
        for name, file in self._folder.files.items() if self._is_logging else ():
            if file.serving is None and file.error is not None and not file.is_logged:
                file.is_logged = True
                _log.warning("A flow file cannot be used: %s", _say_first(file.error.problems, "more mistake"))
            if (warnings := self._shelf.warnings.get(name)) and not file.is_warned:
                file.is_warned = True
                _log.warning("A flow file works, and should be changed: %s", _say_first(warnings, "more warning"))


def _say_first(problems: Sequence[Problem], more: str) -> str:
    first, *others = problems
    return f"{first} ({count(len(others), more)})" if others else str(first)
