"""The folder of flow files: what is in it now, read again when it changes, without a restart.

A file that is broken, or claims an address that another file has, stops only itself: its last good version goes on
serving. So it does when the folder cannot be looked at. A change is seen by the next look that comes half a second
after the one before; a look without a change costs one listing of the folder. On an event loop nothing is read: the
look happens in a thread, and whoever asks meanwhile gets what was read last.
"""

import asyncio
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from flowground.errors import FlowError, Problem
from flowground.flow import Flow
from flowground.flow.parse import describe_size, is_uuid, parse_flow
from flowground.wiring import WiredFlow, wire
from flowground.words import count

_log = logging.getLogger(__name__)

_LOOK_EVERY = 0.5
_PATIENCE = 0.2
"""Seconds that a request waits for the look that it set off: a listing takes one millisecond, a large file longer."""
_ENDINGS = (".yaml", ".yml")

_FRESH_NS = 2_000_000_000
"""A file that was written twice within this time may have the signature of the first writing: clocks are coarse."""

_Signature = tuple[int, int, int]
"""Time of change in ns, size and inode: what differs when a file was written or replaced."""


@dataclass(slots=True)
class _File:
    """One file: `good` is its content where that is a flow, `serving` what callers get (this or an earlier version).

    `missed` says that the last look did not find it; `fresh` that it was written so shortly before it was read that a
    second writing may have left the same signature; `logged` that the log names its first mistake.
    """

    signature: _Signature
    digest: str = ""
    good: WiredFlow | None = None
    broken: FlowError | None = None
    serving: WiredFlow | None = None
    conflict: FlowError | None = None
    missed: bool = False
    fresh: bool = False
    logged: bool = False

    @property
    def error(self) -> FlowError | None:
        return self.broken or self.conflict


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What callers see; replaced as a whole, never changed."""

    flows: Mapping[str, WiredFlow] = field(default_factory=dict)
    addresses: Mapping[str, WiredFlow] = field(default_factory=dict)
    problems: Mapping[str, FlowError] = field(default_factory=dict)
    stale: Mapping[str, FlowError] = field(default_factory=dict)


class Catalogue:
    """All flows of one folder, for every thread. Opening it reads the folder once."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._files: dict[str, _File] = {}
        self._shelf = _Shelf()
        self._lock = threading.Lock()
        self._looked = 0.0
        self._failures = 0
        self._is_open = self._is_logging = False
        self._look()
        self._is_open = True

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

    def find_stale(self, flow_id: str) -> FlowError | None:
        """What is wrong with this flow's file, while its last good version serves."""
        return self._take_shelf().stale.get(flow_id)

    def find_broken_file(self, address: str) -> tuple[str, FlowError] | None:
        """The file that would be the flow of this address by its name, and its mistakes, where it has some."""
        problems = self._take_shelf().problems
        return next(((file, problems[file]) for ending in _ENDINGS if (file := f"{address}{ending}") in problems), None)

    def log_problems(self) -> None:
        """Names in the log each file that never was a flow, now and from now on, once each; for servers."""
        self._is_logging = True
        self._log_broken()

    async def refresh(self) -> None:
        """A look where one is due, in a thread; called on the loop before what was asked for is taken from here."""
        if self._is_due():
            look = self._look_in_thread(asyncio.get_running_loop())
            await asyncio.wait([look], timeout=_PATIENCE)

    def _take_shelf(self) -> _Shelf:
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
            found = _list_files(self._folder)
        except OSError as error:
            self._fail(error)
        else:
            if recovered := self._failures > 0:
                self._failures = 0
                _log.warning("The folder of flows can be read again.")
            gone = self._find_gone(found)
            for name in gone:
                del self._files[name]
            changed = [name for name, now in found.items() if self._is_new(name, now)]
            for name in changed:
                self._read(name, found[name])
            if gone or changed or recovered:
                _settle(self._files)
                self._shelf = _make_shelf(self._files)
                self._log_broken()
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
            self._files.clear()
        if not is_first or not self._is_open:
            shelf, problem = _make_shelf(self._files), FlowError([Problem(self._folder.name, 1, 1, message)])
            self._shelf = replace(shelf, problems={self._folder.name: problem, **shelf.problems})

    def _log_broken(self) -> None:
        for file in self._files.values() if self._is_logging else ():
            if file.serving is None and file.error is not None and not file.logged:
                file.logged = True
                first, *others = file.error.problems
                more = f" ({count(len(others), 'more mistake')})" if others else ""
                _log.warning("A flow file cannot be used: %s%s", first, more)

    def _find_gone(self, found: Mapping[str, _Signature]) -> list[str]:
        """Files that two looks in a row did not find: while a file is saved it may be away for a moment.

        A listing may also lack a file that is being replaced at this moment; its own path is sure.
        """
        gone = []
        for name, file in self._files.items():
            missed = name not in found and not os.path.lexists(self._folder / name)
            if missed and file.missed:
                gone.append(name)
            file.missed = missed
        return gone

    def _is_new(self, name: str, signature: _Signature) -> bool:
        file = self._files.get(name)
        return file is None or file.fresh or file.signature != signature

    def _read(self, name: str, signature: _Signature) -> None:
        path, file = self._folder / name, self._files.get(name) or _File(signature)
        try:
            data = _read_content(path, self._max_bytes)
        except FlowError as error:
            file.digest, file.good, file.broken = "", None, error
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not path.is_symlink():
                return  # deleted or replaced since it was listed: the next look knows more
            message = f"The file cannot be read: {error.strerror}."
            file.digest, file.good, file.broken = "", None, FlowError([Problem(name, 1, 1, message)])
        else:
            digest = hashlib.sha256(data).hexdigest()
            if digest != file.digest:
                file.digest = digest
                file.good, file.broken = _wire_file(data, name, self._max_bytes)
        file.signature, file.fresh = signature, time.time_ns() - signature[0] < _FRESH_NS
        self._files[name] = file


def _wire_file(data: bytes, name: str, max_bytes: int) -> tuple[WiredFlow | None, FlowError | None]:
    try:
        return wire(parse_flow(data, name, max_bytes=max_bytes)), None
    except FlowError as error:
        return None, error


def _list_files(folder: Path) -> dict[str, _Signature]:
    with os.scandir(folder) as entries:
        files = sorted(
            (entry for entry in entries if entry.name.endswith(_ENDINGS) and not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )
        return {entry.name: signature for entry in files if (signature := _sign(entry))}


def _sign(entry: "os.DirEntry[str]") -> _Signature | None:
    try:
        if not entry.is_file():
            return (0, 0, 0) if entry.is_symlink() and not entry.is_dir() else None  # a link to nothing is told
        stat = entry.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read_content(path: Path, max_bytes: int) -> bytes:
    """The file's bytes. Raises OSError, and FlowError before a file over the limit is read."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise FlowError([describe_size(path.name, size, max_bytes)])
        return file.read(max_bytes + 1)


def _settle(files: Mapping[str, _File]) -> None:
    """Decides what each file serves: an address stays with the file that has it, a newcomer who wants it is refused."""
    taken: dict[str, str] = {}
    newcomers = []
    for name, file in files.items():
        if file.good is None or file.good is file.serving:
            file.conflict = None
            taken.update(dict.fromkeys(_list_addresses(file.serving), name))
        else:
            newcomers.append(name)
    for name in newcomers:
        file = files[name]
        file.conflict = _find_conflict(file.good, taken) if file.good else None
        if file.conflict is None:
            file.serving = file.good
        elif any(address in taken for address in _list_addresses(file.serving)):
            file.serving = None
        taken.update(dict.fromkeys(_list_addresses(file.serving), name))


def _list_addresses(wired: WiredFlow | None) -> Iterable[str]:
    if wired is None:
        return ()
    names = (wired.id, wired.flow.api.endpoint_name)
    return [name.lower() for name in names if name is not None]


def _find_conflict(wired: WiredFlow, taken: Mapping[str, str]) -> FlowError | None:
    flow: Flow = wired.flow
    claims = (("id", flow.id), ("api.endpoint_name", flow.api.endpoint_name))
    problems = []
    for key, address in claims:
        if address is not None and (other := taken.get(address.lower())):
            place = flow.places[key].value
            message = f"{address!r} is the address of two flows: {other} has it, {flow.file} wants it too."
            problems.append(Problem(flow.file, place.line, place.column, message, address))
    return FlowError(problems) if problems else None


def _make_shelf(files: Mapping[str, _File]) -> _Shelf:
    serving = sorted(
        (file.serving for file in files.values() if file.serving), key=lambda wired: (wired.name.casefold(), wired.id)
    )
    return _Shelf(
        flows=MappingProxyType({wired.id: wired for wired in serving}),
        addresses={address: wired for wired in serving for address in _list_addresses(wired)},
        problems=MappingProxyType({name: file.error for name, file in sorted(files.items()) if file.error}),
        stale={file.serving.id: file.error for file in files.values() if file.serving and file.error},
    )
