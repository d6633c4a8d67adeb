"""Connections of tools: a name is resolved once, here, and the connection goes to an address that was looked at."""

from collections.abc import Sequence

from flowground.outgoing.hosts import IPNetwork, choose_addresses
from flowground.providers.connection import AsyncioBackend, SocketAddress


class GuardedBackend(AsyncioBackend):
    """`private` are networks that may be reached although they are not public; None: every address may."""

    def __init__(self, private: Sequence[IPNetwork] | None) -> None:
        self._private = private

    async def resolve(self, host: str, port: int) -> list[SocketAddress]:
        """Those addresses of the host that may be asked."""
        found = await super().resolve(host, port)
        if self._private is None:
            return found
        may = set(choose_addresses((address[-1][0] for address in found), self._private))
        return [address for address in found if address[-1][0] in may]
