"""`test`: the tests that stand in flow files."""

import re
from textwrap import indent
from xml.etree import ElementTree

import pytest

from tests.command_line import Here
from tests.documents import blocks
from tests.servers import SHIPPED_FLOWS, write_folder

GATE = """\
components:
  In: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${In}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, model: "openai:gpt-5-mini", input_value: "${Gate.true_result}"}
  Other: {type: LanguageModel, input_value: "${Gate.false_result}"}
  Out: {type: ChatOutput, input_value: "${Refund?}${Other?}"}
tests:
"""
IN_AND_OUT = """\
components:
  In: {type: ChatInput}
  %s
  Out: {type: ChatOutput, input_value: "%s"}
tests:
"""
ROUTER = 'Route: {type: SmartRouter, input_text: "${In}", routes: {a: Apples, b: Bread}}'
ROUTE = IN_AND_OUT % (ROUTER, "a ${Route.a?}|b ${Route.b?}")


def run_gate(here: Here, *tests: str, flow: str = GATE) -> tuple[str, list[str]]:
    """Of each test whether it is ok (`.`) or fails (`F`), and all lines."""
    lines = here("test", write_gate(here, *tests, flow=flow)).out.splitlines()
    return "".join("." if line[:4] == "ok  " else "F" for line in lines if "flows/" in line), lines


def write_gate(here: Here, *tests: str, flow: str = GATE) -> str:
    lines = "".join(f"  - {test}\n" for test in tests)
    (here.folder / "flows" / "gate.yaml").write_text(flow + lines, "utf-8")
    return "gate"


def test_a_flow_is_tested_without_its_own_models(here: Here) -> None:
    write_gate(
        here,
        '{message: a refund, expect: {equals: "You said: a refund", takes: Refund, skips: [Other]}}',
        "{message: hi, expect: {takes: [Other, Out], skips: [Refund], calls: {Other: 1, Refund: 0}, max_tokens: 4}}",
    )
    said = here("test", "gate")
    assert (said.code, said.err) == (0, "2 tests of 1 flow, all passed.\n")
    told = [line.partition(" (")[0] for line in said.out.splitlines()]
    assert told == ["ok   flows/gate.yaml:8 a refund", "ok   flows/gate.yaml:9 hi"]


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        (
            "equals: 'You said: my'",
            "equals: the answer is another (- expected, + given).\n"
            "    - You said: my\n    + You said: hi there\n                ^",
        ),
        ("contains: [hi, nope, neither]", 'contains: the answer lacks "nope", "neither".\n      You said: hi there'),
        ("matches: ['hi', '^hi']", 'matches: nothing in the answer matches "^hi".\n      You said: hi there'),
        ("schema: {type: object}", "schema: the answer is no JSON.\n      You said: hi there"),
        ("data: {hi: there}", "data: the answer is no JSON.\n      You said: hi there"),
        ("fails: nothing", "fails: the turn did not fail.\n      You said: hi there"),
        ("takes: Refund", "takes: `Refund` was skipped."),
        ("skips: [Refund, Other]", "skips: `Other` ran."),
        ("calls: {Other: 2}", "calls: `Other` asked a model 1 time, not 2."),
        ("max_tokens: 5", "max_tokens: the turn used 6 tokens, more than 5."),
        ("max_seconds: 0.0000001", "max_seconds: the turn took N s, more than 1e-07."),
    ],
    ids=lambda value: value.partition(":")[0],
)
def test_each_expectation_tells_what_differs(here: Here, expect: str, says: str) -> None:
    said = here("test", write_gate(here, f"{{message: hi there, expect: {{{expect}}}}}"))
    assert (said.code, said.err) == (1, "1 test of 1 flow, 1 failed.\n")
    first, below = said.out.split("\n", 1)
    assert first.startswith("FAIL flows/gate.yaml:8 hi there (")
    assert re.sub(r"took \d+\.\d\d s", "took N s", below.rstrip("\n")) == indent(says, "     ")


def test_who_asks_is_known_of_a_tool_and_where_other_fields_are_filled(here: Here) -> None:
    flow = """\
components:
  In: {type: ChatInput}
  Heat: {type: TypeConverter, input_data: "1"}
  Model: {type: LanguageModel, input_value: "${In}", temperature: "${Heat}"}
  Agent: {type: Agent, input_value: "call Expert x", tools: [Expert]}
  Expert: {type: Agent}
  Out: {type: ChatOutput, input_value: "${Model}|${Agent}"}
tests:
"""
    replies = "{Model: one, Expert: two}"
    expect = '{equals: "one|The tools said: two", calls: {Model: 1, Expert: 1, Agent: 2}}'
    assert run_gate(here, f"{{message: hi, replies: {replies}, expect: {expect}}}", flow=flow)[0] == "."


def test_replies_say_what_a_model_answers(here: Here) -> None:
    tests = [
        "{message: x, replies: {Route: {route: b}}, expect: {equals: a |b x, calls: {Route: 1}}}",
        '{message: x, replies: {Route: \'{"route": "a"}\'}, expect: {equals: a x|b}}',
        "{message: x, replies: {Route: [so so, {route: b}]}, expect: {equals: a |b x, calls: {Route: 2}}}",
        "{message: x, replies: {Route: [so so]}}",
    ]
    states, lines = run_gate(here, *tests, flow=ROUTE)
    assert (states, "The test has 1 reply for `Route`, which asked once more." in lines[-1]) == ("...F", True)


def test_models_of_flows_within_are_scripted_too(here: Here) -> None:
    inner = IN_AND_OUT % ('Model: {type: LanguageModel, model: "openai:gpt-5-mini", input_value: "${In}"}', "${Model}")
    (here.folder / "flows" / "billing.yaml").write_text(inner, "utf-8")
    outer = IN_AND_OUT % ('Ask: {type: RunFlow, flow: billing, input_value: "${In}"}', "${Ask}")
    tests = [
        "{message: hi, expect: {equals: 'You said: hi', calls: {billing.Model: 1}}}",
        "{message: hi, replies: {billing.Model: paid}, expect: {equals: paid}}",
        "{message: hi, replies: {billing.Modle: paid}}",
    ]
    states, lines = run_gate(here, *tests, flow=outer)
    wrong = "There is no `billing.Modle` that a test replies to (did you mean billing.Model?)"
    assert (states, lines[-1].strip()) == ("..F", wrong)
    assert here("test", "flows/gate.yaml").last_line.strip() == wrong


def test_turns_are_one_conversation_and_tests_are_not(here: Here) -> None:
    flow = IN_AND_OUT % ("Before: {type: MessageHistory}", "${Before}|${In}")
    turns = [
        "{turns: [{message: one, expect: {equals: '|one'}}, {message: two, expect: {contains: 'User: one'}}]}",
        "{turns: [{message: one}, {message: two, expect: {equals: '|two'}}, {message: never}]}",
        "{message: two, expect: {equals: '|two'}}",
    ]
    states, lines = run_gate(here, *turns, flow=flow)
    assert (states, lines[2]) == (".F.", '     turn 2 of 3, "two":')
    assert "never" not in "".join(lines)


def test_overrides_are_an_authors_tweaks_and_a_turn_that_fails_fails_its_test(here: Here) -> None:
    tests = [
        "{message: hi, model: 'scripted:json', overrides: {Other: {temperature: 0.5}}, expect: {contains: '0.5'}}",
        "{message: hi, overrides: {Other: {temprature: 0.5}}}",
        "{message: hi, overrides: {Other: {temperature: 9}}}",
        "{message: hi, overrides: {Other: {model: local}}}",
    ]
    states, lines = run_gate(here, *tests, "{message: hi, model: 'scripted:fail'}", "{message: hi, model: 'opnai:x'}")
    assert states == ".FFFFF"
    told = ("`temperature`", "0 to 2", "protected", "Component 'Other' failed: The scripted model fails.", "opnai")
    assert [words in line for words, line in zip(told, lines[2::2], strict=True)] == [True] * 5


def test_a_turn_may_be_expected_to_fail(here: Here) -> None:
    tests = [
        "{model: 'scripted:fail', expect: {fails: [Other, model fails], skips: Refund, takes: In, calls: {Other: 1}}}",
        "{model: 'scripted:fail', expect: {fails: is away, takes: Other}}",
        "{overrides: {Other: {temperature: 9}}, expect: {fails: 0 to 2}}",
        "{turns: [{replies: {Other: []}, expect: {fails: 0 replies}}, {message: ho, expect: {contains: ho}}]}",
        "{replies: {Nobody.Model: x}, expect: {fails: Nobody}}",
    ]
    nested = NESTED.replace("flow: billing", "flow: gate").replace("tests:\n", "tests:\n  - " + tests[4])
    (here.folder / "flows" / "nested.yaml").write_text(nested, "utf-8")
    states, lines = run_gate(here, *tests[:4])
    assert states == ".F.."
    assert lines[2:5] == [
        '     fails: the reason lacks "is away".',
        "           Component 'Other' failed: The scripted model fails.",
        "     takes: `Other` did not run.",
    ]
    assert here("test", "nested").out.startswith("FAIL")  # a test that cannot be is no turn that fails


RECORDS = IN_AND_OUT % ('Rows: {type: TypeConverter, input_data: "${In}", output_type: Table}', "${Rows}")


def test_an_answer_that_is_data_is_compared_as_data(here: Here) -> None:
    said = '[{"what": "tea", "price": 3}, {"text": "cup"}]'
    right, wrong = "[{price: 3, what: tea}, {text: cup}]", "[{price: 4, what: tea}, {text: cup}]"
    tests = [f"{{message: '{said}', expect: {{data: {data}}}}}" for data in (right, wrong)]
    tests.append(f"{{message: '{said}', expect: {{schema: {{type: array, items: {{type: object}}}}}}}}")
    states, lines = run_gate(here, *tests, flow=RECORDS)
    assert states == ".F."
    assert lines[2] == "     data: the answer is other data (- expected, + given)."
    assert '         -     "price": 4,' in lines
    assert '         +     "price": 3,' in lines
    test = """{message: hi, replies: {Other: '{"a": [1]}'}, expect: {data: {a: [1]}}}"""
    assert run_gate(here, test)[0] == "."


NESTED = """\
components:
  In: {type: ChatInput}
  Ask: {type: RunFlow, flow: billing, input_value: "${In}"}
  Again: {type: ForEach, data: [one, "a refund"], flow: billing}
  Out: {type: ChatOutput, input_value: "${Ask} ${Again}"}
tests:
"""


def test_what_ran_in_flows_within_is_told_too(here: Here) -> None:
    (here.folder / "flows" / "billing.yaml").write_text(GATE.partition("tests:")[0], "utf-8")
    tests = [
        "{message: hi, expect: {takes: [Ask, billing.Other, billing.Refund], skips: []}}",
        "{message: hi, expect: {skips: billing.Refund}}",
        "{message: hi, expect: {takes: billing.Refnd}}",
    ]
    states, lines = run_gate(here, *tests, flow=NESTED)
    assert states == ".FF"
    assert lines[2] == "     skips: `billing.Refund` ran."
    assert lines[4] == "     There is no `billing.Refnd` among the components (did you mean billing.Refund?)"
    once = NESTED.replace('data: [one, "a refund"]', "data: [one]")
    test = "{message: hi, expect: {takes: billing.Other, skips: [billing.Refund]}}"
    assert run_gate(here, test, flow=once)[0] == "."


def test_another_model_is_asked_instead_of_all_and_of_replies(here: Here) -> None:
    test = "{message: hi, model: 'scripted:fail', replies: {Other: no}, expect: {contains: '\"content\": \"hi\"'}}"
    write_gate(here, test)
    assert here("test", "gate").code == 1
    assert here("test", "gate", "--model", "scripted:json").code == 0
    said = here("test", "gate", "--model", "scripted:jsno")
    assert (said.code, said.out) == (1, "")
    assert "did you mean json?" in said.err


def test_the_scripted_model_is_the_same_under_every_configuration_and_nothing_is_stored(here: Here) -> None:
    write_folder(here.folder, config={"providers": {"scripted": {"pieces": ["other"]}}}, flows={})
    write_gate(here, '{message: hi, expect: {equals: "You said: hi"}}')
    before = sorted(here.folder.rglob("*"))
    assert here("test").code == 0
    assert sorted(here.folder.rglob("*")) == before


def test_all_flows_are_tested_and_files_with_mistakes_told(here: Here) -> None:
    write_gate(here, "{message: hi}")
    (here.folder / "flows" / "broken.yaml").write_text("components: {A: {type: ChatInputt}}\n", "utf-8")
    says = "flows/broken.yaml:1:24: There is no component type 'ChatInputt'"
    untested = "Not tested, since there are mistakes in it: flows/broken.yaml."
    all_told = ["Without tests: ask, echo, shout.", untested, "1 test of 1 flow, all passed."]
    for arguments, told in ((("--junit", "out.xml"), all_told), (("broken",), [untested])):
        said = here("test", *arguments)
        assert (said.code, said.out.startswith(says), said.err.splitlines()) == (1, True, told)
    error = ElementTree.parse(here.folder / "out.xml").find("testsuite[@name='flows/broken.yaml']/testcase/error")
    assert error is not None
    assert here("run", "broken", "--message", "hi").err.startswith(says)
    assert here("keys", "create", "one", "--flow", "broken").err.startswith(says)


def test_junit_holds_whatever_an_answer_holds(here: Here) -> None:
    hostile = '{name: "<&\\x01>", message: "\\x02 ]]> & <b>", expect: {contains: "\\x03"}}'
    write_gate(here, hostile, "{message: refund}")
    assert here("test", "gate", "--junit", "out.xml").code == 1
    suite = ElementTree.parse(here.folder / "out.xml").getroot()[0]
    assert suite.attrib == {"name": "gate", "tests": "2", "failures": "1", "errors": "0"}
    first, second = suite
    assert (first.get("classname"), first.get("name"), first.get("line")) == ("gate", "<&\ufffd>", "8")
    assert "]]> & <b>" in (first[0].text or "")
    assert (second.get("name"), len(second), second.get("file")) == ("refund", 0, "flows/gate.yaml")
    said = here("test", "gate", "--junit", "nowhere/out.xml")
    assert (said.code, said.err.splitlines()[-1]) == (1, "nowhere/out.xml: No such file or directory")


def test_the_shipped_flows_pass_their_tests(here: Here) -> None:
    files = sorted(SHIPPED_FLOWS.glob("*.yaml"))
    assert len(files) >= 5
    write_folder(here.folder, config={"default_model": "scripted", "flows": str(SHIPPED_FLOWS)}, flows={})
    said = here("test")
    assert said.code == 0, said.out
    assert f"\n{said.out}".count("\nok ") >= 2 * len(files)


def test_the_examples_of_the_format_page_pass_and_one_fails_as_it_says(here: Here) -> None:
    page = [block.text for block in blocks("yaml") if "tests:" in block.text and "flow-format" in block.file]
    example, shop = (text for text in page if "cites:" not in text)
    assert here("test", write_gate(here, flow=shop)).code == 0
    file = here.folder / "flows" / "refunds.yaml"
    file.write_text(example, "utf-8")
    said = here("test", "refunds")
    assert (said.code, said.err) == (0, "4 tests of 1 flow, all passed.\n")
    wrong = example.replace("Refund: Refunds take 30 days.", "Refund: Refunds take 14 days.")
    file.write_text(wrong, "utf-8")
    (shown,) = (block.text for block in blocks("text") if block.text.startswith("FAIL"))
    first, *others = here("test", "refunds").out.splitlines()[:3]
    assert (first.partition(" (")[0], others) == (shown.partition(" (")[0], shown.splitlines()[1:])
