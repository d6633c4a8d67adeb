"""In which time zone Current Date tells the time: that of who asks on a page, else the organization's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.chat_socket import open_chat
from tests.open_page import Browser as Chromium
from tests.open_page import answers, go, say, still, visitor
from tests.page_socket import Browser
from tests.servers import PUBLIC, AppServer, House

CLOCK = """
components:
  ChatInput: {type: ChatInput}
  Now: {type: CurrentDate}
  There: {type: CurrentDate, timezone: Asia/Tokyo}
  Agent: {type: Agent, model: scripted, input_value: "${ChatInput}", tools: [Look, Inner]}
  Look: {type: CurrentDate, step: {description: Looks at the clock.}}
  Inner: {type: RunFlow, flow: inner, step: {description: Asks another flow.}}
  ChatOutput: {type: ChatOutput, input_value: "${Now} ${There} ${Agent}"}
"""
INNER = """
components:
  ChatInput: {type: ChatInput}
  Now: {type: CurrentDate}
  ChatOutput: {type: ChatOutput, input_value: "Inside: ${Now}"}
"""
SAID = 'call Look {} and call Inner {"input_value": "When?"} and call Look {"timezone": "Asia/Kolkata"}'
FLOWS = {"clock": CLOCK, "inner": INNER}
CONFIG = {"organization": {"timezone": "Europe/Berlin"}, "sharing": {"allow_public": True}}


def list_zones(answer: str) -> list[str]:
    return [part.partition(")")[0] for part in answer.split("(")[1:]]


def list_told(zone: str) -> list[str]:
    return [zone, "Asia/Tokyo", zone, zone, "Asia/Kolkata"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with House(config=CONFIG, flows=FLOWS, shared={"clock": PUBLIC}).open(tmp_path_factory.mktemp("house")) as server:
        yield server


async def test_a_program_is_told_the_time_of_the_organization(tmp_path: Path) -> None:
    async with serving(tmp_path, config=CONFIG, flows=FLOWS) as api:
        told = await api.text("clock", {"input_value": SAID})
        assert list_zones(told) == list_told("Europe/Berlin")
        told = await api.text("clock", {"input_value": SAID, "tweaks": {"Now": {"timezone": "America/Lima"}}})
        assert list_zones(told)[0] == "America/Lima"


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("Asia/Kathmandu", "Asia/Kathmandu"),
        ("Mars/Olympus", "Europe/Berlin"),
        ("../../../etc/passwd", "Europe/Berlin"),
        ("Asia%2FKathmandu" + "x" * 500, "Europe/Berlin"),
        ("", "Europe/Berlin"),
    ],
)
def test_who_asks_on_a_page_is_told_the_time_of_their_browser(house: AppServer, said: str, zone: str) -> None:
    with open_chat(Browser(house.url), f"clock&zone={said}", is_public=True) as chat:
        chat.show()
        assert list_zones(chat.ask(SAID)) == list_told(zone)


def test_the_page_says_the_time_zone_of_its_browser(house: AppServer, browser: Chromium) -> None:
    with visitor(browser, timezone_id="Pacific/Auckland") as page:
        say(go(page, f"{house.url}/public_flow/clock"), "Hi")
        still(page)
        assert "(Pacific/Auckland)" in answers(page).last.inner_text()
