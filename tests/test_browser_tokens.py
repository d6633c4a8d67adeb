"""The form for a token in Debian's chromium, on a desk and on a telephone, light and dark."""

import re
from typing import Any

import pytest

from flowground.ui.api_access.tokens import SEES_INSIDE
from tests.acme import enter_as
from tests.api_pane import FLOW, change
from tests.open_page import Browser, Locator, Page, Route, fill, go, measure_at_rest, still, visitor
from tests.servers import AppServer, House

HOUSE = House(flows={"talk": FLOW})
SETS = "Set fields of the flow, such as its prompt and temperature. This can reveal the flow's prompt."


def is_in_sight(part: Locator) -> bool:
    """Whether it stands on the screen, whole, with nothing over it."""
    still(part.page)
    box = part.bounding_box()
    assert box is not None
    here = "(part, [x, y]) => part.contains(document.elementFromPoint(x, y))"
    ends = (box["y"] + 4, box["y"] + box["height"] - 4)
    return all(part.evaluate(here, [box["x"] + box["width"] / 2, y]) for y in ends)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_what_a_token_may_is_said_beside_the_code_and_in_the_form(
    house: AppServer, browser: Browser, width: int, scheme: Any
) -> None:
    name = f"{scheme} {width}"
    with visitor(browser, viewport={"width": width, "height": 844}, color_scheme=scheme) as page:
        go(enter_as(page, house, "olga"), f"{house.url}/api_access?flow=talk")
        page.get_by_text("Advanced (scope, expiry, permissions)").click()
        for name_of_choice in (SEES_INSIDE, SETS):
            choice = page.get_by_role("checkbox", name=name_of_choice)
            choice.wait_for(state="attached")
            assert not choice.is_checked()
        fill(page, Name=f"early {name}")
        page.get_by_role("button", name="Make a token").click()
        page.get_by_text("Your new token").wait_for()
        assert page.get_by_text("need a token that may set fields").count() == 0
        page.get_by_role("tab", name="Temporary overrides").click()
        tone = page.get_by_role("textbox", name="Tone")
        tone.click()
        before = measure_at_rest(tone)["top"]
        change(page, "Tone", "rude")
        page.get_by_text("These overrides need a token that may set fields").wait_for()
        assert abs(measure_at_rest(tone)["top"] - before) < 8
        page.get_by_role("checkbox", name=SETS, checked=True).wait_for(state="attached")
        way = page.get_by_role("button", name="Make such a token")
        for place in (tone, page.get_by_role("slider", name="Temperature")):
            place.scroll_into_view_if_needed()
            assert is_in_sight(way)  # without a step
        way.click()
        field = page.get_by_role("textbox", name="Name", exact=True)
        page.wait_for_function("field => document.activeElement === field", arg=field.element_handle())
        assert is_in_sight(field)
        page.keyboard.type(f"fitting {name}")
        page.get_by_role("button", name="Make a token", exact=True).click()
        row = page.locator('[class*="st-key-tokens-row-"]').filter(has_text=f"fitting {name}")
        row.get_by_text("Talk only · sees answers, sets fields").wait_for()
        still(page)
        assert way.count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_editors_that_a_slow_browser_draws_late_override_nothing(house: AppServer, page: Page) -> None:
    held: list[Route] = []
    page.route(re.compile(r"/(Slider|TextArea|NumberInput|Selectbox)\.[^/]*\.js"), lambda route: held.append(route))
    go(enter_as(page, house, "olga"), f"{house.url}/api_access?flow=talk")
    continues = page.get_by_text("Continue a conversation")
    code = page.get_by_role("tabpanel").get_by_text("my-conversation").locator("visible=true")
    continues.click()
    code.wait_for()
    still(page)
    assert held
    for route in held:
        route.continue_()
    page.unroute_all(behavior="ignoreErrors")
    page.get_by_role("tab", name="Temporary overrides").click()
    page.get_by_role("slider", name="Temperature").wait_for()
    page.get_by_role("tab", name="Python").click()
    continues.click()
    code.wait_for(state="detached")
    assert still(page).get_by_role("tab", name="Temporary overrides", exact=True).count() == 1
