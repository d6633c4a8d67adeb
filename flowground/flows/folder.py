"""The folder of flow files, read again when it changes, without a restart; and drafts that people try in memory.

A broken file, or one that claims the address of another file, affects only itself: its last good version keeps serving.
Likewise while the folder cannot be read. A change is found by the first check that comes at least half a second after
the one before; a check without changes costs one listing of the folder. On an event loop the check runs in a thread,
and requests meanwhile use the flows that were read last.
"""

import asyncio
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from flowground.core.errors import FlowError, Problem
from flowground.core.words import count
from flowground.flows.checks import ConfigNames, add_warnings, find_doubts, link_flow
from flowground.flows.flow import Flow
from flowground.flows.parse import ENV, MOST_BYTES, describe_size, is_uuid, parse_flow
from flowground.flows.wired_component import Servers
from flowground.flows.wiring import WiredFlow, wire

_log = logging.getLogger(__name__)
ENDINGS = (".yaml", ".yml")
_FRESH_NS = 2_000_000_000
"""Nanoseconds: two writes in this time may leave the same signature, because clocks of file systems are coarse."""
_Signature = tuple[int, int, int]
"""Time of change in ns, size and inode: at least one differs once a file was written or replaced."""
_LOOK_EVERY = 0.5
_LOOK_WAIT = 0.2
"""Seconds that a request waits for the check that it started: a listing takes a millisecond, a large file longer."""
_SECONDS = 3_600.0
"""Seconds after its last use until a draft expires."""
_MOST = 50
"""The most drafts of all people together; the oldest goes first. Each is limited to `MOST_BYTES`, as a file is."""


@dataclass(slots=True)
class FlowFile:
    """One file: `good` is its content where that is a flow, `serving` what callers get (this or an earlier version).

    `is_missed`: the last check did not find the file. `is_fresh`: the file was written so shortly before it was read
    that a second write may have left the same signature. `is_logged`, `is_warned`: the log has its first mistake, its
    first warning.
    """

    signature: _Signature
    digest: str = ""
    good: WiredFlow | None = None
    broken: FlowError | None = None
    serving: WiredFlow | None = None
    conflict: FlowError | None = None
    is_missed: bool = False
    is_fresh: bool = False
    is_logged: bool = False
    is_warned: bool = False

    @property
    def error(self) -> FlowError | None:
        """Why the file's present content does not serve; None where it does."""
        return self.broken or self.conflict

    @property
    def warnings(self) -> Sequence[Problem]:
        """The warnings of the file's content where that serves; none beside mistakes, where they would distract."""
        return self.good.flow.warnings if self.good is not None and self.good is self.serving else ()


def find_secrets(name: str, data: bytes) -> set[str]:
    """The environment variables that a file with this content would name; none where the content is no flow."""
    with suppress(FlowError):
        return list_secrets(parse_flow(data, name))
    return set()


def list_secrets(flow: Flow) -> set[str]:
    """The environment variables that the flow's fields name."""
    return set(ENV.findall(json.dumps([dict(spec.fields) for spec in flow.components.values()], default=str)))


@dataclass(frozen=True, slots=True)
class FlowRegistry:
    """What callers see; replaced as a whole, never changed. `problems` and `warnings` are by file name."""

    flows: Mapping[str, WiredFlow] = field(default_factory=dict)
    addresses: Mapping[str, WiredFlow] = field(default_factory=dict)
    problems: Mapping[str, FlowError] = field(default_factory=dict)
    stale: Mapping[str, FlowError] = field(default_factory=dict)
    warnings: Mapping[str, Sequence[Problem]] = field(default_factory=dict)


def settle(files: Mapping[str, FlowFile]) -> None:
    """Decides what each file serves: the file that has an address keeps it, a new file that claims it is refused."""
    taken: dict[str, str] = {}
    newcomers = []
    for name, file in files.items():
        if file.good is None or file.good is file.serving:
            file.conflict = None
            taken.update(dict.fromkeys(list_addresses(file.serving), name))
        else:
            newcomers.append(name)
    for name in newcomers:
        file = files[name]
        file.conflict = _find_conflict(file.good, taken) if file.good else None
        if file.conflict is None:
            file.serving = file.good
        elif any(address in taken for address in list_addresses(file.serving)):
            file.serving = None
        taken.update(dict.fromkeys(list_addresses(file.serving), name))


def list_by_address(flows: Iterable[WiredFlow]) -> dict[str, WiredFlow]:
    """The flows by id and endpoint name, in small letters."""
    return {address: wired for wired in flows for address in list_addresses(wired)}


def list_addresses(wired: WiredFlow | None) -> Iterable[str]:
    if wired is None:
        return ()
    names = (wired.id, wired.flow.api.endpoint_name)
    return [name.lower() for name in names if name is not None]


def build_registry(files: Mapping[str, FlowFile]) -> FlowRegistry:
    """What callers see of the files, after `settle` has decided what each of them serves."""
    alone = [file.serving for file in files.values() if file.serving]
    called = list_by_address(alone)
    linked = sorted((link_flow(wired, called) for wired in alone), key=lambda wired: (wired.name.casefold(), wired.id))
    doubts = {wired.flow.file: find_doubts(wired, called) for wired in linked if wired.runs}
    wrong = {name: [doubt for doubt in found if not doubt.is_warning] for name, found in doubts.items()}
    errors = {name: FlowError(mistakes) for name, mistakes in wrong.items() if mistakes}
    serving = [wired for wired in linked if wired.flow.file not in errors]
    doubts = {name: found for name, found in doubts.items() if name not in errors}
    warnings = {name: (*file.warnings, *doubts.get(name, ())) for name, file in sorted(files.items())}
    errors |= {name: file.error for name, file in files.items() if file.error}
    return FlowRegistry(
        flows=MappingProxyType({wired.id: wired for wired in serving}),
        addresses=list_by_address(serving),
        problems=MappingProxyType(dict(sorted(errors.items()))),
        stale={file.serving.id: file.error for file in files.values() if file.serving and file.error},
        warnings=MappingProxyType({name: said for name, said in warnings.items() if said}),
    )


class Catalogue:
    """All flows of one folder, safe for threads. Opening it reads the folder once.

    `servers` are the MCP servers and `names` the other names of config.yaml that flows may use; None: not checked.
    """

    def __init__(self, folder: Path, *, servers: Servers | None = None, names: ConfigNames | None = None) -> None:
        self.folder, self.servers, self._names = folder, servers, names
        self._files: dict[str, FlowFile] = {}
        """As the last check found them."""
        self._registry = FlowRegistry()
        self._lock = threading.Lock()
        self._looked = 0.0
        self._failures = 0
        self._is_open = self._is_logging = False
        self._look()
        self._is_open = True

    def list_flows(self) -> Mapping[str, WiredFlow]:
        """Id -> flow, sorted by name."""
        return self._find_registry().flows

    def find(self, address: str) -> WiredFlow | None:
        """The flow with this id or endpoint name; the letters of a UUID may be of either case."""
        addresses = self._find_registry().addresses
        return addresses.get(address) or (addresses.get(address.lower()) if is_uuid(address) else None)

    def list_problems(self) -> Mapping[str, FlowError]:
        """File name -> its mistakes, including files whose last good version still serves."""
        return self._find_registry().problems

    def list_warnings(self) -> Mapping[str, Sequence[Problem]]:
        """File name -> what its author should change, for files that serve."""
        return self._find_registry().warnings

    def find_stale(self, flow_id: str) -> FlowError | None:
        """The mistakes of this flow's file while its last good version serves."""
        return self._find_registry().stale.get(flow_id)

    def find_broken_file(self, address: str) -> tuple[str, FlowError] | None:
        """The broken file whose name would give its flow this address, and its mistakes; None where there is none."""
        problems = self._find_registry().problems
        return next(((file, problems[file]) for ending in ENDINGS if (file := f"{address}{ending}") in problems), None)

    async def read_text(self, file: str) -> str | None:
        """The present text of a file in the folder, up to the size limit of a file, with "�" for bytes that are not
        UTF-8; None where it cannot be read.
        """
        if file not in self._files:
            return None

        def read() -> str | None:
            with suppress(OSError), (self.folder / file).open("rb") as opened:
                return opened.read(MOST_BYTES).decode("utf-8", "replace").removeprefix("\ufeff")
            return None

        return await asyncio.to_thread(read)

    async def read_bytes(self, file: str) -> bytes:
        """The bytes of a file in the folder. Raises OSError, and FlowError for a file over the limit."""
        return await asyncio.to_thread(_read_content, self.folder / file)

    async def read_draft(
        self, file: str, data: bytes, *, names_secrets: bool
    ) -> tuple[WiredFlow | None, Sequence[Problem]]:
        """The flow that this file would be with other content, among the other files as they are, and its warnings; or
        None and its mistakes. Nothing is kept.

        Without `names_secrets`, content that names an environment variable which the serving flow does not name is
        refused, whether or not that variable exists.
        """
        return await asyncio.to_thread(self._read_draft, file, data, names_secrets=names_secrets)

    def _read_draft(self, name: str, data: bytes, *, names_secrets: bool) -> tuple[WiredFlow | None, Sequence[Problem]]:
        with self._lock:
            files = {other: replace(file) for other, file in self._files.items()}
            serving = [wired.flow for wired in self._registry.flows.values() if wired.flow.file == name]
        known = {secret for flow in serving for secret in list_secrets(flow)}
        with suppress(OSError, FlowError):  # a broken file serves nothing: the secrets in its text count as known
            known |= find_secrets(name, _read_content(self.folder / name))
        if not names_secrets and (added := find_secrets(name, data) - known):
            says = f"`${{env:{min(added)}}}` is not in the file that serves: add it where the files are kept."
            return None, [Problem(name, 1, 1, says)]
        file = files.setdefault(name, FlowFile((0, 0, 0)))
        self._take(file, name, data)
        settle(files)
        built = build_registry(files)
        if error := built.problems.get(name):
            return None, error.problems
        return next(wired for wired in built.flows.values() if wired.flow.file == name), built.warnings.get(name, ())

    def log_problems(self) -> None:
        """Logs each file without a good version, and each with warnings, once, from now on; called by servers."""
        self._is_logging = True
        self._log_new()

    async def refresh(self) -> None:
        """Checks the folder in a thread if a check is due; called on the event loop before flows are looked up."""
        if self._is_due():
            look = self._look_in_thread(asyncio.get_running_loop())
            await asyncio.wait([look], timeout=_LOOK_WAIT)

    async def read_now(self) -> None:
        """Checks the folder in a thread, whenever the last check was: files written before are read afterwards."""
        await asyncio.to_thread(self._look_alone, waits=True)

    def _find_registry(self) -> FlowRegistry:
        """The current registry; callers who come during a check get the result of the one before."""
        if self._is_due():
            try:
                self._look_in_thread(asyncio.get_running_loop())
            except RuntimeError:  # a thread without an event loop may read files itself
                self._look_alone()
        return self._registry

    def _is_due(self) -> bool:
        return time.monotonic() - self._looked >= _LOOK_EVERY

    def _look_in_thread(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        self._looked = time.monotonic()  # so that nobody starts a second check meanwhile
        return loop.run_in_executor(None, self._look_alone)

    def _look_alone(self, *, waits: bool = False) -> None:
        if self._lock.acquire(blocking=waits):
            try:
                self._look()
            finally:
                self._lock.release()

    def _look(self) -> None:
        try:
            is_changed = self._read_folder()
        except OSError as error:
            self._fail(error)
        else:
            if self._failures:
                self._failures, is_changed = 0, True
                _log.warning("The folder of flows can be read again.")
            if is_changed:
                settle(self._files)
                self._registry = build_registry(self._files)
                self._log_new()
        self._looked = time.monotonic()

    def _read_folder(self) -> bool:
        """Reads new and changed files; True if anything changed. Raises OSError where the folder cannot be listed."""
        found = _list_files(self.folder)
        gone = self._find_gone(found)
        for name in gone:
            del self._files[name]
        files = ((name, now, self._files.get(name)) for name, now in found.items())
        changed = [name for name, now, file in files if file is None or file.is_fresh or file.signature != now]
        for name in changed:
            self._read(name, found[name])
        return bool(gone or changed)

    def _find_gone(self, found: Mapping[str, _Signature]) -> list[str]:
        """Names of files that two checks in a row did not find: an editor that saves may remove a file for a moment.

        A listing may also lack a file that is just being replaced, so its path is looked up as well.
        """
        gone = []
        for name, file in self._files.items():
            is_missed = name not in found and not os.path.lexists(self.folder / name)
            if is_missed and file.is_missed:
                gone.append(name)
            file.is_missed = is_missed
        return gone

    def _read(self, name: str, signature: _Signature) -> None:
        path, file, digest = self.folder / name, self._files.get(name) or FlowFile(signature), ""
        try:
            data = _read_content(path)
            digest = hashlib.sha256(data).hexdigest()
            if digest != file.digest:
                self._take(file, name, data)
        except FlowError as error:
            file.good, file.broken = None, error
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not path.is_symlink():
                return  # deleted or replaced since the listing: the next check decides
            message = f"The file cannot be read: {error.strerror}."
            file.good, file.broken = None, FlowError([Problem(name, 1, 1, message)])
        file.digest, file.signature, file.is_fresh = digest, signature, time.time_ns() - signature[0] < _FRESH_NS
        self._files[name] = file

    def _take(self, file: FlowFile, name: str, data: bytes) -> None:
        """Sets what `file`, of this name, is with this content: a good flow or a broken file."""
        try:
            wired = wire(parse_flow(data, name), servers=self.servers)
            file.good, file.broken = add_warnings(wired, self._names), None
        except FlowError as error:
            file.good, file.broken = None, error

    def _fail(self, error: OSError) -> None:
        """Keeps serving what was read last, unless two checks in a row did not find the folder.

        One check may fail while the folder is being replaced, or while no file descriptor is left.
        """
        message = f"The folder of flows cannot be read: {error.strerror}."
        is_first, self._failures = not self._failures, self._failures + 1
        if is_first and self._is_open:
            _log.warning("%s What was read last goes on serving.", message)
        if isinstance(error, FileNotFoundError) and not is_first:
            self._files.clear()
        if not is_first or not self._is_open:
            name, registry = self.folder.name, build_registry(self._files)
            problems = {name: FlowError([Problem(name, 1, 1, message)]), **registry.problems}
            self._registry = replace(registry, problems=problems)

    def _log_new(self) -> None:
        for name, file in self._files.items() if self._is_logging else ():
            if file.error is not None and not file.is_logged:
                file.is_logged = True
                until = " What it was before answers until the next start." if file.serving else ""
                _log.warning("A flow file cannot be used: %s%s", _summarize(file.error.problems, "more mistake"), until)
            if (warnings := self._registry.warnings.get(name)) and not file.is_warned:
                file.is_warned = True
                _log.warning("A flow file works, and should be changed: %s", _summarize(warnings, "more warning"))


@dataclass(slots=True)
class FlowDraft:
    """A changed flow file in memory: `content` is its text, `before` the digest of the file when the change began."""

    wired: WiredFlow
    content: bytes
    before: str
    used: float = field(default_factory=time.monotonic)


class Drafts:
    """Drafts by owner and flow, in the memory of this process."""

    def __init__(self) -> None:
        self._drafts: dict[tuple[str, str], FlowDraft] = {}

    def put(self, owner: str, draft: FlowDraft) -> None:
        self.drop(owner, draft.wired.id)
        self._drafts[owner, draft.wired.id] = draft
        while len(self._drafts) > _MOST:
            del self._drafts[next(iter(self._drafts))]

    def find(self, owner: str, flow_id: str) -> FlowDraft | None:
        draft = self._drafts.get((owner, flow_id))
        return draft if draft and time.monotonic() - draft.used <= _SECONDS else None

    def drop(self, owner: str, flow_id: str) -> None:
        self._drafts.pop((owner, flow_id), None)


def _list_files(folder: Path) -> dict[str, _Signature]:
    with os.scandir(folder) as entries:
        files = sorted(
            (entry for entry in entries if entry.name.endswith(ENDINGS) and not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )
        return {entry.name: signature for entry in files if (signature := _sign(entry))}


def _sign(entry: "os.DirEntry[str]") -> _Signature | None:
    try:
        if not entry.is_file():
            return (0, 0, 0) if entry.is_symlink() and not entry.is_dir() else None  # reading a broken link fails
        stat = entry.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read_content(path: Path) -> bytes:
    """The file's bytes. Raises OSError, and FlowError before a file over the limit is read."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise FlowError([describe_size(path.name, size)])
        return file.read(MOST_BYTES + 1)


def _find_conflict(wired: WiredFlow, taken: Mapping[str, str]) -> FlowError | None:
    flow = wired.flow
    claims = (("id", flow.id), ("api.endpoint_name", flow.api.endpoint_name))
    problems = []
    for key, address in claims:
        if address is not None and (other := taken.get(address.lower())):
            place = flow.places[key].value
            message = f"{address!r} is the address of two flows: {other} has it, so {flow.file} needs another one."
            problems.append(Problem(flow.file, place.line, place.column, message, address))
    return FlowError(problems) if problems else None


def _summarize(problems: Sequence[Problem], more: str) -> str:
    first, *others = problems
    return f"{first} ({count(len(others), more)})" if others else str(first)
