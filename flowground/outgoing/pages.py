"""Pages of the web: what kind of file one is, its title, and whether it changed since it was read."""

import html
import re
from pathlib import PurePosixPath

from flowground.errors import RunError
from flowground.extraction import ENDINGS
from flowground.knowledge import Page, PageSources
from flowground.outgoing import Hosts, Outgoing, OutgoingAnswer, OutgoingCall, OutgoingSettings, read_url

REFRESH_SECONDS = 3_600.0
"""For so long a page is not asked again; its server pays for each."""
_TITLE = re.compile(rb"<title[^>]{0,200}>([^<]{1,500})</title>", re.IGNORECASE)
_DOCUMENTS = {
    "text/html": ".html", "application/xhtml+xml": ".html", "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}  # fmt: skip
_TEXTS = {"text/csv": ".csv", "application/json": ".json", "text/markdown": ".md", "text/x-markdown": ".md"}
_UNSAID = ("", "text/plain", "application/octet-stream", "binary/octet-stream")
"""Types by which servers send what they know no other of: the address says more."""


def find_title(answer: OutgoingAnswer) -> str:
    """That of a page of HTML, on one line; of anything else, and of one without, nothing."""
    found = _TITLE.search(answer.data[:100_000]) if answer.media_type.endswith("html") else None
    return " ".join(html.unescape(found[1].decode(answer.charset, "replace")).split()) if found else ""


def find_document(answer: OutgoingAnswer) -> str | None:
    """The ending of files of its kind, where that is none of plain text; a page of no type is HTML."""
    return _DOCUMENTS.get(answer.media_type or "text/html")


class WebPages:
    """Asks for pages that files and config.yaml name by their addresses, on one event loop. It opens nothing before the
    first."""

    def __init__(self, settings: OutgoingSettings) -> None:
        self._outgoing = Outgoing(settings)

    def list_sources(self, urls: tuple[str, ...]) -> PageSources | None:
        """These addresses, to be asked by `fetch`; None where there are none."""
        return PageSources(urls, self.fetch, REFRESH_SECONDS) if urls else None

    async def fetch(self, url: str, *, etag: str, last_modified: str) -> Page:
        """As `FetchPage` says: from the address's own host alone, where `outgoing` allows it. Raises RunError."""
        asked = read_url(url)
        host = asked.raw_host.decode("ascii").lower()
        port = asked.port or (443 if asked.scheme == "https" else 80)
        hosts = Hosts((f"[{host}]:{port}" if ":" in host else f"{host}:{port}",))
        before = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in before.items() if value}
        answer = await self._outgoing.ask(OutgoingCall("GET", url, hosts, headers, follows=True))
        if answer.status == 304 and headers:
            return Page(None)
        if answer.status != 200:
            raise RunError(f"`{asked.host}` answered with status {answer.status}.")
        ending = _find_ending(answer)
        data = answer.data if ending in _DOCUMENTS.values() else answer.text.encode()
        return Page(data, ending, find_title(answer), answer.etag, answer.last_modified)

    async def close(self) -> None:
        """Closes the connections."""
        await self._outgoing.close()


def _find_ending(answer: OutgoingAnswer) -> str:
    """That of files of its kind. Raises RunError for what has no text."""
    if answer.media_type in _UNSAID:
        named = PurePosixPath(read_url(answer.url).path).suffix.lower()
        if named in ENDINGS:
            return named
    ending = find_document(answer) or _TEXTS.get(answer.media_type)
    if ending is None and answer.media_type.startswith("text/"):
        ending = ".txt"
    if ending is None and answer.media_type.endswith(("+json", "/json")):
        ending = ".json"
    if ending is None:
        raise RunError(f"It is {answer.media_type[:100]}, which has no text.")
    return ending
