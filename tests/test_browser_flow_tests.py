"""*Make it a test* and the tests on *Inside*, in Debian's chromium: for the owner of this computer, and for authors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acme import enter_as
from tests.open_page import Page, ask, fill, go
from tests.servers import SHARED, AppServer, House
from tests.test_local_mode import code_of
from tests.waiting import eventually

FLOW = """\
name: Refunds
components:
  In: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${In}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, model: scripted, input_value: "${Gate.true_result}"}
  Other: {type: LanguageModel, model: scripted, input_value: "${Gate.false_result}"}
  Out: {type: ChatOutput, input_value: "${Refund?}${Other?}"}
tests:
  - {message: a refund, expect: {contains: 30 days}}  # no model says so yet
"""
ADDED = """\
  - message: hello
    replies: {Other: 'You said: hello'}
    expect:
      equals: 'You said: hello'
      takes: [Other]
      skips: [Refund]
"""
HOUSE = House(flows={"refunds": FLOW}, shared={"refunds": SHARED})


def make_test(page: Page, server: AppServer) -> None:
    ask(go(page, f"{server.url}/playground?flow=refunds"), "hello")
    page.get_by_role("button", name="Make it a test").click()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[AppServer]:
    """The local owner's app."""
    with AppServer(tmp_path, flows={"refunds": FLOW}) as server:
        yield server


def test_the_owner_writes_a_turn_into_the_file_and_runs_the_tests(alone: AppServer, page: Page) -> None:
    make_test(page, alone)
    fill(page, Owner_code=code_of(alone))
    page.keyboard.press("Enter")
    field = page.get_by_role("textbox", name="Text of refunds.yaml")
    eventually(lambda: field.input_value() == FLOW + ADDED)
    file = alone.folder / "flows" / "refunds.yaml"
    assert file.read_text("utf-8") == FLOW
    page.get_by_text("Not saved yet.").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved: what stands here answers.").wait_for()
    assert file.read_text("utf-8") == FLOW + ADDED

    go(page, f"{alone.url}/inside?flow=refunds").get_by_text("2 tests. Not run since the server started.").wait_for()
    page.get_by_role("button", name="Run the tests").click()
    page.get_by_text("1 test of 2 failed").wait_for()
    page.get_by_text('contains: the answer lacks "30 days".').wait_for()
    page.get_by_text("hello · line 10 · 0.").wait_for()
    go(page, page.url).get_by_text("1 test of 2 failed").wait_for()
    file.write_text(FLOW.replace("30 days", "refund"), "utf-8")
    page.get_by_text("1 test. The flow has changed since they were run.").wait_for()
    page.get_by_role("button", name="Run the test").click()
    page.get_by_text("All passed").wait_for()


def test_an_author_copies_the_test_and_a_member_is_offered_nothing(house: AppServer, page: Page) -> None:
    make_test(enter_as(page, house, "olga"), house)
    page.get_by_role("dialog").get_by_text("- message: hello").wait_for()
    assert (house.folder / "flows" / "refunds.yaml").read_text("utf-8") == FLOW
    ask(go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=refunds"), "hello")
    assert page.get_by_role("button", name="Make it a test").count() == 0
