"""Who gives way to a newcomer once all places of guests are taken."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from flowground.web.open_pages.seats import GuestSeats, find_network
from tests.house import House
from tests.page_socket import Browser, PageSocket, open_page
from tests.servers import AppServer
from tests.tickets import open_browser


@dataclass(eq=False)
class Page:
    address: str
    opened_at: float
    active_at: float
    is_in_use: bool = False


class Door:
    """Pages that come, and come back by themselves two seconds after they were closed."""

    def __init__(self, most: int) -> None:
        self.seats = GuestSeats[Page](most=most, most_an_address=most, silent=30)
        self.open: dict[str, Page] = {}
        self.evicted = Counter[str]()

    def come(self, address: str, now: float, *, is_in_use: bool = False) -> bool:
        has_room, page = self.seats.find_room(address, now)
        if page is not None:
            self.seats.leave(page)
            self.seats.leave(page)
            del self.open[page.address]
            self.evicted[page.address] += 1
        if has_room:
            self.open[address] = Page(address, now, now, is_in_use)
            self.seats.take(self.open[address])
        return has_room


def networks(count: int) -> list[str]:
    return [f"198.51.{number}.7" for number in range(count)]


HOUSE = House(config={"limits": {"guest_pages": 6}, "trusted_proxies": ["127.0.0.1"]}, flows=["echo"])


@pytest.mark.parametrize("network", ["2001:db8:1:{}::1", "203.0.113.{}"])
def test_one_network_shuts_nobody_out_of_the_sign_in_page(house: AppServer, network: str) -> None:
    """One page for each of its addresses, all at work; members and who is at the sign-in page notice nothing."""
    with ExitStack() as stack:

        def opened(browser: Browser, address: str) -> PageSocket:
            return stack.enter_context(open_page(browser, headers={"X-Forwarded-For": address}))

        honest = opened(Browser(house.url), "198.51.100.1")
        honest.visit()
        strangers = [opened(Browser(house.url), network.format(number)) for number in range(1, 6)]
        for page in strangers:
            page.visit()
        for newcomer in range(2, 5):
            assert b"Sign in" in opened(Browser(house.url), f"192.0.{newcomer}.1").visit()
            assert b"Sign in" in honest.visit()
        assert strangers[0].closed()[0] == 1013
        assert opened(Browser(house.url), network.format(77)).closed()[0] == 1013
        assert b"Sign out" in opened(open_browser(house, "augusta"), network.format(1)).visit()
        assert b"Sign in" in honest.visit()


def test_strangers_of_many_networks_give_way_to_each_newcomer() -> None:
    """Thirty networks, a page each, which come back whenever they are closed; an honest page is in use all the time."""
    door, flood = Door(30), networks(29)
    for address in flood:
        assert door.come(address, 0)
    assert door.come("203.0.113.1", 1, is_in_use=True)
    assert not door.come("192.0.2.1", 5)  # all have just begun
    for minute in range(1, 60):
        now = 60 * minute
        assert door.come(f"192.0.{minute}.1", now), minute
        for address in flood:
            if address not in door.open:
                door.come(address, now + 2)
    assert door.evicted["203.0.113.1"] == 0
    assert "203.0.113.1" in door.open


def test_who_pretends_to_use_a_page_gives_way_later_and_the_oldest_first() -> None:
    door, flood = Door(30), networks(30)
    for second, address in enumerate(flood):
        assert door.come(address, second, is_in_use=True)
    assert not door.come("192.0.2.1", 100)
    assert door.come("192.0.2.1", 150)
    assert door.evicted == Counter([flood[0]])
    assert not door.come(flood[0], 152)


def test_a_crowd_that_comes_back_by_itself_does_not_close_each_other_for_ever() -> None:
    """Forty people at thirty places, each page back two seconds after it was closed, for ten minutes."""
    door, crowd = Door(30), networks(40)
    for now in range(0, 600, 2):
        for address in crowd:
            if address not in door.open:
                door.come(address, now)
    assert len(door.open) == 30
    assert door.evicted.total() <= 10 * 11  # ten are outside, and each takes a place in turn once a minute


def test_what_is_remembered_is_bounded() -> None:
    door = Door(2)
    for number in range(6_000):
        door.come(f"10.{number // 250}.{number % 250}.1", 20 * number)
    assert door.evicted.total() == 5_998
    assert len(door.seats._lost) == 4_000
    assert len(door.seats._pages) == 2
    assert find_network("2001:db8:1:7::/64") == "2001:db8:1::/48"
    assert find_network("203.0.113.9") == "203.0.113.0/24"
    assert find_network("this computer") == "this computer"
