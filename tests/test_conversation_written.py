"""Messages as a page is sent them: what stands for a missing answer, and what outsiders never get."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flowground.conversation.acted import Sight
from flowground.conversation.written import OUTSIDE, write_message, write_messages
from flowground.messages import Usage
from flowground.store.runs.records import StoredMessage
from flowground.store.runs.traces import TraceStep

SEES = Sight(inside=True, tools=True)
AT = datetime(2026, 12, 3, 12, tzinfo=UTC)
QUESTION = StoredMessage("q", "user", "Why?", "complete", AT, run_id="r")
ANSWER = StoredMessage("a", "assistant", "So.", "complete", AT, run_id="r", model="m", usage=Usage(3, 4), seconds=1.5)
HIDDEN = {"text": OUTSIDE, "hint": "Try again in a moment; if it stays so, tell its author."}


def list_ids(*messages: StoredMessage, **more: Any) -> list[str]:
    return [told["id"] for told in write_messages(messages, sight=SEES, **more)]


def test_a_question_that_nobody_answered_counts_as_interrupted() -> None:
    asked, nothing = write_messages([QUESTION], sight=Sight())
    assert (asked["text"], asked["state"], nothing["id"], nothing["state"]) == (
        *("Why?", "complete"),
        *("q:none", "interrupted"),
    )
    assert list_ids(QUESTION, ANSWER) == ["q", "a"]
    assert list_ids(QUESTION, running={"r"}) == list_ids(QUESTION, is_newest=False) == ["q"]
    again = replace(QUESTION, id="q2", run_id="r2")
    assert list_ids(QUESTION, again, is_newest=False) == ["q", "q:none", "q2"]
    assert list_ids(QUESTION, again, ANSWER) == ["q", "q2", "a"]
    assert list_ids(replace(QUESTION, run_id=None), replace(ANSWER, run_id=None)) == ["q", "a"]


def test_of_several_answers_that_failed_the_last_one_says_why() -> None:
    failed = [replace(ANSWER, id=name, state="failed", text="", error="It broke.") for name in ("a", "b")]
    assert list_ids(QUESTION, *failed) == ["q", "b"]
    told = write_messages([QUESTION, replace(failed[0], text="Half"), failed[1]], sight=SEES)
    assert [message.get("error") for message in told] == [None, None, {"text": "It broke.", "hint": None}]
    assert list_ids(QUESTION, failed[0], replace(failed[1], run_id="r2")) == ["q", "a", "b"]


def test_outsiders_get_no_fact_and_no_reason() -> None:
    seen, unseen = (write_message(ANSWER, sight=sight) for sight in (SEES, Sight()))
    assert seen == unseen | {"facts": {"model": "m", "seconds": 1.5, "tokens": {"input": 3, "output": 4}, "steps": 0}}
    assert unseen["by_model"] is True
    failed = replace(ANSWER, state="failed", text="", error="The key is wrong.")
    assert write_message(failed, sight=Sight())["error"] == HIDDEN
    assert write_message(failed, sight=SEES)["error"] == {"text": "The key is wrong.", "hint": None}


def test_everybody_is_told_of_an_answer_that_is_not_whole_without_the_parts_name() -> None:
    step = TraceStep("Secret", "LanguageModel", 0, "No.", status="failed")
    answer = replace(ANSWER, finish_reason="length", trace=(step,))
    told = write_message(answer, sight=Sight())
    assert (told["went_on"], told["finish_reason"], "Secret" in str(told)) == (True, "length", False)
    assert "went_on" not in write_message(replace(answer, state="failed"), sight=SEES)
    skipped = tuple(replace(step, type=name, status="skipped") for name in ("ChatOutput", "ChatOutput"))
    told = write_message(replace(ANSWER, text="", trace=skipped), sight=Sight())
    assert (told["is_skipped"], "finish_reason" in told, "went_on" in told) == (True, False, False)
    for other in (
        replace(ANSWER, trace=skipped),
        replace(ANSWER, text="", trace=(skipped[0], replace(skipped[0], status="done"))),
        ANSWER,
    ):
        assert "is_skipped" not in write_message(other, sight=Sight())
