"""What a page may send, told apart before anything is asked, and messages and failures as a page is sent them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from flowground.core.errors import InvalidRequest, ProviderBusy, StoppedByAdmin
from flowground.core.events import ComponentFinished, InnerRun
from flowground.core.messages import Usage
from flowground.store.runs.records import VALUE_MOST, StoredMessage
from flowground.ui.conversation.frames import SayFrame, UnreadableFrame, read_frame
from flowground.ui.conversation.messages import (
    OUTSIDE,
    Visibility,
    write_failure,
    write_message,
    write_messages,
    write_steps,
)
from tests.flow_texts import components, wired

SAY: dict[str, Any] = {"type": "say", "id": "1", "session": "s", "text": "hi"}
OPEN: dict[str, Any] = {"type": "open", "session": "s"}
RATE: dict[str, Any] = {"type": "rate", "session": "s", "message": "m", "value": None}
MANY = 5_000


def after(number: int) -> dict[str, Any]:
    """A page that was cut off says how far it came."""
    return OPEN | {"after": {"run": "r", "number": number}}


DECIDE = {"type": "decide", "run": "r", "call": 2**31, "digest": "d", "decision": "once"}
FILES = ["f"] * 50
READ = (
    *(SAY, SAY | {"id": "~" * 64, "session": "x" * 200, "files": FILES}, OPEN, after(1), after(2**53)),
    *({"type": "stop"}, RATE, DECIDE, DECIDE | {"call": 1}),
)


@pytest.mark.parametrize("sent", READ)
def test_what_pages_send_is_read(sent: dict[str, Any]) -> None:
    read = json.loads(read_frame(json.dumps(sent)).model_dump_json())
    assert read.items() >= sent.items()


REFUSED: dict[str, list[dict[str, Any]]] = {
    "type": [{}, {"type": "shout"}, {"type": ["say"]}],
    "id": [SAY | {"id": "", "more": 1}, *(SAY | {"id": name} for name in ("", "~" * 65, 7, "a b"))],
    "session": [SAY | {"session": name} for name in ("", "x" * 201)],
    "files": [SAY | {"files": [*FILES, "f"]}],
    "call": [DECIDE | {"call": 0}, DECIDE | {"call": 2**31 + 1}],
    "tweaks": [SAY | {"tweaks": []}],
    "more": [SAY | {"more": 1}],
    "m" * 64: [SAY | {"m" * 100: 1}],
    "before": [OPEN | {"type": "earlier", "before": "a\x00b"}],
    "message": [OPEN | {"type": "steps", "message": "\x00"}, RATE | {"message": "x" * 65}, RATE | {"message": "é"}],
    "after.number": [after(0), after(2**53 + 1)],
    "value": [OPEN | {"type": "rate", "message": "m"}, RATE | {"value": "perfect"}, RATE | {"value": True}],
    "reason": [RATE | {"reason": "more than is taken"}],
}


@pytest.mark.parametrize("place", REFUSED)
def test_any_other_shape_is_refused_by_its_place(place: str) -> None:
    for sent in REFUSED[place]:
        with pytest.raises(InvalidRequest) as caught:
            read_frame(json.dumps(sent))
        told = f"This page sent something that the server does not know: {place}."
        assert (caught.value.message, caught.value.hint) == (told, "Reload the page.")


@pytest.mark.parametrize("sent", ["", "x", "[]", "1", "null", '"text"', "{", '{"type": "say"'])
def test_what_is_no_object_is_unreadable(sent: str) -> None:
    with pytest.raises(UnreadableFrame, match="no JSON object"):
        read_frame(sent)


def make_parts(count: int) -> str:
    """A frame of just so many commas and brackets, in a place where they count."""
    own = SAY | {"tweaks": {"Model": {"stop": []}}}
    text = json.dumps(own, separators=(",", ":"))
    extra = count - sum(text.count(sign) for sign in ",[{")
    return text.replace("[]", json.dumps([0] * (extra + 1), separators=(",", ":")))


def test_a_frame_has_five_thousand_parts_at_most() -> None:
    read = read_frame(make_parts(MANY))
    assert isinstance(read, SayFrame)
    assert len(read.tweaks["Model"]["stop"]) > 4_900
    for frame in (make_parts(MANY + 1), "[" + ",".join(['"x"'] * (2 * MANY + 1)) + "]"):
        with pytest.raises(UnreadableFrame, match="too many parts"):
            read_frame(frame)
    assert isinstance(read_frame(make_parts(MANY).replace('"hi"', '"h,i"')), SayFrame)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_frame_has_two_hundred_levels_at_most(opening: str, closing: str) -> None:
    """Its own, those of the tweaks and of their component, and what lies in the field."""

    def nest(levels: int) -> str:
        own = json.dumps(SAY | {"tweaks": {"Model": {"stop": None}}})
        return own.replace("null", opening * (levels - 3) + "0" + closing * (levels - 3))

    assert isinstance(read_frame(nest(200)), SayFrame)
    for levels in (201, 900, 1_020):
        with pytest.raises(UnreadableFrame, match="That had too many levels"):
            read_frame(nest(levels))


SEES = Visibility(inside=True, tools=True)
AT = datetime(2026, 12, 3, 12, tzinfo=UTC)
QUESTION = StoredMessage("q", "user", "Why?", "complete", AT, run_id="r")
ANSWER = StoredMessage("a", "assistant", "So.", "complete", AT, run_id="r", model="m", usage=Usage(3, 4), seconds=1.5)
HIDDEN = {"text": OUTSIDE, "hint": "Try again in a moment; if it stays so, tell its author."}


def list_ids(*messages: StoredMessage, **more: Any) -> list[str]:
    return [told["id"] for told in write_messages(messages, visibility=SEES, **more)]


def test_a_question_that_nobody_answered_counts_as_interrupted() -> None:
    [asked, nothing] = write_messages([QUESTION], visibility=Visibility())
    assert (asked["text"], asked["state"]) == ("Why?", "complete")
    assert nothing == {
        "id": "q:none", "role": "assistant", "text": "", "state": "interrupted", "at": AT.isoformat(), "run": "r",
    }  # fmt: skip
    assert list_ids(QUESTION, ANSWER) == ["q", "a"]
    assert list_ids(QUESTION, running={"r"}) == ["q"]
    assert list_ids(QUESTION, is_newest=False) == ["q"]
    again = replace(QUESTION, id="q2", run_id="r2")
    assert list_ids(QUESTION, again, is_newest=False) == ["q", "q:none", "q2"]
    assert list_ids(QUESTION, again, ANSWER) == ["q", "q2", "a"]
    assert list_ids(replace(QUESTION, run_id=None), replace(ANSWER, run_id=None)) == ["q", "a"]


def test_outsiders_get_no_fact_and_no_reason() -> None:
    seen, unseen = (write_message(ANSWER, visibility=sight) for sight in (SEES, Visibility()))
    assert seen == unseen | {"facts": {"model": "m", "seconds": 1.5, "tokens": {"input": 3, "output": 4}, "steps": 0}}
    assert unseen["by_model"] is True
    assert write_message(replace(ANSWER, model=None, usage=None), visibility=SEES)["facts"]["tokens"] is None
    assert write_message(replace(ANSWER, model=None), visibility=Visibility())["by_model"] is False
    failed = replace(ANSWER, state="failed", text="", error="The key is wrong.")
    assert write_message(failed, visibility=Visibility())["error"] == HIDDEN
    assert write_message(failed, visibility=SEES)["error"] == {"text": "The key is wrong.", "hint": None}
    placed = replace(failed, error="Component 'Model' failed: No key.")
    told = {"text": "No key. This happened in the component `Model`.", "hint": None}
    assert write_message(placed, visibility=SEES)["error"] == told
    assert "error" not in write_message(failed, visibility=SEES, says_why=False)
    stopped = replace(failed, state="stopped", error=StoppedByAdmin().message)  # which is for everybody
    told = write_message(stopped, visibility=Visibility())["error"]
    assert told == write_failure(StoppedByAdmin(), sees_inside=False) == {"text": stopped.error, "hint": None}


def test_rows_of_a_release_before_have_the_reason_in_their_text() -> None:
    old = replace(ANSWER, state="failed", text="It broke.", error=None)
    told = write_message(old, visibility=SEES)
    assert (told["text"], told["error"]["text"]) == ("", "It broke.")
    assert write_message(replace(old, error="It broke.", text="Half"), visibility=SEES)["text"] == "Half"


@pytest.mark.parametrize(("wait", "when"), [(5, "5 s"), (90, "2 min")])
def test_a_failure_says_when_it_may_go_well(wait: int, when: str) -> None:
    error = ProviderBusy("No.", status=429, retry_after=wait)
    told = {"text": "No.", "hint": f"Try again in {when}.", "seconds": wait}
    assert write_failure(error, sees_inside=True) == told
    told |= {"text": OUTSIDE, "hint": f"Try again in {when}; if it stays so, tell its author."}
    assert write_failure(error, sees_inside=False) == told


INNER = wired("""\
    components:
      ChatInput: {type: ChatInput}
      ChatOutput: {type: ChatOutput, input_value: "${ChatInput}"}
    """)
OUTER = wired("""\
    components:
      ChatInput: {type: ChatInput}
      Gate: {type: ConditionalRouter, input_text: "${ChatInput}", operator: contains, match_text: x}
      Model: {type: LanguageModel, display_name: The model, input_value: "Say ${ChatInput}: ${Gate.true_result?}"}
      ChatOutput: {type: ChatOutput, input_value: "${Model}"}
    """)


def test_a_step_has_the_name_that_the_flow_shows_and_what_it_took() -> None:
    step = ComponentFinished("Model", "LanguageModel", 0.5, "So.", Usage(1, 2), "m", at=0.25)
    told: dict[str, Any] = {"type": "LanguageModel", "at": 0.25, "seconds": 0.5, "model": "m"}
    told |= {"tokens": {"input": 1, "output": 2}, "text": "So.", "status": "done", "id": "Model"}
    took = [
        {"id": "ChatInput", "port": "message", "is_optional": False, "name": "Chat Input"},
        {"id": "Gate", "port": "true_result", "is_optional": True, "name": "If-Else"},
    ]
    takes = {"field": "input_value", "text": "Say ${ChatInput}: ${Gate.true_result?}", "from": took}
    assert write_steps([step], OUTER) == [told | {"name": "The model", "takes": [takes]}]
    gone = write_steps([structs.replace(step, component_id="Gone")], OUTER)
    assert gone == [told | {"id": "Gone", "name": "Gone", "takes": []}]


def test_flows_that_a_step_ran_have_steps_with_names_of_their_own() -> None:
    inner = ComponentFinished("ChatOutput", "ChatOutput", 0.1, "hi", at=1.2)
    outer = replace(OUTER, flow=replace(OUTER.flow, id="outer"), inner_flows={"inner": INNER})
    other = InnerRun("unknown", "Other", 1.4, 0.1, (inner,), "It broke.")
    runs = (InnerRun(INNER.id, "Inner", 1.0, 0.3, (inner,)), other)
    (step,) = write_steps([ComponentFinished("Each", "ForEach", 1, "", inner=runs, inner_count=1_000)], outer)
    assert step["inner_count"] == 1_000
    first, second = step["inner"]
    assert (first["name"], first["at"], first["error"]) == ("Inner", 1.0, None)
    assert (first["steps"][0]["name"], first["steps"][0]["takes"][0]["text"]) == ("Chat Output", "${ChatInput}")
    assert (second["error"], second["steps"][0]["name"], second["steps"][0]["takes"]) == ("It broke.", "ChatOutput", [])


def test_what_fields_hold_is_bounded() -> None:
    value = "y" * 5_000 + " ${ChatInput}"
    many = "\n".join(f"P{n}: {{type: Prompt, template: '{{x}}', x: '{value}'}}" for n in range(100))
    flow = wired(components(f"ChatInput: {{type: ChatInput}}\n{many}"))
    steps = write_steps([ComponentFinished(f"P{n}", "Prompt", 0, "") for n in range(100)], flow)
    texts = [taken["text"] for step in steps for taken in step["takes"]]
    assert (len(texts), max(map(len, texts))) == (100, 1_000)
    assert sum(map(len, texts)) <= 40_000


def test_an_answer_of_another_kind_is_told_to_everybody_as_json() -> None:
    answer = StoredMessage("a", "assistant", "A", "complete", AT, value=[{"text": "A", "n": 1}], kind="records")
    for sight in (SEES, Visibility()):
        told = write_message(answer, visibility=sight)
        assert (told["text"], told["value"]) == ("A", '{"records":[{"text":"A","n":1}]}')
    assert "value" not in write_message(replace(answer, value=None, kind="text"), visibility=SEES)
    assert "value" not in write_message(replace(answer, value=["x" * VALUE_MOST], kind="data"), visibility=SEES)


def test_that_the_flow_went_on_without_a_part_is_told_to_everybody_without_its_name() -> None:
    trace = (ComponentFinished("Secret", "LanguageModel", 0, "No.", status="failed"),)
    answer = StoredMessage("a", "assistant", "A", "complete", AT, trace=trace)
    told = write_message(answer, visibility=Visibility())
    assert told["went_on"]
    assert "Secret" not in str(told)
    assert write_message(answer, visibility=SEES)["went_on"]
    assert "went_on" not in write_message(replace(answer, state="failed"), visibility=SEES)
    assert "went_on" not in write_message(replace(answer, trace=()), visibility=SEES)


def test_an_answer_that_was_cut_or_skipped_says_so() -> None:
    assert write_message(replace(ANSWER, finish_reason="length"), visibility=Visibility())["finish_reason"] == "length"
    done = ComponentFinished("Out", "ChatOutput", 0, "")
    step = structs.replace(done, status="skipped")
    told = write_message(replace(ANSWER, text="", trace=(step, step)), visibility=Visibility())
    assert (told["is_skipped"], "finish_reason" in told) == (True, False)
    for other in (replace(ANSWER, trace=(step,)), replace(ANSWER, text="", trace=(step, done)), ANSWER):
        assert "is_skipped" not in write_message(other, visibility=Visibility())
