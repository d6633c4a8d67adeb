"""What a model writes in a browser: a number opens its passage, while an answer grows too, and what was looked up
besides is folded; a diagram asks for nothing, as the browser would send the reader's cookie along."""

import pytest

from tests.acme import enter_as
from tests.axe import find_ours
from tests.open_page import (
    Browser,
    Locator,
    Page,
    answers,
    composer,
    expect_count,
    flow_text,
    go,
    measure_at_rest,
    say,
    still,
    visitor,
)
from tests.servers import PUBLIC, AppServer, House

FLOW = """\
name: Handbook
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: lodgings cost badges, top_k: 2}
  Model: {type: LanguageModel, model: MODEL, system_message: "${Found.passages}", input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
knowledge: {handbook: {files: ["knowledge/*.md"]}}
"""
SLOW = {"type": "scripted", "pieces": ["So it is [", "1], ", *["and "] * 400], "delay": 0.2}
ASKS = [
    'flowchart TD\n  A@{ img: "/session/my-data?1", label: "y", w: 60, h: 60 }\n  A --> B',
    'flowchart TD\n  A@{ "\\x69mg": "/session/my-data?2", w: 60, h: 60 }\n  A --> B',
    'flowchart TD\n  A@{ im%%{init: {}}%%g: "/session/my-data?3", w: 60, h: 60 }\n  A --> B',
    'sequenceDiagram\n  participant A\n  properties A: {"icon": "/session/my-data?4"}\n  A->>B: x',
    'flowchart TD\n  A@{ img: "http://127.0.0.1:9/leak.png?5", w: 60, h: 60 }\n  A --> B',
]
ASKS_NOTHING = ['flowchart TD\n  A@{ shape: hex, label: "fine" }\n  A --> B', "sequenceDiagram\n  A->>B: x"]
DRAWING = {"type": "scripted", "pieces": [f"```mermaid\n{diagram}\n```\n\n" for diagram in [*ASKS, *ASKS_NOTHING]]}
HOUSE = House(
    flows={"talk": FLOW.replace("MODEL", "scripted"), "slow": FLOW.replace("MODEL", "slow:echo")}
    | {"silent": FLOW.replace("MODEL", "'scripted:silent'")}
    | {"bare": FLOW.replace("MODEL", "scripted").replace('files: ["knowledge/*.md"]', "uploads: true")}
    | {"draws": flow_text("drawing:echo", "Draws")},
    shared={"talk": PUBLIC, "slow": PUBLIC, "silent": PUBLIC, "draws": PUBLIC},
    config={"sharing": {"allow_public": True}, "providers": {"slow": SLOW, "drawing": DRAWING}},
)


@pytest.fixture(scope="module", autouse=True)
def _files(house: AppServer) -> None:
    folder = house.folder / "flows" / "knowledge"
    folder.mkdir()
    (folder / "travel.md").write_text("# Travel\n\nLodgings cost **120** euros in Lyon.")
    (folder / "badges.md").write_text("Badges are worn." + "\n\nWhoever comes is given one at the door." * 50)


def ask(page: Page, address: str, text: str) -> Locator:
    """The numbers of the answer."""
    composer(go(page, address)).wait_for()
    say(page, text)
    marks = answers(page).locator(".fg-cite")
    marks.first.wait_for(timeout=60_000)
    return marks


@pytest.mark.parametrize("width", [1280, 390])
def test_a_number_opens_its_passage_and_escape_leads_back(house: AppServer, browser: Browser, width: int) -> None:
    with visitor(browser, viewport={"width": width, "height": 800}) as page:
        ask(page, f"{house.url}/public_flow/talk", "It is so [1], `a[1]`, and [7] is none.")
        still(page)
        for _ in range(2):
            answer = answers(page).first
            mark = answer.get_by_role("button", name="Source 1: knowledge/travel.md")
            assert "[7] is none" in answer.inner_text()
            expect_count(answer.locator(".fg-cite"), 1)
            expect_count(answer.locator(".fg-sources > details:not(.fg-others)"), 1)
            answer.get_by_text("1 more source").wait_for()
            mark.focus()
            page.keyboard.press("Enter")
            passage = answer.get_by_text("Lodgings cost 120 euros in Lyon.")
            passage.wait_for()
            assert answer.locator(".fg-passage strong").inner_text() == "120"
            summary = answer.locator(".fg-sources summary").first
            assert summary.evaluate("one => one === document.activeElement || one.getRootNode().activeElement === one")
            page.keyboard.press("Escape")
            passage.wait_for(state="hidden")
            assert mark.evaluate("one => one.getRootNode().activeElement === one")
            mark.click()
            passage.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            still(page).reload()
            answers(page).locator(".fg-cite").first.wait_for()


def test_a_number_opens_while_the_answer_grows(house: AppServer, page: Page) -> None:
    ask(page, f"{house.url}/public_flow/slow", "Well?").click()
    answers(page).get_by_text("Lodgings cost 120 euros in Lyon.").wait_for()
    assert answers(page).first.get_attribute("data-state") == "growing"


def test_what_was_looked_up_is_folded_before_the_model_speaks_and_after_a_reload(house: AppServer, page: Page) -> None:
    composer(go(page, f"{house.url}/public_flow/silent")).wait_for()
    say(page, "Well?")
    for _ in range(2):
        fold = answers(page).get_by_text("2 sources")
        fold.wait_for()
        assert answers(page).first.get_attribute("data-state") == "running"
        page.reload()
    fold.click()
    answers(page).get_by_text("travel.md").click()
    answers(page).get_by_text("Lodgings cost 120 euros in Lyon.").wait_for()
    page.get_by_role("button", name="Stop").click()
    answers(page).get_by_text("Stopped").wait_for()
    still(page).reload()
    fold.wait_for()


def test_without_documents_a_chat_offers_to_add_some_to_who_may(house: AppServer, page: Page, axe: str) -> None:
    enter_as(page, house, "augusta")
    way = go(page, f"{house.url}/playground?flow=bare").get_by_role("link", name="Add documents")
    way.wait_for()
    say(page, "Well?")
    answers(page).filter(has=way).get_by_text("There are no documents to answer from yet.").wait_for()
    assert not find_ours(still(page), axe)
    way.click()
    page.get_by_role("heading", name="Knowledge").wait_for()
    assert page.url.endswith("/knowledge?flow=bare")


def test_sources_are_fit_for_everybody(house: AppServer, page: Page, axe: str) -> None:
    marks = ask(enter_as(page, house, "bob"), f"{house.url}/playground?flow=talk", "It is so [1] [2].")
    marks.first.click()
    answers(page).locator(".fg-passage").wait_for()
    assert not find_ours(page, axe)
    marks.last.click()
    answers(page).locator(".fg-passage").nth(1).wait_for()
    row = measure_at_rest(answers(page).locator(".fg-sources > details:not(.fg-others) summary").last)
    head = measure_at_rest(page.locator('[data-testid="stLayoutWrapper"]:has(> .st-key-page-head)'))
    foot = measure_at_rest(page.locator(".fg-foot"))
    assert head["bottom"] < row["top"] < row["bottom"] < foot["top"], "the row of a long passage stays in sight"


def test_a_diagram_with_images_stays_code_and_asks_for_none(house: AppServer, page: Page) -> None:
    asked: list[str] = []
    enter_as(page, house, "zoe")
    page.on("request", lambda request: asked.append(request.url))
    say(go(page, f"{house.url}/playground?flow=draws"), "Draw")
    page.wait_for_function(
        f"document.querySelectorAll('.fg-failed').length === {len(ASKS)} && "
        f"document.querySelectorAll('.fg-diagram svg').length === {len(ASKS_NOTHING)}"
    )
    assert any("mermaid" in url for url in asked)
    assert [url for url in asked if "my-data" in url or "leak" in url] == []
