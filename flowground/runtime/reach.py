"""What runs reach beyond their models, opened once for a process, by its settings."""

from collections.abc import Callable

from flowground.caller import WHOSE
from flowground.components.base import LookUp, Outside
from flowground.components.schemas import find_wrong_schema
from flowground.databases import Databases
from flowground.extraction import Extracted, ExtractionLimits
from flowground.extraction.extractors import Extractors
from flowground.files import Files
from flowground.files.reading import FileReading
from flowground.files.texts import FileTexts
from flowground.functions import Functions
from flowground.mcp_servers import McpServers
from flowground.outgoing import Outgoing
from flowground.outgoing.search import WebSearches
from flowground.settings import Settings

_PAGES = ExtractionLimits(file_bytes=3_200_000, text_chars=500_000, memory_bytes=500_000_000, seconds=20)


class RunReach:
    """Owns the client of tools, databases, MCP servers, functions, and the process that reads pages; nothing runs
    unneeded."""

    def __init__(
        self, settings: Settings, look_ups: Callable[[str], LookUp], files: Files, functions: Functions
    ) -> None:
        self._outgoing = Outgoing(settings.outgoing)
        self._extractor = Extractors(_PAGES)
        self._databases = Databases(settings.databases)
        self._functions = functions
        search = WebSearches(settings.search, self._outgoing).search
        self._reading = FileReading(files)
        self._texts = FileTexts(settings.flows, files.read_file)
        self._servers = McpServers(settings.mcp_servers, settings.outgoing.egress, find_wrong_schema)
        self.outside = Outside(
            look_ups=look_ups,
            ask=self._outgoing.ask,
            extract=self._read_page,
            search=search,
            ask_database=self._databases.ask,
            find_function=self._functions.find,
            sent_files=self._reading,
            read_file=self._texts.read,
            servers=self._servers,
        )

    async def _read_page(self, data: bytes, name: str) -> Extracted:
        return await self._extractor.extract(data, name, whose=WHOSE.get())

    async def close(self) -> None:
        """Closes connections, ends queries and processes."""
        await self._servers.close()
        await self._outgoing.close()
        await self._extractor.close()
        await self._databases.close()
        self._functions.close()
        await self._reading.close()
        await self._texts.aclose()
