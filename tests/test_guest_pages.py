"""How many pages people without a sign-in may have open, who gives way, and whose turn it is: from raw sockets."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from flowground.settings.limits import Limits
from flowground.web.open_pages import GUEST_PAGES, GuestTurns, OpenSocket, OpenSockets, Places
from tests.page_socket import Browser, PageSocket, open_browser, open_page, say_bytes
from tests.servers import PUBLIC, AppServer, House
from tests.waiting import eventually

LIMITS = {"guest_pages": 6, "guest_pages_per_address": 4}
A_SECOND, AT_ONCE = GUEST_PAGES
CONFIG: dict[str, Any] = {"sharing": {"allow_public": True}, "trusted_proxies": ["127.0.0.1"]}
HOUSE = House(config=CONFIG | {"limits": LIMITS}, flows=["echo"], shared={"echo": PUBLIC})


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """Three seconds of silence are long here."""
    config = CONFIG | {"limits": LIMITS | {"request_seconds": 3}}
    with House(config=config, flows=["echo"]).open(tmp_path_factory.mktemp("hasty")) as server:
        yield server


def use(pages: Iterable[PageSocket]) -> None:
    for page in pages:
        assert b"Sign in" in page.visit()


def test_one_page_too_many_takes_the_place_of_the_one_that_was_silent_longest(hasty: AppServer) -> None:
    with ExitStack() as stack:
        pages = []
        for _ in range(4):
            pages.append(stack.enter_context(open_page(Browser(hasty.url))))
            assert b"Sign in" in pages[-1].visit()
        use((pages[1], pages[2], pages[3], pages[0]))
        time.sleep(3.5)
        use((pages[0], pages[2], pages[3]))
        late = stack.enter_context(open_page(Browser(hasty.url)))
        assert b"Sign in" in late.visit()
        assert pages[1].closed()[0] == 1013
        use((pages[0], pages[2], pages[3], late))


@pytest.mark.parametrize("network", ["2001:db8:1:{}::1", "203.0.113.{}"])
def test_who_has_few_pages_takes_the_place_of_who_has_many(house: AppServer, network: str) -> None:
    with ExitStack() as stack:

        def open_from(number: int, browser: Browser | None = None) -> PageSocket:
            headers = {"X-Forwarded-For": network.format(number)}
            return stack.enter_context(open_page(browser or Browser(house.url), headers=headers))

        many = [open_from(1) for _ in range(4)]
        some = [open_from(2) for _ in range(2)]
        use((*many, *some))
        assert b"Sign in" in open_from(3).visit()
        assert many[0].closed()[0] == 1013
        assert open_from(1).closed()[0] == 1013  # it still has most pages, and none is idle
        use((*many[1:], *some))
        assert b"Sign out" in open_from(1, open_browser(house, "augusta")).visit()


def test_one_person_has_two_hundred_pages_open(house: AppServer) -> None:
    browser = open_browser(house, "bob")
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(browser)) for _ in range(200)]
        code, reason = stack.enter_context(open_page(browser)).closed()
        assert (code, reason) == (1013, "you have too many pages open; close some of them")
        assert b"Echo" in stack.enter_context(open_page(open_browser(house, "zoe"))).visit()
        assert b"Echo" in pages[0].visit()
    with open_page(browser) as again:
        assert b"Echo" in again.visit()


def test_members_and_the_pages_they_have_do_not_count(house: AppServer) -> None:
    """One page too many of guests is refused while none of theirs was silent for long."""
    with ExitStack() as stack:
        members = [stack.enter_context(open_page(open_browser(house, "augusta"))) for _ in range(8)]
        strangers = [stack.enter_context(open_page(Browser(house.url))) for _ in range(12)]
        late = stack.enter_context(open_page(open_browser(house, "augusta")))
        for page in (*members, late):
            assert b"Echo" in page.visit()
        use(strangers[:4])
        code, reason = strangers[-1].closed()
        assert (code, "try again later" in reason) == (1013, True)


def test_visitors_are_guests_too(house: AppServer) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(Browser(house.url), base="/public_flow/echo")) for _ in range(4)]
        assert b"hello" in pages[0].visit() + pages[0].say("hello")
        assert stack.enter_context(open_page(Browser(house.url))).closed()[0] == 1013
        pages[0].begin(say_bytes(66_000))
        assert pages[0].closed()[0] == 1009


def test_what_strangers_left_is_given_back_at_once(house: AppServer) -> None:
    before = 0
    for count in range(11):
        with open_page(Browser(house.url)) as page:
            page.visit()
        before = before if count else house.descriptors
    some = 3  # of the process's own, a connection to the database among them
    eventually(lambda: house.descriptors <= before + some)


def test_a_page_that_asks_for_nothing_is_ended(hasty: AppServer) -> None:
    with open_page(Browser(hasty.url)) as page:
        assert page.closed() == (1008, "nothing was asked")


def test_the_process_opens_as_many_files_as_it_can_and_few_are_few_guests(house: AppServer) -> None:
    lines = Path(f"/proc/{house.pid}/limits").read_text().splitlines()
    (soft, hard) = next(line.split()[3:5] for line in lines if line.startswith("Max open files"))
    assert int(soft) == min(int(hard), 65_536)
    of_descriptors = {1_024: 64, 65_536: Limits().guest_pages}
    for descriptors, most in of_descriptors.items():
        assert OpenSockets(cast(Any, None), Limits(), descriptors=descriptors).pages.most == most


def make_socket(address: str) -> OpenSocket:
    async def nothing(*_: Any) -> Any:
        return None

    return OpenSocket({"client": (address, 1)}, nothing, nothing, largest=1)


async def test_a_crowd_from_many_addresses_gives_way_to_who_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of each of thirty addresses, silent for the idle time; none gives way before."""
    now = [1000.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    places = Places(most=30, most_an_address=Limits().guest_pages_per_address, idle=30)
    with ExitStack() as stack:

        def come(address: str) -> bool:
            return stack.enter_context(places.hold_for_guest(make_socket(address)))

        assert all(come(f"198.51.{number}.7") for number in range(30))
        assert not come("203.0.113.1")
        now[0] += 31
        assert come("203.0.113.1")
        assert len(places._guests) == 30
    assert len(places._guests) == 0


async def test_turns_go_round_the_addresses_and_a_closed_page_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, order, now = GuestTurns(*GUEST_PAGES), list[str](), [1000.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])

    async def ask(socket: OpenSocket) -> None:
        await turns.wait(socket)
        if socket.is_open:
            order.append(socket.address)

    async def pass_time(seconds: float) -> None:
        now[0] += seconds
        for _ in range(700):  # one step for each that waits
            await asyncio.sleep(0)

    sockets = [make_socket("203.0.113.1") for _ in range(300)]
    flood = [asyncio.create_task(ask(socket)) for socket in sockets]
    await pass_time(0)
    assert len(order) == AT_ONCE
    for socket in sockets[AT_ONCE + 1 : 290]:
        await socket.close(1000, "")
    few = asyncio.create_task(ask(make_socket("203.0.113.2")))
    for _ in range(4):
        await pass_time(1.01 / A_SECOND)
    assert order[AT_ONCE:] == ["203.0.113.1", "203.0.113.2", "203.0.113.1", "203.0.113.1"]
    for task in flood:
        task.cancel()
    await asyncio.gather(few, *flood, return_exceptions=True)


async def test_a_large_message_of_a_page_is_followed_by_an_empty_one() -> None:
    """So that Streamlit, which keeps the last message until the next, keeps nothing of it."""
    sent = [b"small", b"x" * 10_000, b"after"]

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.receive", "bytes": sent.pop(0)}

    async def send(_: Any) -> None:
        raise AssertionError

    page = OpenSocket({"client": ("203.0.113.1", 1)}, receive, send, largest=64_000)
    assert [(await page.receive())["bytes"][:5] for _ in range(4)] == [b"small", b"xxxxx", b"", b"after"]
