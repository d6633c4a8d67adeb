"""One guarded HTTP client, for tools of flows that call other servers, and for web pages that knowledge reads.

A host is called only where both the component and config.yaml allow it. Its name is resolved once, by the connection
itself, which connects to a checked address only: never to one of a private network, unless config.yaml names that.
Redirects to other hosts are not followed, cookies are not kept, size and time are bounded.
"""

import asyncio
import html
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import httpcore2
import httpx2

from flowground.core.errors import RunError
from flowground.knowledge.extraction import ENDINGS, find_encoding
from flowground.knowledge.sources import Page, PageSources
from flowground.providers.connection import BROKEN, AsyncioBackend, SocketAddress
from flowground.providers.egress import convert_url, find_certificate_error, read_proxy
from flowground.tools.settings import Hosts, IPNetwork, OutgoingSettings, choose_addresses

_AT_ONCE = 64
"""Connections of all tools of a process; further calls wait."""
_KEPT = 16
_KEPT_SECONDS = 15
_MOST_REDIRECTS = 5
_MOST_BYTES = 3_000_000
"""The most bytes of an answer."""
REFRESH_SECONDS = 3_600.0
"""Seconds for which a page is not fetched again, to spare its server."""
_LONGEST_URL = 8_000
_LONGEST_TYPE = 500
_LONGEST_MARK = 300
_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE | re.ASCII)
_SHOWN = 200
_REDIRECTS = (301, 302, 303, 307, 308)
_TITLE = re.compile(rb"<title[^>]{0,200}>([^<]{1,500})</title>", re.IGNORECASE)
_DOCUMENTS = {
    "text/html": ".html", "application/xhtml+xml": ".html", "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}  # fmt: skip
_TEXTS = {"text/csv": ".csv", "application/json": ".json", "text/markdown": ".md", "text/x-markdown": ".md"}
_UNSAID = ("", "text/plain", "application/octet-stream", "binary/octet-stream")
"""Media types that servers send for files of unknown type: the URL's ending tells more."""


class GuardedBackend(AsyncioBackend):
    """Connects to allowed addresses only: public ones, and those in `private`; None allows every address."""

    def __init__(self, private: Sequence[IPNetwork] | None) -> None:
        self._private = private

    async def resolve(self, host: str, port: int) -> list[SocketAddress]:
        """The allowed addresses of the host."""
        found = await super().resolve(host, port)
        if self._private is None:
            return found
        may = set(choose_addresses((address[-1][0] for address in found), self._private))
        return [address for address in found if address[-1][0] in may]


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A call of a tool. `hosts` are those that the component's author allows; `seconds` and config.yaml both limit the
    time.

    Only `headers` may contain secrets. `follows`: redirects to the same host are followed, for GET and HEAD.
    """

    method: str
    url: str
    hosts: Hosts
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)
    follows: bool = False
    seconds: float = 600
    is_trusted: bool = False
    """Whether the operator names the server in config.yaml: its address may then be private."""


@dataclass(frozen=True, slots=True)
class OutgoingAnswer:
    """An answer. `url` is the one that answered, after redirects; `media_type` is in small letters, without
    parameters; `charset` is an encoding that texts may have; `etag` and `last_modified` are empty where they cannot
    be sent back."""

    url: str
    status: int
    media_type: str
    charset: str
    location: str | None
    data: bytes
    etag: str = ""
    last_modified: str = ""

    @property
    def text(self) -> str:
        """The body as text; bytes that do not fit the charset are replaced."""
        return self.data.decode(self.charset, "replace")


class Outgoing:
    """The client, on one event loop; opens nothing before the first call."""

    def __init__(self, settings: OutgoingSettings) -> None:
        self._settings = settings
        self._ssl: ssl.SSLContext | None = None
        self._pools: dict[tuple[str | None, bool], httpcore2.AsyncConnectionPool] = {}

    async def ask(self, call: OutgoingCall) -> OutgoingAnswer:
        """The whole answer, whatever its status. Raises RunError with a sentence that has no header and no address in
        it."""
        seconds = min(call.seconds, self._settings.seconds)
        url = read_url(call.url)
        try:
            async with asyncio.timeout(seconds):
                for _ in range(_MOST_REDIRECTS + 1):
                    answer = await self._ask_once(call, url)
                    if not (call.follows and answer.location and answer.status in _REDIRECTS):
                        return answer
                    url = _follow(url, answer.location)
        except TimeoutError:
            raise RunError(f"`{url.host}` did not answer within {seconds:g} seconds.") from None
        raise RunError(f"`{url.host}` redirects more than {_MOST_REDIRECTS} times.")

    async def close(self) -> None:
        """Closes the connections."""
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.aclose()

    async def _ask_once(self, call: OutgoingCall, url: httpx2.URL) -> OutgoingAnswer:
        proxy = self._settings.egress.find_proxy(url)
        if not call.is_trusted:
            self._check_host(call, url, has_proxy=proxy is not None)
        headers = {"User-Agent": "flowground", "Accept": "*/*", **call.headers, "Accept-Encoding": "identity"}
        built = httpx2.Request(call.method, url, headers=headers, content=call.content)
        request = httpcore2.Request(
            call.method.encode(),
            convert_url(url),
            headers=built.headers.raw,
            content=call.content,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._settings.seconds)},
        )
        try:
            response = await self._find_pool(proxy, is_trusted=call.is_trusted).handle_async_request(request)
            async with aclosing(response):
                return await self._read(response, url)
        except httpcore2.TimeoutException:
            raise TimeoutError from None
        except BROKEN as error:
            raise RunError(_explain(error, url.host)) from None

    def _check_host(self, call: OutgoingCall, url: httpx2.URL, *, has_proxy: bool) -> None:
        host, port = _find_place(url)
        if not call.hosts.allow(host, port):
            raise RunError(f"`{_name(url)}` is not among the hosts that may be asked here: {call.hosts}.")
        if has_proxy and not self._settings.hosts:
            # The proxy resolves the name, so the address cannot be checked here.
            raise RunError("Through a proxy only hosts are asked that `outgoing.hosts` of config.yaml names.")
        if not self._settings.allows(host, port):
            raise RunError(f"`{_name(url)}` is no host that `outgoing.hosts` of config.yaml allows.")

    async def _read(self, response: httpcore2.Response, url: httpx2.URL) -> OutgoingAnswer:
        headers = httpx2.Headers(response.headers)
        if headers.get("content-encoding", "identity") != "identity":
            raise RunError(f"`{url.host}` answers compressed, although it was asked not to.")
        data = bytearray()
        stream: Any = response.stream
        async with aclosing(aiter(stream)) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise RunError(f"`{url.host}` has an answer of more than {_MOST_BYTES:,} bytes.")
        media_type, charset = _read_type(headers.get("content-type", ""))
        marks = (_read_mark(headers, name) for name in ("etag", "last-modified"))
        location = headers.get("location")
        return OutgoingAnswer(str(url), response.status, media_type, charset, location, bytes(data), *marks)

    def _find_pool(self, proxy: str | None, *, is_trusted: bool) -> httpcore2.AsyncConnectionPool:
        """The pool for a proxy and a level of trust: connections of different levels are never shared."""
        self._ssl = self._ssl or self._settings.egress.make_ssl()
        if (proxy, is_trusted) not in self._pools:
            is_guarded = not (proxy or is_trusted)
            self._pools[proxy, is_trusted] = httpcore2.AsyncConnectionPool(
                self._ssl,
                read_proxy(proxy, self._ssl) if proxy else None,
                max_connections=_AT_ONCE,
                max_keepalive_connections=_KEPT,
                keepalive_expiry=_KEPT_SECONDS,
                network_backend=GuardedBackend(self._settings.networks if is_guarded else None),
            )
        return self._pools[proxy, is_trusted]


def read_url(text: str) -> httpx2.URL:
    """A URL with http or https. Raises RunError for other text, and for text that two programs could read
    differently."""
    text = text.strip()
    try:
        url = httpx2.URL(text)
        is_plain = text.isprintable() and "\\" not in text and len(text) <= _LONGEST_URL
        if is_plain and url.scheme in ("http", "https") and url.host and not url.userinfo:
            return url.copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError):
        pass
    raise RunError(f"This is no address of http or https: {text[:_SHOWN]}")


def find_title(answer: OutgoingAnswer) -> str:
    """The title of an HTML page, on one line; "" where there is none."""
    found = _TITLE.search(answer.data[:100_000]) if answer.media_type.endswith("html") else None
    return " ".join(html.unescape(found[1].decode(answer.charset, "replace")).split()) if found else ""


def find_document(answer: OutgoingAnswer) -> str | None:
    """The file ending of the answer's kind, unless that is plain text; an answer without a type is HTML."""
    return _DOCUMENTS.get(answer.media_type or "text/html")


class WebPages(Outgoing):
    """Fetches pages that flow files and config.yaml name, on one event loop. Opens nothing before the first."""

    def list_sources(self, urls: tuple[str, ...]) -> PageSources | None:
        """These URLs as sources, fetched by `fetch`; None where there are none."""
        return PageSources(urls, self.fetch, REFRESH_SECONDS) if urls else None

    async def fetch(self, url: str, *, etag: str, last_modified: str) -> Page:
        """Fetches one page, from the URL's own host only, where `outgoing` allows it; a `FetchPage`. Raises
        RunError."""
        asked = read_url(url)
        host, port = _find_place(asked)
        hosts = Hosts((f"[{host}]:{port}" if ":" in host else f"{host}:{port}",))
        before = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in before.items() if value}
        answer = await self.ask(OutgoingCall("GET", url, hosts, headers, follows=True))
        if answer.status == 304 and headers:
            return Page(None)
        if answer.status != 200:
            raise RunError(f"`{asked.host}` answered with status {answer.status}.")
        ending = _find_ending(answer)
        data = answer.data if ending in _DOCUMENTS.values() else answer.text.encode()
        return Page(data, ending, find_title(answer), answer.etag, answer.last_modified)


def _read_type(content_type: str) -> tuple[str, str]:
    """Media type and encoding of a `Content-Type` header; an overlong header is cut first."""
    content_type = content_type[:_LONGEST_TYPE]
    found = _CHARSET.search(content_type)
    return content_type.partition(";")[0].strip().lower(), (found and find_encoding(found[1])) or "utf-8"


def _read_mark(headers: httpx2.Headers, name: str) -> str:
    mark: str = headers.get(name, "").strip()
    return mark if mark.isascii() and mark.isprintable() and len(mark) <= _LONGEST_MARK else ""


def _follow(url: httpx2.URL, location: str) -> httpx2.URL:
    """The target of a redirect. Raises RunError for another host; from http to https is the same host."""
    try:
        there = url.join(location)
    except (httpx2.InvalidURL, ValueError):
        raise RunError(f"`{url.host}` redirects to what is no address.") from None
    is_secured = (url.scheme, there.scheme) == ("http", "https") and url.port is None and there.port is None
    if (
        there.host != url.host
        or there.userinfo
        or not (is_secured or (there.scheme, there.port) == (url.scheme, url.port))
    ):
        shown = str(there.copy_with(userinfo=b"", fragment=None))[:_SHOWN]
        raise RunError(f"`{url.host}` redirects to another host, which is not followed: {shown}")
    return there.copy_with(fragment=None)


def _find_place(url: httpx2.URL) -> tuple[str, int]:
    """The host in small letters, and the port."""
    return url.raw_host.decode("ascii").lower(), url.port or (443 if url.scheme == "https" else 80)


def _name(url: httpx2.URL) -> str:
    return url.host[:_SHOWN] + (f":{url.port}" if url.port else "")


def _explain(error: BaseException, host: str) -> str:
    """What went wrong with a call, in a sentence that does not reveal the host's address."""
    if why := find_certificate_error(error):
        return f"The certificate of `{host}` is not trusted: {why.verify_message}."
    if isinstance(error, httpcore2.ConnectError | httpcore2.ProxyError):
        own = "(`outgoing.private_networks` names those of your own)"
        return f"`{host}` cannot be reached, or has no address that may be asked {own}."
    return f"The connection to `{host}` broke."


def _find_ending(answer: OutgoingAnswer) -> str:
    """The file ending of the answer's kind. Raises RunError for a kind without text."""
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
