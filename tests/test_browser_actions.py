"""What happens on the way to an answer, in Debian's chromium: tools that models call, thoughts, branches, a cut."""

from tests.acme import enter_as
from tests.acting import ACTING, ASKING_FIRST, HANG, NESTED, SUM, WRONG
from tests.open_page import SETTLED, Page, answers, expect_count, flow_text, go, say, still, stop
from tests.servers import SHARED, AppServer, House

BRANCHING = """
name: Branching
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, display_name: Refund or not,
    input_text: "${ChatInput}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, display_name: Refunds, model: "scripted:echo", input_value: "${Gate.true_result}"}
  Order: {type: ConditionalRouter, display_name: Order or not,
    input_text: "${Gate.false_result}", operator: contains, match_text: order}
  Helper: {type: LanguageModel, display_name: Orders, model: "scripted:fail", input_value: "${Order.true_result}",
    step: {on_error: continue, fallback: Please call us.}}
  ChatOutput: {type: ChatOutput, input_value: "${Refund?}${Helper?}"}
"""
MODELS = {"thinks": flow_text("scripted:thinking", "Thinks"), "cut": flow_text("scripted:cut", "Cut")}
BOX = r"\begin{array}{l}" + r"\texttt{pay BOB 1}\kern9em\kern9em\kern9em \\" * 20 + r"\end{array}"
PAINTED = rf"Done. \(\mathrlap{{\smash{{\raisebox{{-7em}}{{\raisebox{{-7em}}{{\colorbox{{red}}{{${BOX}$}}}}}}}}}}\)"
"""A formula that paints a box over some 400 pixels below its line."""
DEEP = ["x^{", r"\frac{1}{", r"\sqrt{", r"\frac1"]
OVERLAP = """question => {
  const asked = question.getBoundingClientRect();
  const over = [...document.querySelectorAll(".katex-html *")].map((one) => one.getBoundingClientRect())
    .filter((box) => box.width > 9 && box.height > 9 && box.top < asked.bottom && box.bottom > asked.top);
  const covered = [];
  for (let x = asked.left + 9; x < asked.right; x += 9)
    for (let y = asked.top + 9; y < asked.bottom; y += 9)
      if (!question.contains(document.elementFromPoint(x, y))) covered.push([x, y]);
  return [over.length, covered];
}"""
"""How many parts of formulas would lie over the question, and the points where it is not what one sees."""
FLOWS = ACTING | {"careful": ASKING_FIRST, "branching": BRANCHING} | MODELS
HOUSE = House(flows=FLOWS, shared=dict.fromkeys(FLOWS, SHARED))


def ask(page: Page, house: AppServer, flow: str, name: str, text: str) -> None:
    say(go(enter_as(page, house, name), f"{house.url}/playground?flow={flow}"), text)


def await_answer(page: Page, text: str) -> None:
    answers(page).get_by_text(text).last.wait_for()
    still(page)


def list_lines(page: Page) -> list[str]:
    return answers(page).last.locator(".fg-action").all_inner_texts()


def test_a_call_opens_to_what_it_took_and_gave_and_is_kept(house: AppServer, page: Page) -> None:
    ask(page, house, "agent", "olga", f"{SUM}\n{WRONG}")
    await_answer(page, "The tools said: 42")
    for _ in range(2):
        lines = answers(page).locator("details.fg-action > summary")
        assert [text.split("\n")[0] for text in lines.all_inner_texts()] == ["Do sums", "Do sums"]
        assert "failed" in lines.nth(1).inner_text()
        lines.first.focus()
        page.keyboard.press("Enter")
        part = answers(page).locator("details.fg-action").first
        part.get_by_text("Input", exact=True).wait_for()
        part.get_by_text("42", exact=True).wait_for()
        page.reload()
        await_answer(page, "The tools said: 42")


def test_a_call_within_a_call_stands_below_it_and_many_are_one_line_at_the_end(house: AppServer, page: Page) -> None:
    ask(page, house, "agent", "olga", NESTED)
    await_answer(page, "The tools said: 2")
    outer = answers(page).locator(".fg-actions-list > .fg-action-line").first
    assert outer.locator(".fg-actions-within summary").inner_text().startswith("Do sums")
    say(page, "\n".join([SUM] * 5))
    fold = answers(page).last.locator(".fg-actions > details.fg-action")
    fold.wait_for()
    assert fold.locator("> summary").inner_text().replace("\n", " ") == "5 tool calls Do sums"
    assert not fold.locator(".fg-action-line").first.is_visible()
    fold.locator("> summary").press("Enter")
    fold.locator(".fg-action-line").nth(4).wait_for()


def test_stop_ends_a_tool_and_its_line_says_so(house: AppServer, page: Page) -> None:
    ask(page, house, "agent", "olga", HANG)
    page.locator('.fg-action-line[data-state="running"]').first.wait_for()
    stop(page)
    page.locator('.fg-action-line[data-state="stopped"]').first.wait_for()
    assert "stopped" in list_lines(page)[0]
    page.reload()
    page.locator('.fg-action-line[data-state="stopped"]').first.wait_for()


def test_a_member_sees_names_that_do_not_open_unless_the_flow_shows_them(house: AppServer, page: Page) -> None:
    for flow, opening in (("agent", 0), ("shown", 1)):
        ask(page, house, flow, "bob", SUM)
        await_answer(page, "The tools said: 42")
        assert [line.split("\n")[0] for line in list_lines(page)] == ["Do sums"]
        assert answers(page).locator("details.fg-action").count() == opening


def test_a_thought_is_apart_from_the_answer_and_a_cut_is_told(house: AppServer, page: Page) -> None:
    ask(page, house, "thinks", "olga", "Hello")
    answers(page).get_by_text("You said: Hello", exact=True).wait_for()
    line = answers(page).locator("details.fg-action > summary")
    assert line.inner_text().startswith("Thought for")
    line.click()
    answers(page).get_by_text("Somebody wrote to me.").wait_for()
    ask(page, house, "cut", "olga", "one two three")
    for _ in range(2):
        await_answer(page, "This answer was cut: it reached the longest that its model may write.")
        page.reload()


def test_a_call_that_waits_is_allowed_refused_and_not_asked_about_again(house: AppServer, page: Page) -> None:
    ask(page, house, "careful", "bob", SUM)
    question = page.get_by_role("group", name="A tool needs your approval")
    question.get_by_text("6*7").wait_for()
    page.reload()
    question.get_by_role("button", name="Refuse").press("Enter")
    await_answer(page, "The person refused it")
    assert "refused" in list_lines(page)[0]
    say(page, SUM)
    question.get_by_role("button", name="Allow in this chat").click()
    await_answer(page, "The tools said: 42")
    say(page, f"{SUM}\nonce more")
    expect_count(answers(page).get_by_text("The tools said: 42"), 2)
    page.reload()
    expect_count(answers(page).get_by_text("The tools said: 42"), 2)
    assert not question.count()
    ask(page, house, "careful", "bob", SUM)
    question.get_by_role("button", name="Allow once").click()
    await_answer(page, "The tools said: 42")


def test_the_page_says_which_branches_ran_and_which_did_not(house: AppServer, page: Page) -> None:
    ask(page, house, "branching", "olga", "a refund")
    await_answer(page, "You said: a refund")
    page.get_by_role("button", name="6 steps").click()
    skipped = page.locator('.fg-step[data-status="skipped"]')
    skipped.first.wait_for()
    assert [one.get_attribute("aria-label") for one in skipped.all()] == ["Order or not", "Orders"]
    assert "skipped" in skipped.first.inner_text()
    say(page, "my order")
    await_answer(page, "Please call us.")
    page.get_by_role("button", name="6 steps").last.click()
    page.locator('.fg-step[data-status="failed"]').get_by_text("its fallback stands for it").wait_for()
    say(page, "hello")
    for _ in range(2):
        await_answer(page, "The flow has no answer to this: none of its outputs ran.")
        page.reload()


def test_no_formula_is_painted_over_the_question_that_a_person_answers(house: AppServer, page: Page) -> None:
    ask(page, house, "careful", "bob", PAINTED)
    answers(page).locator(".katex").wait_for(state="attached")
    say(still(page), SUM)
    question = page.get_by_role("group", name="A tool needs your approval")
    question.get_by_text("6*7").wait_for()
    page.wait_for_function(SETTLED)
    over, covered = question.evaluate(OVERLAP)
    assert over > 0
    assert covered == []


def test_a_formula_of_countless_levels_is_letters_and_the_page_lives(house: AppServer, page: Page) -> None:
    said = [f"$${one * 200}x{'}' * (200 * one.count('{') - 200 * one.count('}'))}$$" for one in DEEP]
    ask(page, house, "careful", "bob", "\n\n".join([*said, "$$" + "x^{" * 40 + "x" + "}" * 40 + "$$"]))
    for _ in range(2):
        expect_count(answers(page).locator(".fg-math.fg-failed"), len(DEEP))
        answers(page).locator(".fg-math .katex").wait_for()
        assert answers(page).locator(".fg-math.fg-failed").all_inner_texts() == said
        page.reload()
