"""The pages *Inside* and *Knowledge*: the picture lights up as the flow runs, mistakes stand at their lines, and files
are added, found and removed."""

from pathlib import Path

from tests.acme import enter_as
from tests.axe import check_looks, find_ours
from tests.open_page import Locator, Page, answers, ask, expect_count, go, say, still, stop
from tests.servers import SHARED, AppServer, House

FLOW = """\
name: Branching
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, display_name: Refund or not,
    input_text: "${ChatInput}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, model: "slow:echo", input_value: "${Gate.true_result}"}
  Helper: {type: LanguageModel, model: "scripted:fail", input_value: "${Gate.false_result}",
    step: {on_error: continue, fallback: Please call us.}}
  ChatOutput: {type: ChatOutput, input_value: "${Refund?}${Helper?}"}
"""
COMMENTS = "".join(f"# line {number}\n" for number in range(1, 101))
BROKEN = COMMENTS + FLOW.replace("operator: contains", "operater: contains")
SLOW = {"type": "scripted", "pieces": [f"word{number} " for number in range(400)], "delay": 0.05}
TRAVEL = """\
name: Travel desk
owners: [olga]
components:
  ChatInput: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Found.passages}"}
knowledge:
  handbook: {uploads: true}
"""
HOUSE = House(
    flows={"branching": FLOW, "broken": BROKEN, "travel": TRAVEL},
    config={"providers": {"slow": SLOW}},
    shared={"branching": SHARED},
)
ORDER = ["ChatInput", "Gate", "Refund", "Helper", "ChatOutput"]


def find_shape(page: Page, component: str, state: str | None = None) -> Locator:
    """In the picture; once it is lit so."""
    lit = "" if state is None else f'[data-state="{state}"]'
    return page.locator(f'.fg-figure g.node[id*="flowchart-n{ORDER.index(component)}-"]{lit}')


def test_the_steps_light_up_beside_the_chat_and_stay_as_the_last_answer_was_made(
    house: AppServer, page: Page, axe: str
) -> None:
    go(enter_as(page, house, "olga"), f"{house.url}/playground?flow=branching")
    way = page.get_by_test_id("stMain").get_by_role("link", name="Inside")
    beside = page.context.new_page()
    go(beside, way.evaluate("link => link.href"))
    beside.get_by_text("send a message in another tab").wait_for()
    say(page, "a refund, please")
    find_shape(beside, "Refund", "running").wait_for()
    others = [name for name in ORDER if name != "Refund"]
    states = [find_shape(beside, name).get_attribute("data-state") for name in others]
    assert states == ["done", "done", "skipped", ""]
    beside.get_by_text("A message is being answered.").wait_for()
    stop(page)
    beside.get_by_text("The last answer").wait_for()
    still(page)
    ask(page, "something else", "Please call us.")
    find_shape(beside, "Helper", "failed").wait_for()
    find_shape(beside, "ChatOutput", "done").wait_for()
    find_shape(beside, "Refund", "skipped").wait_for()
    beside.get_by_text("Steps as a list").click()
    row = beside.get_by_role("listitem").filter(has_text="Language Model (Helper)").filter(has_text="Failed")
    row.wait_for()
    beside.get_by_role("img", name="The flow as a picture: Chat Input, ").wait_for()
    check_looks(beside, axe)
    go(beside, beside.url)  # as it was stored
    find_shape(beside, "Helper", "failed").wait_for()
    beside.get_by_role("link", name="Branching").click()
    answers(beside).get_by_text("Please call us.").wait_for()


def test_a_mistake_stands_at_its_line_and_goes_once_the_file_is_saved_without(
    house: AppServer, page: Page, axe: str
) -> None:
    go(enter_as(page, house, "olga"), house.url).get_by_text("1 file needs a correction").click()
    page.get_by_role("link", name="Show in the file").click()
    page.get_by_role("heading", name="broken.yaml").wait_for()
    text = page.get_by_role("region", name="Text of broken.yaml")
    text.get_by_role("note").filter(has_text="has no field operater").wait_for()
    line = text.locator('.fg-line[data-wrong="mistake"]')
    assert line.get_attribute("data-number") == "105"
    assert "operater: contains" in line.inner_text()
    under, word = line.locator(".fg-under").bounding_box(), line.get_by_text("operater").last.bounding_box()
    assert under
    assert word
    assert abs(under["x"] - word["x"]) < 3
    check_looks(page, axe)
    page.get_by_role("button", name="Line 105").click()
    page.wait_for_function("document.querySelector('.fg-file-text').scrollTop > 1000")
    file = house.folder / "flows" / "broken.yaml"
    file.write_text(FLOW.replace("Branching", "Mended"))
    page.locator(".fg-figure svg").wait_for()
    expect_count(page.get_by_role("note"), 0)
    page.get_by_role("link", name="Mended").wait_for()
    find_shape(page, "Refund").click()
    page.locator('.fg-line.fg-found[data-number="6"]').wait_for()
    file.write_text(BROKEN)


def test_members_have_no_way_there(house: AppServer, page: Page) -> None:
    go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=branching")
    assert page.get_by_role("link", name="Inside").count() == 0
    for address in ("/inside?flow=branching", "/knowledge?flow=travel"):
        go(page, house.url + address).get_by_text("You don't have access to this page").wait_for()


def test_files_are_added_found_and_removed(house: AppServer, page: Page, axe: str, tmp_path: Path) -> None:
    given = {"hotels.md": b"Hotels in Lyon cost 120 euros.", "old.pdf": b"%PDF-1.7 broken", "photo.zip": b"PK\x03\x04"}
    for name, data in given.items():
        (tmp_path / name).write_bytes(data)
    main = go(enter_as(page, house, "olga"), f"{house.url}/inside?flow=travel").get_by_test_id("stMain")
    main.get_by_role("link", name="Knowledge").click()
    main.get_by_text("None yet. Add some above").wait_for()
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Add files").click()
    chosen.value.set_files([tmp_path / name for name in given])
    refused = page.get_by_role("list", name="Files of your knowledge").get_by_role("listitem")
    refused.get_by_text("photo.zip is no kind of file that is read").wait_for()
    main.get_by_text("old.pdf is a damaged PDF").wait_for()
    main.get_by_text("1 passage of 1 file").wait_for()
    expect_count(refused, 1)
    assert find_ours(page, axe) == set()
    page.get_by_label("What would somebody ask?").fill("What does a hotel in Lyon cost?")
    page.get_by_role("button", name="Find passages").click()
    main.get_by_text("Hotels in Lyon cost 120 euros.").wait_for()
    row = main.locator('[class*="st-key-knowledge-file-uploads-hotels-md"]')
    row.get_by_role("button", name="Remove hotels.md", exact=True).click()
    page.get_by_role("dialog").get_by_text("hotels.md").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    main.get_by_text("0 passages of 0 files").wait_for()
    main.get_by_text("Nothing was found.").wait_for()
