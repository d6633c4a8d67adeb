"""A flow that is changed in the browser: its draft answers its author alone; what is saved everybody, who are told."""

from tests.acme import enter_as
from tests.axe import find_ours
from tests.open_page import Page, answers, ask, composer, expect_count, go, still
from tests.servers import SHARED, AppServer, House
from tests.waiting import eventually

FLOW = """\
name: Support
components:
  ChatInput: {type: ChatInput}
  Said: {type: Prompt, template: "Saved says {what}", what: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Said}"}
"""
DRAFT = FLOW.replace("Saved", "Draft")
HOUSE = House(flows={"support": FLOW}, shared={"support": SHARED})


def test_a_draft_is_tried_in_ones_own_chat_then_saved_and_told_to_whoever_chats(
    house: AppServer, ada: Page, page: Page, axe: str
) -> None:
    chat = f"{house.url}/playground?flow=support"
    ask(go(enter_as(page, house, "bob"), chat), "hello", "Saved says hello")
    ask(go(ada, chat), "hello", "Saved says hello")
    main = ada.get_by_test_id("stMain")
    main.get_by_role("link", name="Inside").click()
    main.get_by_role("button", name="Edit").click()
    field = ada.get_by_role("textbox", name="Text of support.yaml")
    eventually(field.input_value)  # it is drawn empty, and filled a moment later
    field.fill(DRAFT)
    main.get_by_role("button", name="Try").click()
    main.get_by_text("You are trying a draft.").wait_for()
    expect_count(answers(ada), 1)
    ask(ada, "and now", "Draft says and now")
    main.get_by_text("Your draft answers. Only you can see it.").wait_for()
    assert find_ours(ada, axe) == set()
    ask(page, "and now", "Saved says and now")
    ask(go(ada, f"{house.url}/public_flow/support"), "here", "Saved says here")

    go(ada, chat)
    main.get_by_role("link", name="Edit").click()
    eventually(lambda: field.input_value() == DRAFT)
    assert find_ours(ada, axe) == set()
    main.get_by_role("button", name="Save").click()
    main.get_by_text("Saved: what stands here answers.").wait_for()
    assert (house.folder / "flows" / "support.yaml").read_text("utf-8") == DRAFT
    main.get_by_role("button", name="Try").click()  # what is saved: no draft of it begins
    composer(ada).wait_for()
    assert main.get_by_text("You are trying a draft.").count() == 0
    told = page.get_by_role("log").get_by_text("This flow was changed: the new version answers from here on.")
    told.wait_for()
    ask(still(page), "at last", "Draft says at last")
    told.wait_for()
    go(ada, chat)
    assert main.get_by_text("You are trying a draft.").count() == 0


def test_what_is_typed_arrives_while_one_types_and_who_leaves_before_it_is_saved_is_asked(
    house: AppServer, ada: Page
) -> None:
    go(ada, f"{house.url}/inside?flow=support&edit=yes")
    field, main = ada.get_by_role("textbox", name="Text of support.yaml"), ada.get_by_test_id("stMain")
    eventually(field.input_value)
    field.press("Control+End")
    field.press_sequentially("# one")
    main.get_by_text("Not saved yet.").wait_for()
    field.press_sequentially(" and two")
    eventually(lambda: still(ada).get_by_role("button", name="Discard changes").is_visible())
    assert field.input_value().endswith("# one and two")
    with ada.expect_event("dialog") as asked:
        ada.evaluate("setTimeout(() => location.reload())")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    main.get_by_role("button", name="Discard changes").click()
    main.get_by_text("Saved: what stands here answers.").wait_for()
    assert not field.input_value().endswith("two")
