"""What a flow asks beside the message, in Debian's chromium: chosen, sent, kept, filled in by an address."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.api_pane import code_of, open_pane
from tests.asking import ASKING, NEEDING
from tests.narrow import PHONE
from tests.open_page import answers, ask, composer, find_send_key, go, say, sign_in, still, visitor
from tests.servers import PUBLIC, AppServer, House

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page


TYPED = ASKING.replace("min: 0, max: 1, ask: true", "ask: true").replace("temperature: 0.3", "temperature: null")
HOUSE = House(
    config={"sharing": {"allow_public": True}},
    flows={"letters": ASKING, "typed": TYPED, "ticket": NEEDING},
    shared={"letters": PUBLIC, "ticket": PUBLIC},
)


@pytest.fixture(params=["wide", "phone"])
def any_page(request: pytest.FixtureRequest, browser: "Browser") -> Iterator["Page"]:
    with visitor(browser, **(PHONE if request.param == "phone" else {})) as opened:
        yield opened


def start(page: "Page", house: AppServer, address: str = "/public_flow/letters") -> "Page":
    go(page, house.url + address).get_by_role("combobox", name="Language").wait_for()
    return page


def line(page: "Page") -> "Locator":
    return page.locator(".fg-asked summary")


def choose(page: "Page", language: str) -> None:
    page.get_by_role("combobox", name="Language").select_option(language)


def test_what_is_chosen_goes_with_the_message_and_stays_in_one_line(house: AppServer, any_page: "Page") -> None:
    """As a guest, too: they are asked the same."""
    page = start(any_page, house)
    choose(page, "French")
    page.get_by_role("textbox", name="Tone").fill("stern")
    page.get_by_role("slider", name="Temperature").press("End")
    assert page.evaluate("document.querySelector('.fg-field').getBoundingClientRect().bottom <= innerHeight")
    if find_send_key(page) != "Enter":
        sizes = (
            "[...document.querySelectorAll('.fg-asked-input')].map(one => parseFloat(getComputedStyle(one).fontSize))"
        )
        assert min(page.evaluate(sizes)) >= 16  # a smaller one makes iOS zoom in
    ask(page, "Hi", "French, stern, short: Hi")
    assert page.get_by_role("combobox", name="Language").count() == 0
    assert line(page).inner_text() == "Language: French · Temperature: 1 · Tone: stern"
    ask(page, "Ho", "French, stern, short: Ho")
    line(page).click()
    page.get_by_role("button", name="Reset").click()
    ask(page, "Hu", "German, kind, short: Hu")


def test_it_is_there_after_a_reload_each_chat_has_its_own_and_try_again_and_edit_take_what_is_chosen_then(
    house: AppServer, any_page: "Page"
) -> None:
    page = start(enter_as(any_page, house, "bob"), house)
    choose(page, "Spanish")
    page.reload()
    assert still(page).get_by_role("combobox", name="Language").input_value() == "2"
    ask(page, "Hi", "Spanish, kind, short: Hi")
    page.wait_for_url(re.compile("session="))
    first = page.url
    page.reload()
    ask(still(page), "Ho", "Spanish, kind, short: Ho")
    page.keyboard.press("Control+Shift+O")
    page.get_by_role("combobox", name="Language").wait_for()
    ask(still(page), "Hu", "German, kind, short: Hu")
    line(page).click()
    choose(page, "French")
    page.get_by_role("button", name="Try again").click()
    answers(page).get_by_text("You said: French, kind, short: Hu").wait_for()
    still(page)
    line(page).click()
    choose(page, "Spanish")
    page.get_by_role("article", name="You").hover()
    page.get_by_role("button", name="Edit", exact=True).click()
    editor = page.get_by_role("textbox", name="Edit your message")
    editor.fill("Ha")
    editor.press(find_send_key(page))
    answers(page).get_by_text("You said: Spanish, kind, short: Ha").wait_for()
    go(page, first)
    answers(page).get_by_text("Spanish").first.wait_for()
    assert line(page).inner_text().startswith("Language: Spanish")


def test_an_address_fills_it_in_and_says_what_it_cannot(house: AppServer, page: "Page") -> None:
    start(page, house, "/public_flow/letters?language=French&Model.temperature=0.5&Prompt.tone=&utm_source=mail")
    assert page.get_by_role("slider", name="Temperature").input_value() == "0.5"
    assert page.get_by_text("ignored").count() == 0
    ask(page, "Hi", "French, , short: Hi")
    start(page, house, "/public_flow/letters?Language=Klingon&Model.temperature=7&Prompt.length=long&Prompt.template=x")
    told = page.locator(".fg-asked-told")
    for sentence in (
        "This page's address says something for Language that is ignored: Language is one of German, French, Spanish.",
        "Temperature is a number from 0 to 1.",
        "Prompt.length in this page's address is ignored: nobody is asked for it here.",
        "Prompt.template in",
    ):
        told.get_by_text(sentence).wait_for()
    ask(page, "Hi", "German, kind, short: Hi")


def test_a_link_brings_the_values_to_somebody_who_has_to_sign_in_first(
    house: AppServer, browser: "Browser", page: "Page"
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    start(enter_as(page, house, "olga"), house, "/playground?flow=letters")
    assert page.get_by_role("button", name="Copy link").count() == 0
    choose(page, "French")
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{house.url}/playground?flow=letters&Language=French"
    with visitor(browser) as other:
        go(other, link).get_by_role("heading", name="Sign in").wait_for()
        sign_in(other, "bob")
        other.get_by_role("combobox", name="Language").wait_for()
        assert other.get_by_role("combobox", name="Language").input_value() == "1"


def test_a_mistake_is_said_beside_its_field_and_nothing_is_sent(house: AppServer, page: "Page") -> None:
    start(enter_as(page, house, "olga"), house, "/playground?flow=typed")
    number = page.get_by_role("spinbutton", name="Temperature")
    number.fill("7")
    line(page).click()
    say(page, "Hi")
    page.get_by_text("Temperature is a number from 0 to 2.").wait_for()
    assert number.evaluate("one => one === document.activeElement")
    assert number.get_attribute("aria-invalid") == "true"
    assert (composer(page).input_value(), answers(page).count()) == ("Hi", 0)
    described = number.get_attribute("aria-describedby")
    assert page.locator(f"#{described}").inner_text() == "Temperature is a number from 0 to 2."
    number.fill("1.5")
    number.press("Enter")
    assert composer(page).evaluate("one => one === document.activeElement")
    composer(page).press("Enter")
    answers(page).get_by_text("You said: German, kind, short: Hi").wait_for()


def test_what_is_required_is_asked_for_before_anything_is_sent(house: AppServer, page: "Page") -> None:
    go(page, f"{house.url}/public_flow/ticket")
    product = page.get_by_role("combobox", name="Your product")
    product.wait_for()
    assert product.evaluate("one => one.selectedOptions[0].label") == "Please choose"
    assert page.get_by_text("Your product is needed.").count() == 0
    page.get_by_role("button", name="It smokes").click()
    page.get_by_text("Your product is needed.").wait_for()
    assert product.evaluate("one => one === document.activeElement")
    say(page, "Hi")
    assert (composer(page).input_value(), answers(page).count()) == ("Hi", 0)
    product.select_option("Kettle")
    composer(page).press("Enter")
    answers(page).get_by_text("You said: Kettle, : Hi").wait_for()


def test_a_temporary_override_wins_and_the_option_says_so(house: AppServer, page: "Page") -> None:
    start(enter_as(page, house, "olga"), house, "/playground?flow=letters")
    page.get_by_role("textbox", name="Tone").fill("stern")
    choose(page, "French")
    pane = open_pane(page)
    pane.get_by_role("textbox", name="Tone").fill("formal")
    pane.get_by_role("textbox", name="Tone").press("Enter")
    pane.get_by_role("tab", name="Temporary overrides (1)", exact=True).wait_for()
    code = code_of(pane, "cURL").inner_text()
    assert ("formal" in code, "stern" in code, "French" in code) == (True, False, False)
    page.get_by_role("button", name="Close").click()
    tone = page.get_by_role("textbox", name="Tone")
    page.get_by_text("Set by your temporary overrides.").wait_for()
    assert (tone.input_value(), tone.is_disabled()) == ("formal", True)
    ask(page, "Hi", "French, formal, short: Hi")
    page.get_by_role("button", name="1 override").locator("visible=true").click()
    page.get_by_text("Tone: stern").wait_for()
    ask(page, "Ho", "French, stern, short: Ho")
    page.get_by_role("button", name="Copy as code").last.click()
    page.get_by_text("The call behind “Ho” with 2 overrides").wait_for()
