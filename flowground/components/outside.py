"""What a run may reach beyond its models: as much as the operator configured. Components open nothing themselves."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flowground.databases import SqlParts
from flowground.errors import RunError
from flowground.extraction import Extracted
from flowground.functions import OwnFunction
from flowground.mcp_servers import ServerTool
from flowground.outgoing import OutgoingAnswer, OutgoingCall
from flowground.values import FileReference, Record


@dataclass(frozen=True, slots=True)
class LookedUp:
    """`note` is a sentence about what is likely a mistake where nothing was found; "" for none."""

    records: Sequence[Record]
    note: str = ""


class LookUp(Protocol):
    """Finds passages of the files that a knowledge names; components know no index."""

    async def __call__(
        self, knowledge: str, question: str, *, top_k: int, threshold: float, filters: Mapping[str, Any]
    ) -> LookedUp:
        """The best passages with at least that score, as records with `number`, `text`, `source`, `start`, `end` and
        `score`. Raises RunError."""


async def look_nowhere(
    knowledge: str,
    question: str,  # noqa: ARG001 - the contract's
    *,
    top_k: int,  # noqa: ARG001 - the contract's
    threshold: float,  # noqa: ARG001 - the contract's
    filters: Mapping[str, Any],  # noqa: ARG001 - the contract's
) -> LookedUp:
    """What a run without knowledge has. Raises RunError."""
    raise RunError(f"There is no knowledge {knowledge!r} here.")


LookUps = Callable[[str], LookUp]
"""What the flow of an id finds passages by."""


def find_nothing(_: str) -> LookUp:
    """For runs without knowledge."""
    return look_nowhere


Ask = Callable[[OutgoingCall], Awaitable[OutgoingAnswer]]
"""Asks another server. Raises RunError."""


async def ask_nobody(call: OutgoingCall) -> OutgoingAnswer:  # noqa: ARG001 - the contract's
    """What a run without an outside has. Raises RunError."""
    raise RunError("No other server can be asked here.")


Extract = Callable[[bytes, str], Awaitable[Extracted]]
"""The text of a file that came from elsewhere, by its bytes and a name with its ending. Raises FileUnreadable."""


async def extract_nothing(file: bytes, name: str) -> Extracted:  # noqa: ARG001 - the contract's
    """What a run without an outside has. Raises RunError."""
    raise RunError("No file can be read here.")


ReadFile = Callable[[FileReference | str], Awaitable[Extracted]]
"""The text of a file that was sent, or of the author's by its path below the flows folder. Raises RunError."""


async def read_nothing(file: FileReference | str) -> Extracted:
    """What a run without an outside has. Raises RunError."""
    raise RunError(f"{file if isinstance(file, str) else file.name} cannot be read here.")


Search = Callable[[str, int], Awaitable[Sequence[Record]]]
"""Pages of the web that a question is about, at most so many. Raises RunError."""
AskDatabase = Callable[[str, SqlParts], Awaitable[Sequence[Record]]]
"""The rows that the database of this name gives for a query. Raises RunError."""


FindFunction = Callable[[str], OwnFunction]
"""The operator's function of this name. Raises RunError."""


def find_no_function(name: str) -> OwnFunction:
    """What a run without an outside has. Raises RunError."""
    raise RunError(f"There is no function `{name}` here.")


async def search_nowhere(query: str, count: int) -> Sequence[Record]:  # noqa: ARG001 - the contract's
    """What a run without an outside has. Raises RunError."""
    raise RunError("The web cannot be searched here.")


async def ask_no_database(name: str, parts: SqlParts) -> Sequence[Record]:  # noqa: ARG001 - the contract's
    """What a run without an outside has. Raises RunError."""
    raise RunError(f"There is no database `{name}` here.")


class SentFileReader(Protocol):
    """Reads files that were sent with a message; components know no folder."""

    async def read(self, file: FileReference) -> bytes:
        """All of it. Raises RunError where it is gone."""

    async def extract(self, file: FileReference) -> str:
        """Its text. Raises RunError where it is gone or has none."""


class NoSentFiles:
    """What a run without stored files has."""

    async def read(self, file: FileReference) -> bytes:
        """Raises RunError."""
        raise RunError(f"The file {file.name} cannot be read here.")

    async def extract(self, file: FileReference) -> str:
        """Raises RunError."""
        raise RunError(f"The file {file.name} cannot be read here.")


NO_FILES = NoSentFiles()


class ToolServers(Protocol):
    """MCP servers by the names that config.yaml gives them."""

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        """Raises RunError where the server cannot be reached, or has no such tool that can be used."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """What the tool says; `arguments` are sent as they are. Raises RunError."""


class NoServers:
    """What a run without MCP servers has."""

    async def find_tool(self, server: str, tool: str) -> ServerTool:  # noqa: ARG002 - the contract's
        """Raises RunError."""
        raise RunError(f"There is no MCP server `{server}` here.")

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG002 - as above
        """Raises RunError."""
        raise RunError(f"There is no MCP server `{server}` here.")


NO_SERVERS = NoServers()


@dataclass(frozen=True, slots=True)
class Outside:
    """`look_ups` finds passages for the flow of an id; `ask` sends a request, guarded as `flowground.outgoing` says;
    `extract` and `read_file` read files, in processes of their own; `search`, `ask_database`, `find_function` and
    `servers` reach what config.yaml names; `sent_files` reads those of the message."""

    look_ups: LookUps = find_nothing
    ask: Ask = ask_nobody
    extract: Extract = extract_nothing
    search: Search = search_nowhere
    ask_database: AskDatabase = ask_no_database
    find_function: FindFunction = find_no_function
    sent_files: SentFileReader = NO_FILES
    read_file: ReadFile = read_nothing
    servers: ToolServers = NO_SERVERS


NO_OUTSIDE = Outside()
"""For runs that reach nothing."""
