"""The shareable playground in Debian's chromium: looked at as others, ended while open, and silent of its inside."""

from tests.acme import ACME, await_composer, enter_as, switch
from tests.open_page import Browser, Page, answers, ask, fill, go, open_menu, still, visitor
from tests.servers import ROOT, AppServer

CANARIES = ["canary in the prompt", "scripted", "LanguageModel", "Language Model", "ChatOutput", "system_message"]
CANARIES += ["1 step", str(ROOT), "flows/echo"]
HOUSE = ACME


def test_looking_as_others_goes_through_the_same_door(house: AppServer, ada: Page, page: Page) -> None:
    switch(ada, house, "talk", on=True)
    for who, seen in (
        ("member", "would you like to ask"),
        ("visitor", "The sign-in form"),
    ):
        go(ada, f"{house.url}/public_flow/talk?as={who}").get_by_text(seen).wait_for()
        ada.get_by_text("Preview").first.wait_for()
    switch(ada, house, "talk", on=False)
    for who in ("member", "visitor"):
        go(ada, f"{house.url}/public_flow/talk?as={who}")
        ada.get_by_text("You don't have access to this page").or_(ada.get_by_text("The sign-in form")).wait_for()
        assert ada.get_by_role("textbox", name="Message", exact=True).count() == 0
    ada.get_by_role("button", name="End preview").click()
    await_composer(ada)
    go(enter_as(page, house, "bob"), f"{house.url}/public_flow/talk?as=member")
    page.get_by_text("You don't have access to this page").wait_for()
    assert "Preview" not in page.content()


def test_unsharing_and_taking_a_person_out_end_what_is_open(house: AppServer, ada: Page, page: Page) -> None:
    switch(ada, house, "talk", on=True)
    await_composer(go(enter_as(page, house, "bob"), f"{house.url}/public_flow/talk"))
    switch(ada, house, "talk", on=False)
    page.get_by_role("heading", name="This flow is not shared with you any more").wait_for()  # by itself
    page.get_by_text("Your chats are kept.").wait_for()
    switch(ada, house, "talk", on=True)
    await_composer(page)  # by itself too
    open_menu(ada.get_by_role("button", name="Publish")).get_by_role("button", name="Who can open it").click()
    pane = ada.get_by_role("dialog")
    pane.get_by_text("People and groups").click()
    pane.get_by_text("2 people can open it").wait_for()
    pane.get_by_role("button", name="Save").click()
    pane.wait_for(state="detached")
    page.get_by_role("heading", name="This flow is not shared with you any more").wait_for()


def test_whom_the_switch_lets_in_is_chosen_before_it_is_turned_on(
    house: AppServer, ada: Page, browser: Browser
) -> None:
    go(ada, f"{house.url}/playground?flow=hidden")
    publish = ada.get_by_role("button", name="Publish")
    open_menu(publish).get_by_role("button", name="Who can open it").click()
    pane = ada.get_by_role("dialog")
    pane.get_by_text("4 people can open it, once shared (authors and admins included)", exact=True).wait_for()
    pane.get_by_text("People and groups").click()
    pane.get_by_text("2 people can open it, once saved and shared").wait_for()
    still(ada)
    pane.get_by_role("combobox", name="People").click()
    ada.get_by_role("option", name="Zoe").click()
    ada.keyboard.press("Escape")  # the list; what lies behind it is out of reach till then
    pane.get_by_text("3 people can open it, once saved and shared").wait_for()
    still(ada)
    pane.get_by_role("button", name="Save").click()
    ada.get_by_test_id("stToast").get_by_text("When turned on: shared with 1 person").wait_for()
    menu = open_menu(publish)  # also while the toast is there
    menu.get_by_text("When turned on: shared with 1 person.").wait_for()
    menu.get_by_text("Shareable Playground").click()
    menu.get_by_text("Shared with 1 person. They chat here after signing in").wait_for()
    menu.get_by_role("alert").get_by_text("public_url: https://flows.example.com").wait_for()
    menu.get_by_role("link", name="View signed out").wait_for()
    copy = menu.get_by_role("button", name="Copy link")
    copy.click()
    copy.get_by_text("Copied", exact=True).wait_for()
    with visitor(browser) as bob, visitor(browser) as zoe:
        go(enter_as(bob, house, "bob"), f"{house.url}/public_flow/hidden").get_by_text(
            "You don't have access"
        ).wait_for()
        await_composer(go(enter_as(zoe, house, "zoe"), f"{house.url}/public_flow/hidden"))


def test_nothing_of_the_inside_is_on_a_visitors_wire(house: AppServer, ada: Page, page: Page) -> None:
    switch(ada, house, "echo", on=True)
    wire: list[str] = []
    enter_as(page, house, "bob")
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: wire.append(repr(frame))))
    page.on("response", lambda answer: wire.append(f"{answer.url} {answer.headers}"))
    await_composer(go(page, f"{house.url}/public_flow/echo"))
    ask(page, "hello from outside").reload()
    answers(page).get_by_text("You said: hello from outside").wait_for()
    go(page, house.url).get_by_text("Echo").first.wait_for()
    await_composer(go(page, f"{house.url}/playground?flow=echo"))
    for path in ("organization", "api_access?flow=echo", "first_account"):
        go(page, f"{house.url}/{path}")
    assert any("hello from outside" in text for text in wire)
    canaries = [*CANARIES, str(house.folder)]
    assert {canary for canary in canaries for text in wire if canary in text} == set()


def test_an_invitation_saves_whom_one_chose_and_lets_the_new_person_in(house: AppServer, ada: Page, page: Page) -> None:
    switch(ada, house, "echo", on=True)
    ada.get_by_role("button", name="Who can open it").click()
    pane = ada.get_by_role("dialog")
    pane.get_by_text("People and groups").click()
    pane.get_by_text("Not saved. Currently shared with your organization.").wait_for()
    still(ada)
    pane.get_by_role("button", name="Invite somebody new").click()
    pane.get_by_text("Echo opens for them.").wait_for()
    still(ada)
    fill(ada, User_name="nina")
    pane.get_by_role("button", name="Make the invitation").click()
    pane.get_by_role("button", name="Done").click()
    pane.wait_for(state="detached")
    go(ada, f"{house.url}/playground?flow=echo").get_by_text("Shared with 1 person").first.wait_for()
    go(enter_as(page, house, "bob"), f"{house.url}/public_flow/echo").get_by_text("You don't have access").wait_for()
