"""Which page of a guest gives its place to a newcomer, once all places are taken.

Addresses are counted, and the networks they lie in: an IPv4 network of 24 bits, an IPv6 network of 48 bits, which is
what one customer of a hosting company easily gets.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

_NETWORK = {4: 24, 6: 48}
_LEAST_LIFE = 10
"""Seconds that a page has before it gives way to somebody who has as few; nobody need have used it."""
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
        self._count = 0
        self._pages: dict[str, dict[str, set[P]]] = {}
        """Network -> address -> pages."""
        self._lost: OrderedDict[str, float] = OrderedDict()
        """Address -> when a page there gave way to somebody who had as few."""

    def take(self, page: P) -> None:
        self._pages.setdefault(find_network(page.address), {}).setdefault(page.address, set()).add(page)
        self._count += 1

    def leave(self, page: P) -> None:
        """A second call does nothing."""
        network = find_network(page.address)
        addresses = self._pages.get(network, {})
        pages = addresses.get(page.address, set())
        if page in pages:
            pages.discard(page)
            self._count -= 1
            if not pages:
                del addresses[page.address]
            if not addresses:
                del self._pages[network]

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
        own = self._pages.get(find_network(address), {})
        here = own.get(address, set())
        if len(here) >= self.most_an_address:
            return _choose(page for page in here if now - page.active_at >= self._silent)
        if self._count < self.most:
            return True, None
        if richer := self._find_richer(own, len(here)):
            return _choose(richer)
        return self._find_as_poor(address, now)

    def _find_richer(self, own: dict[str, set[P]], here: int) -> set[P]:
        """Pages of which one may go because their owner has clearly more than the newcomer. The first rule that fits:

        1. The largest network has at least two more pages than the newcomer's `own`: pages of its fullest addresses.
        2. The fullest address of `own` has at least two more than the newcomer's address, which has `here`: its pages.
        3. None.
        """
        largest = max(self._pages.values(), key=_count_pages)
        if largest is not own and _count_pages(own) < _count_pages(largest) - 1:
            return _list_fullest(largest)
        found = _list_fullest(own)
        return found if here < max(map(len, own.values()), default=0) - 1 else set()

    def _find_as_poor(self, address: str, now: float) -> tuple[bool, P | None]:
        lost = self._lost.get(address)
        if lost is not None and now - lost < _RETURN:
            return False, None
        pages = [page for page in self._list_largest() if now - page.opened_at >= _choose_least_life(page)]
        if not pages:
            return False, None
        page = min(pages, key=lambda page: (page.is_in_use, page.opened_at))
        self._lost[page.address] = now
        self._lost.move_to_end(page.address)
        if len(self._lost) > _REMEMBERED:
            self._lost.popitem(last=False)
        return True, page

    def _list_largest(self) -> Iterator[P]:
        """Pages of all networks that have as many as the largest, or one fewer."""
        most = max(map(_count_pages, self._pages.values()))
        for addresses in self._pages.values():
            if _count_pages(addresses) >= most - 1:
                for pages in addresses.values():
                    yield from pages


@lru_cache(maxsize=4_096)
def find_network(address: str) -> str:
    """Of what `name_address` says; itself where that is no address."""
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        return address
    return str(network.supernet(new_prefix=_NETWORK[network.version]))


def _count_pages(addresses: dict[str, set[P]]) -> int:
    return sum(map(len, addresses.values()))


def _list_fullest(addresses: dict[str, set[P]]) -> set[P]:
    """Pages of those addresses that have most."""
    most = max(map(len, addresses.values()), default=0)
    return {page for pages in addresses.values() if len(pages) == most for page in pages}


def _choose_least_life(page: OccupiedSeat) -> float:
    return _LEAST_LIFE_IN_USE if page.is_in_use else _LEAST_LIFE


def _choose(pages: Iterable[P]) -> tuple[bool, P | None]:
    found = min(pages, key=lambda page: (page.is_in_use, page.active_at), default=None)
    return found is not None, found
