"""Which page of a guest gives its place to a newcomer, once all places are taken.

Addresses are counted, and the networks they lie in: an IPv4 network of 24 bits, an IPv6 network of 48 bits, which is
what one customer of a hosting company easily gets.
"""

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

_NETWORK = {4: 24, 6: 48}
_LEAST_LIFE = 10
"""Seconds that a page which nobody used keeps its place against a newcomer whose address has as few pages."""
_LEAST_LIFE_IN_USE = 120
"""The same for a page in which somebody did something."""
_RETURN = 60
"""Seconds in which an address that had to give way may not push out others: its page comes back by itself."""
_REMEMBERED = 4_000
"""Addresses that lost a page."""


class OccupiedSeat(Protocol):
    """A page, as far as it counts here; times are of the loop's clock."""

    address: str
    opened_at: float
    active_at: float
    is_in_use: bool
    """Somebody pressed, chose or wrote something: a browser alone never says that."""


P = TypeVar("P", bound=OccupiedSeat)


class GuestSeats(Generic[P]):
    """On one loop. `most` places in all, `most_an_address` for each; `silent` seconds make a page idle."""

    def __init__(self, *, most: int, most_an_address: int, silent: float) -> None:
        self.most = most
        self.most_an_address = most_an_address
        self._silent = silent
        self._pages: dict[P, None] = {}
        """In the order in which they were opened."""
        self._lost: OrderedDict[str, float] = OrderedDict()
        """Address -> when a page there gave way to somebody who had as few."""

    def take(self, page: P) -> None:
        self._pages[page] = None

    def leave(self, page: P) -> None:
        """A second call does nothing."""
        self._pages.pop(page, None)

    def find_room(self, address: str, now: float) -> tuple[bool, P | None]:
        """Whether one more page may be opened from there, and which one has to go for it. The first rule that fits:

        1. The address has its share: only an idle page of its own goes; without one there is no room.
        2. A place is free: nothing goes.
        3. Another network, or another address of the same network, would still have as many pages as the newcomer after
           giving one (`_find_richer`): one of those goes, the one that was silent longest.
        4. Nobody has so many more: of pages old enough (`_choose_least_life`) in the largest networks the one open
           longest goes. No room without one, or where this address gave way so itself in the last `_RETURN` seconds.

        In each of them pages that nobody used go before those in use.
        """
        here = [page for page in self._pages if page.address == address]
        if len(here) >= self.most_an_address:
            return _choose(page for page in here if now - page.active_at >= self._silent)
        if len(self._pages) < self.most:
            return True, None
        if richer := self._find_richer(address):
            return _choose(richer)
        return self._find_as_poor(address, now)

    def _find_richer(self, address: str) -> list[P]:
        """Pages of which one may go because their owner has clearly more than the newcomer. The first rule that fits:

        1. The largest network has at least two more pages than the newcomer's: pages of its fullest addresses.
        2. The fullest address of the newcomer's network has at least two more than the newcomer's address: its pages.
        3. None.
        """
        networks, own = self._count_by_network(), find_network(address)
        largest = max(networks, key=networks.__getitem__)
        network = largest if networks[own] < networks[largest] - 1 else own
        addresses = Counter(page.address for page in self._pages if find_network(page.address) == network)
        most = max(addresses.values(), default=0)
        if network == own and addresses[address] >= most - 1:
            return []
        return [page for page in self._pages if addresses[page.address] == most]

    def _find_as_poor(self, address: str, now: float) -> tuple[bool, P | None]:
        lost = self._lost.get(address)
        if lost is not None and now - lost < _RETURN:
            return False, None
        networks = self._count_by_network()
        most = max(networks.values())
        largest = [page for page in self._pages if networks[find_network(page.address)] >= most - 1]
        pages = [page for page in largest if now - page.opened_at >= _choose_least_life(page)]
        if not pages:
            return False, None
        page = min(pages, key=lambda page: (page.is_in_use, page.opened_at))
        self._lost[page.address] = now
        self._lost.move_to_end(page.address)
        if len(self._lost) > _REMEMBERED:
            self._lost.popitem(last=False)
        return True, page

    def _count_by_network(self) -> Counter[str]:
        return Counter(find_network(page.address) for page in self._pages)


@lru_cache(maxsize=4_096)
def find_network(address: str) -> str:
    """Of what `name_address` says; itself where that is no address."""
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        return address
    return str(network.supernet(new_prefix=_NETWORK[network.version]))


def _choose_least_life(page: OccupiedSeat) -> float:
    return _LEAST_LIFE_IN_USE if page.is_in_use else _LEAST_LIFE


def _choose(pages: Iterable[P]) -> tuple[bool, P | None]:
    found = min(pages, key=lambda page: (page.is_in_use, page.active_at), default=None)
    return found is not None, found
