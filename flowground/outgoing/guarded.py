"""Connections of tools: a name is resolved once, here, and the connection goes to an address that was looked at."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore2

from flowground.outgoing.hosts import IPNetwork, choose_addresses
from flowground.providers.sockets import AsyncioBackend, SocketAddress, Stream, connect_first


class GuardedBackend(AsyncioBackend):
    """`private` are networks that may be reached although they are not public; None: every address may."""

    def __init__(self, private: Sequence[IPNetwork] | None) -> None:
        self._private = private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's contract
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        """A connection to an address of the host that may be asked. Raises ConnectTimeout and ConnectError."""
        if self._private is None:
            return await super().connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            async with asyncio.timeout(timeout):
                return await connect_first(await self._resolve(host, port))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error

    async def _resolve(self, host: str, port: int) -> list[SocketAddress]:
        loop = asyncio.get_running_loop()
        found: list[SocketAddress] = list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        may = set(choose_addresses((address[-1][0] for address in found), self._private or ()))
        return [address for address in found if address[-1][0] in may]
