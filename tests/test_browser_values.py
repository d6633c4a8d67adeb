"""Answers that are records or data, and the steps under an answer as a line of time."""

import json

from tests.acme import enter_as
from tests.axe import find_ours
from tests.open_page import Page, answers, expect_count, flow_text, go, say, still
from tests.servers import PUBLIC, SHARED, AppServer, House

CONVERTED = """\
name: Converted
components:
  ChatInput: {type: ChatInput}
  Convert: {type: TypeConverter, input_data: "${ChatInput}", output_type: KIND}
  ChatOutput: {type: ChatOutput, input_value: "${Convert}"}
"""
EACH = """\
name: Each
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", operator: contains, match_text: nothing has this}
  Never: {type: LanguageModel, display_name: Never asked, input_value: "${Gate.true_result}"}
  Slow: {type: LanguageModel, display_name: Slow one, model: "slow:echo", input_value: "${ChatInput}"}
  Shaky: {type: LanguageModel, display_name: Shaky one, model: "scripted:fail", input_value: "${ChatInput}",
    step: {on_error: continue, fallback: None}}
  Words: {type: TypeConverter, input_data: "${ChatInput}", output_type: JSON}
  Each: {type: ForEach, data: "${Words}", flow: inner, input_value: "{text}"}
  ChatOutput: {type: ChatOutput, input_value: "${Each} ${Slow} ${Never?} ${Shaky}"}
"""
HOUSE = House(
    flows={
        "table": CONVERTED.replace("KIND", "Table"),
        "data": CONVERTED.replace("KIND", "JSON"),
        "each": EACH,
        "inner": flow_text("scripted:echo", "Inner one"),
    },
    config={
        "sharing": {"allow_public": True},
        "providers": {"slow": {"type": "scripted", "pieces": ["a ", "b"], "delay": 0.5}},
    },
    shared={"table": PUBLIC, "data": SHARED, "each": SHARED},
)
RECORDS = [{"name": f"Ada {number}", "born": 1815 + number} for number in range(230)]


def expect_fit(page: Page, axe: str) -> None:
    """Axe finds nothing, and nothing goes over the side, on a desk and on a phone."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert find_ours(still(page), axe) == set()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_records_are_a_table_for_everybody_and_stay_one(house: AppServer, page: Page, axe: str) -> None:
    say(go(page, f"{house.url}/public_flow/table"), json.dumps(RECORDS))
    table = answers(page).get_by_role("table")
    table.wait_for()
    still(page)
    for _ in range(2):
        assert table.get_by_role("columnheader").all_inner_texts() == ["name", "born"]
        expect_count(table.get_by_role("row"), 201)
        answers(page).get_by_role("button", name="Show all 230").click()
        expect_count(table.get_by_role("row"), 231)
        assert page.get_by_role("region", name="Table, 230 rows, 2 columns").get_attribute("tabindex") == "0"
        still(page).reload()
        table.wait_for()
    with page.expect_download() as waited:
        answers(page).get_by_role("button", name="Download as CSV").click()
    name, lines = waited.value.suggested_filename, waited.value.path().read_text("utf-8-sig").splitlines()
    assert (name, lines[:2]) == ("answer.csv", ['"name","born"', '"Ada 0","1815"'])
    with page.expect_download() as waited:
        answers(page).get_by_role("button", name="Download as JSON").click()
    assert json.loads(waited.value.path().read_text()) == RECORDS
    assert page.locator("article.fg-answer .fg-steps-button").count() == 0
    expect_fit(page, axe)


def test_data_is_shown_as_json_and_numbers_stay(house: AppServer, page: Page, axe: str) -> None:
    go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=data")
    say(page, '{"id": 12345678901234567890, "deep": {"er": {"lines": ["x"]}}, "html": "<b>not bold</b>"}')
    answer = answers(page).first
    answer.get_by_text("12345678901234567890").wait_for()
    shown = answer.get_by_role("group", name="JSON").inner_text()
    assert '  "id": 12345678901234567890,' in shown
    assert '"lines": [\n        "x"\n      ]' in shown
    assert '"html": "<b>not bold</b>"' in shown
    expect_fit(page, axe)


def test_an_answer_without_a_part_says_so_to_members_and_names_nothing(house: AppServer, page: Page) -> None:
    say(go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=each"), '["one", "two"]')
    mark = answers(page).get_by_text("A part of the flow failed; this answer was made without it.")
    mark.wait_for()
    assert "Shaky" not in answers(page).inner_text()
    still(page).reload()
    mark.wait_for()


def open_steps(page: Page, house: AppServer) -> None:
    say(go(enter_as(page, house, "olga"), f"{house.url}/playground?flow=each"), '["one", "two"]')
    page.get_by_role("button", name="8 steps").wait_for()
    still(page).get_by_role("button", name="8 steps").click()
    page.locator(".fg-step").first.wait_for()


def test_steps_stand_in_the_order_in_which_they_began_and_open_to_what_they_took_and_gave(
    house: AppServer, page: Page, axe: str
) -> None:
    open_steps(page, house)
    names = page.locator(".fg-step > summary strong").all_inner_texts()
    assert names.index("Chat Input") < names.index("Slow one") < names.index("Chat Output")
    never = page.get_by_role("group", name="Never asked")
    never.locator("summary").click()
    never.get_by_text("Skipped, since If-Else did not give true_result.").wait_for()
    shaky = page.get_by_role("group", name="Shaky one")
    shaky.get_by_text("Why it failed").wait_for()  # open by itself
    each = page.get_by_role("group", name="For Each")
    each.locator("summary").first.click()
    each.get_by_text("Value from Type Convert").click()
    each.locator(".fg-data").get_by_text('"two"').first.wait_for()
    each.get_by_text("2 runs").wait_for()
    each.get_by_text("2. Inner one").click()
    inner = each.get_by_role("group", name="Language Model")
    inner.locator("summary").first.click()
    inner.get_by_text("You said: two").wait_for()
    way = page.get_by_role("link", name="Show in the flow").evaluate("link => link.href")
    expect_fit(page, axe)
    page.set_viewport_size({"width": 1280, "height": 900})
    go(page, way).locator('.fg-figure g.node[data-state="failed"]').wait_for()
