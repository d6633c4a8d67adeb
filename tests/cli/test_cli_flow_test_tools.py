"""`test`: what the tests of flows say of tools that were called, and of passages that are cited."""

import pytest

from tests.cli.test_cli_flow_tests import run_gate, write_gate
from tests.command_line import Here
from tests.documents import blocks

SHOP = """\
components:
  In: {type: ChatInput}
  Agent: {type: Agent, input_value: "${In}", tools: [Sum, Books]}
  Sum: {type: Calculator}
  Books: {type: APIRequest, url_input: "https://books.example.com/{title}"}
  Out: {type: ChatOutput, input_value: "${Agent}"}
tests:
"""


@pytest.mark.parametrize(
    ("said", "replies", "ran"),
    [
        ('call Books {"title": "Emma"}', "", False),
        ('call Books {"titel": "Emma"}', "Books: a book", False),
        ("call Books {}", "Books: a book", False),
        ('call Books {"title": "Emma"}', "Books: []", False),
        ('call Books {"title": "Emma"}', "Books: {status_code: 404, result: none}", True),
        ('call Sum {"expression": "six"}', "", True),
        ('call Books {"titel": 1} and call Books {"title": "Emma"}', "Books: a book", True),
    ],
)
def test_a_call_that_nothing_came_of_is_none_that_the_flow_takes(
    here: Here, said: str, replies: str, ran: bool
) -> None:
    tool = said.split()[1]
    test = f"{{message: '{said}', replies: {{{replies}}}, expect: {{%s: {tool}}}}}"
    tests = [test % word for word in ("takes", "skips")]
    states, lines = run_gate(here, *tests, flow=SHOP)
    assert states == (".F" if ran else "F.")
    assert (f"     skips: `{tool}` ran." if ran else f"     takes: `{tool}` did not run.") in lines


def test_a_tool_that_is_not_called_did_not_run(here: Here) -> None:
    called = '{message: "call Sum 1+1", expect: {takes: Sum, skips: Books}}'
    states, lines = run_gate(here, called, "{message: hi, expect: {takes: [Sum, Out], skips: Books}}", flow=SHOP)
    assert (states, lines[-1]) == (".F", "     takes: `Sum` did not run.")


def test_a_test_says_with_which_arguments_tools_are_called(here: Here) -> None:
    said = 'call Books {"title": "Emma"} and call Books {"title": "Persuasion"} and call Books {"titel": "Sanditon"}'
    expected = [
        "{Books: {title: Emma}}",
        "{Books: [{title: Persuasion}, {title: Emma}]}",
        "{Books: {title: Sanditon}}",
        "{Books: {titel: Sanditon}}",
        "{Sum: {}}",
    ]
    tests = [f"{{message: '{said}', replies: {{Books: x}}, expect: {{arguments: {one}}}}}" for one in expected]
    states, lines = run_gate(here, *tests, flow=SHOP)
    assert states == "..FFF"
    assert lines[3:6] == [
        '     arguments: no call of `Books` had {"title": "Sanditon"}.',
        '           {"title": "Emma"}',
        '           {"title": "Persuasion"}',
    ]
    assert lines[-1] == "     arguments: `Sum` was not called."


def test_a_call_that_cannot_be_shown_to_who_allows_it_is_none(here: Here) -> None:
    posts = SHOP.replace("{title}", "books/{title}").replace("APIRequest,", "APIRequest, method: POST,")
    test = '{message: \'call Books {"title": "%s"}\', expect: {skips: Books}}'
    assert run_gate(here, test % "Emma", test % "..", flow=posts)[0] == ".."


def test_a_test_says_what_the_answer_cites(here: Here) -> None:
    (flow,) = (block.text for block in blocks("yaml") if "cites:" in block.text and "flow-format" in block.file)
    folder = here.folder / "flows" / "knowledge" / "travel"
    folder.mkdir(parents=True)
    (folder / "hotels.md").write_text("A night in a hotel is paid up to 120 euros.\n", "utf-8")
    (folder / "trains.md").write_text("Trains are paid in second class.\n", "utf-8")
    assert here("test", write_gate(here, flow=flow)).code == 0
    cited = flow.partition("cites: hotels.md")
    for expected, told in (
        ("cites: knowledge/travel/hotels.md", ""),
        ("cites: [hotels.md, trains.md]", '     cites: the answer does not cite "trains.md".'),
        ("cites: otels.md", '     cites: the answer does not cite "otels.md".'),
    ):
        said = here("test", write_gate(here, flow=cited[0] + expected + cited[2]))
        assert (said.code, told in said.out) == (1 if told else 0, True), said.out
    end = ["         The answer:", "           Up to 120 euros [1]."]
    assert said.out.splitlines()[-3:] == ["           knowledge/travel/hotels.md", *end]
    said = here("test", write_gate(here, flow=flow.replace("[1]", "[1, 7]")))
    assert "     cites: the answer cites [7], and no such passage was found.\n" in said.out
    said = here("test", write_gate(here, flow=flow.replace("[1]", "")))
    end = ["           (nothing)", "         The answer:", "           Up to 120 euros ."]
    assert said.out.splitlines()[-3:] == end


def test_with_a_model_of_ones_own_replies_stand_for_servers_and_nobody_is_asked_about_these_alone(here: Here) -> None:
    flow = """\
components:
  In: {type: ChatInput}
  Agent: {type: Agent, input_value: "${In}", tools: [Book, {use: Expert, confirm: true}]}
  Book: {type: APIRequest, method: POST, url_input: "https://books.example.com/{title}"}
  Expert: {type: Agent, tools: [], step: {description: Knows all.}}
  Out: {type: ChatOutput, input_value: "${Agent}"}
tests:
"""
    said = 'call Book {"title": "Emma"} and call Expert {"input_value": "Who?"}'
    test = f"{{message: '{said}', replies: {{Book: a book, Expert: Me.}}, expect: {{takes: [Book, %s]}}}}"
    write_gate(here, test % "Expert", flow=flow)
    assert here("test", "gate").code == 0
    told = here("test", "gate", "--model", "scripted")
    assert (told.code, told.out.splitlines()[1:]) == (1, ["     takes: `Expert` did not run."])
    write_gate(here, (test % "Out").replace("}}}", "}, skips: Expert}}").replace("]}, skips", "], skips"), flow=flow)
    assert here("test", "gate", "--model", "scripted").code == 0
