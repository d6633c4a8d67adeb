"""What the folder of flow files holds: which files came, changed or went since the look before, and what is in them."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flowground.errors import FlowError, Problem
from flowground.flow import Flow
from flowground.flow.parse import ENV, MOST_BYTES, describe_size, parse_flow
from flowground.loader.unmeant import ConfigNames, add_warnings
from flowground.wiring import Servers, WiredFlow, wire

ENDINGS = (".yaml", ".yml")

_FRESH_NS = 2_000_000_000
"""A file that was written twice within this time may have the signature of the first writing: clocks are coarse."""

_Signature = tuple[int, int, int]
"""Time of change in ns, size and inode: what differs when a file was written or replaced."""


@dataclass(slots=True)
class FlowFile:
    """One file: `good` is its content where that is a flow, `serving` what callers get (this or an earlier version).

    `is_missed` says that the last look did not find it; `is_fresh` that it was written so shortly before it was read
    that a second writing may have left the same signature; `is_logged` that the log names its first mistake;
    `is_warned` that it names its first warning.
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
        """Why the file as it is now does not serve; None where it does."""
        return self.broken or self.conflict

    @property
    def warnings(self) -> Sequence[Problem]:
        """Those of its content, where that serves; beside mistakes they would only be in the way."""
        return self.good.flow.warnings if self.good is not None and self.good is self.serving else ()


class FlowFolder:
    """The files by name, as the last look found them."""

    def __init__(self, path: Path, *, servers: Servers | None = None, names: ConfigNames | None = None) -> None:
        self.path = path
        self.files: dict[str, FlowFile] = {}
        self._servers, self._names = servers, names

    def look(self) -> bool:
        """Reads what is new; whether anything changed. Raises OSError where the folder cannot be listed."""
        found = _list_files(self.path)
        gone = self._find_gone(found)
        for name in gone:
            del self.files[name]
        changed = [name for name, now in found.items() if self._is_new(name, now)]
        for name in changed:
            self._read(name, found[name])
        return bool(gone or changed)

    def read_text(self, name: str) -> str | None:
        """What stands in one of these files now, as far as a file may be long; None where it cannot be read."""
        if name not in self.files:
            return None
        try:
            with (self.path / name).open("rb") as file:
                return file.read(MOST_BYTES).decode("utf-8", "replace").removeprefix("\ufeff")
        except OSError:
            return None

    def read_bytes(self, name: str) -> bytes:
        """All of one file. Raises OSError, and FlowError for one over the limit."""
        return _read_content(self.path / name)

    def find_secrets(self, name: str, data: bytes) -> set[str]:
        """The environment variables that a file of this content would name; none where it is no flow."""
        with suppress(FlowError):
            return list_secrets(parse_flow(data, name))
        return set()

    def take(self, file: FlowFile, name: str, data: bytes) -> None:
        """What the file with this name is with this content."""
        try:
            flow = parse_flow(data, name)
            file.good, file.broken = add_warnings(wire(flow, servers=self._servers), self._names), None
        except FlowError as error:
            file.good, file.broken = None, error

    def _find_gone(self, found: Mapping[str, _Signature]) -> list[str]:
        """Files that two looks in a row did not find: while a file is saved it may be away for a moment.

        A listing may also lack a file that is being replaced at this moment; its own path is sure.
        """
        gone = []
        for name, file in self.files.items():
            is_missed = name not in found and not os.path.lexists(self.path / name)
            if is_missed and file.is_missed:
                gone.append(name)
            file.is_missed = is_missed
        return gone

    def _is_new(self, name: str, signature: _Signature) -> bool:
        file = self.files.get(name)
        return file is None or file.is_fresh or file.signature != signature

    def _read(self, name: str, signature: _Signature) -> None:
        path, file, digest = self.path / name, self.files.get(name) or FlowFile(signature), ""
        try:
            data = _read_content(path)
            digest = hashlib.sha256(data).hexdigest()
            if digest != file.digest:
                self.take(file, name, data)
        except FlowError as error:
            file.good, file.broken = None, error
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not path.is_symlink():
                return  # deleted or replaced since it was listed: the next look knows more
            message = f"The file cannot be read: {error.strerror}."
            file.good, file.broken = None, FlowError([Problem(name, 1, 1, message)])
        file.digest, file.signature, file.is_fresh = digest, signature, time.time_ns() - signature[0] < _FRESH_NS
        self.files[name] = file


def list_secrets(flow: Flow) -> set[str]:
    """The environment variables that the flow's fields name."""
    return set(ENV.findall(json.dumps([dict(spec.fields) for spec in flow.components.values()], default=str)))


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
            return (0, 0, 0) if entry.is_symlink() and not entry.is_dir() else None  # a link to nothing is told
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
