"""An MCP server that answers elsewhere, by streamable HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from flowground.mcp_servers.library import streamable_http_client
from flowground.providers.egress import EgressSettings

_LARGEST = 8_000_000
"""Bytes of one answer, or of one event of a stream."""


@asynccontextmanager
async def open_http(
    url: str, headers: Mapping[str, str], egress: EgressSettings, *, connect: float, read: float
) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages of a server. `connect` and `read` are seconds, the latter between two pieces."""
    proxy = egress.find_proxy(httpx2.URL(url))
    verify = egress.make_ssl() if url.startswith("https") or proxy else True
    transport = _BoundedTransport(verify=verify, proxy=proxy, trust_env=False)
    timeout = httpx2.Timeout(connect, read=read)
    async with (
        httpx2.AsyncClient(transport=transport, headers=dict(headers), timeout=timeout, trust_env=False) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=_LARGEST) as streams,
    ):
        yield streams


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - an asynchronous transport's
            response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _LARGEST
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise httpx2.RemoteProtocolError(f"The answer is larger than {_LARGEST:,} bytes.")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
