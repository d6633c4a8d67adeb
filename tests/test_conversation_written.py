"""Messages and failures as a page is sent them: what stands for a missing answer, and what outsiders never get."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.conversation.written import (
    OUTSIDE,
    encode,
    write_failure,
    write_message,
    write_messages,
    write_refusal,
    write_step,
)
from flowground.errors import ProviderBusy, ProviderRefused, StoppedByAdmin
from flowground.messages import Usage
from flowground.store.runs.records import StoredMessage, TraceStep

AT = datetime(2026, 12, 3, 12, tzinfo=UTC)
QUESTION = StoredMessage("q", "user", "Why?", "complete", AT, run_id="r")
ANSWER = StoredMessage("a", "assistant", "So.", "complete", AT, run_id="r", model="m", usage=Usage(3, 4), seconds=1.5)
HIDDEN = {"text": OUTSIDE, "hint": "Try again in a moment; if it stays so, tell its author."}


def list_ids(*messages: StoredMessage, **more: Any) -> list[str]:
    return [told["id"] for told in write_messages(messages, sees_inside=True, **more)]


def test_a_question_that_nobody_answered_counts_as_interrupted() -> None:
    [asked, nothing] = write_messages([QUESTION], sees_inside=False)
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


def test_of_several_answers_that_failed_the_last_one_says_why() -> None:
    failed = [replace(ANSWER, id=name, state="failed", text="", error="It broke.") for name in ("a", "b")]
    assert list_ids(QUESTION, *failed) == ["q", "b"]
    told = write_messages([QUESTION, replace(failed[0], text="Half"), failed[1]], sees_inside=True)
    assert [("error" in message) for message in told] == [False, False, True]
    assert told[2]["error"] == {"text": "It broke.", "hint": None}
    other = replace(failed[1], run_id="r2")
    assert list_ids(QUESTION, failed[0], other) == ["q", "a", "b"]


def test_outsiders_get_no_fact_and_no_reason() -> None:
    seen, unseen = (write_message(ANSWER, sees_inside=inside) for inside in (True, False))
    assert seen == unseen | {"facts": {"model": "m", "seconds": 1.5, "tokens": {"input": 3, "output": 4}, "steps": 0}}
    assert unseen["by_model"] is True
    assert write_message(replace(ANSWER, model=None, usage=None), sees_inside=True)["facts"]["tokens"] is None
    assert write_message(replace(ANSWER, model=None), sees_inside=False)["by_model"] is False
    failed = replace(ANSWER, state="failed", text="", error="The key is wrong.")
    assert write_message(failed, sees_inside=False)["error"] == HIDDEN
    assert write_message(failed, sees_inside=True)["error"] == {"text": "The key is wrong.", "hint": None}
    assert "error" not in write_message(failed, sees_inside=True, says_why=False)


def test_what_an_admin_said_is_for_everybody() -> None:
    stopped = replace(ANSWER, state="stopped", error="An administrator stopped this answer.")
    told = {"text": "An administrator stopped this answer.", "hint": None}
    assert write_message(stopped, sees_inside=False)["error"] == told
    assert "error" not in write_message(replace(stopped, error=None), sees_inside=False)
    assert write_failure(StoppedByAdmin(), sees_inside=False) == told


def test_rows_of_a_release_before_have_the_reason_in_their_text() -> None:
    old = replace(ANSWER, state="failed", text="It broke.", error=None)
    told = write_message(old, sees_inside=True)
    assert (told["text"], told["error"]["text"]) == ("", "It broke.")
    assert write_message(replace(old, error="It broke.", text="Half"), sees_inside=True)["text"] == "Half"


def test_a_question_has_its_versions_where_there_are_some() -> None:
    assert "versions" not in write_message(QUESTION, sees_inside=True)
    versions = (("q", "q2"),)
    assert write_message(replace(QUESTION, versions=versions), sees_inside=False)["versions"] == versions
    assert "facts" not in write_message(QUESTION, sees_inside=True)


@pytest.mark.parametrize(
    ("wait", "inside", "outside"),
    [
        (None, {"text": "No.", "hint": None}, HIDDEN),
        (
            5,
            {"text": "No.", "hint": "Try again in 5 s.", "seconds": 5},
            {"text": OUTSIDE, "hint": "Try again in 5 s; if it stays so, tell its author.", "seconds": 5},
        ),
        (
            90,
            {"text": "No.", "hint": "Try again in 2 min.", "seconds": 90},
            {"text": OUTSIDE, "hint": "Try again in 2 min; if it stays so, tell its author.", "seconds": 90},
        ),
    ],
)
def test_a_failure_says_when_it_may_go_well(wait: int | None, inside: Any, outside: Any) -> None:
    error = ProviderBusy("No.", status=429, retry_after=wait)
    assert write_failure(error, sees_inside=True) == inside
    assert write_failure(error, sees_inside=False) == outside


def test_a_hint_comes_before_the_wait() -> None:
    plain = ProviderRefused("No.", status=500, hint="Ask another.")
    assert write_failure(plain, sees_inside=True) == {"text": "No.", "hint": "Ask another."}
    assert write_refusal(plain) == {"text": "No.", "hint": "Ask another.", "seconds": None}
    assert write_refusal(ProviderBusy("No.", status=429, retry_after=0.2)) == {
        "text": "No.",
        "hint": None,
        "seconds": 1,
    }


def test_half_a_surrogate_pair_goes_to_the_page_all_the_same() -> None:
    assert json.loads(encode("text", text="a\ud83d")) == {"type": "text", "text": "a\ud83d"}
    assert encode("ended", run="é") == '{"type":"ended","run":"é"}'


def test_a_step_has_the_name_that_the_flow_shows() -> None:
    step = TraceStep("Model", "LanguageModel", 0.5, "So.", Usage(1, 2), "m")
    told = {"seconds": 0.5, "model": "m", "tokens": {"input": 1, "output": 2}, "text": "So.", "status": "done"}
    assert write_step(step, "The model") == {"name": "The model"} | told
    assert write_step(step, None) == {"name": "Model"} | told
