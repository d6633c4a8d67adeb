"""Ratings of answers in the store: whose they are, what goes with them, and what a flow's authors are shown."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.store import Store
from flowground.store.runs import (
    conversations,
    erasing,
    feedback,
    ratings,
    shared_chats,
    transcripts,
    turns,
    versions,
)
from flowground.store.runs.conversations import AskedQuestion
from flowground.store.runs.feedback import FeedbackFilter
from flowground.store.runs.ratings import Rating, RatingValue
from flowground.store.runs.records import MessageState, RunRecord, StoredMessage
from flowground.store.runs.traces import TraceStep
from tests.run_rows import HERE
from tests.stored import export_conversations

pytestmark = pytest.mark.anyio
ANSWER = HERE | {"message_id": "a1"}
WHY: dict[str, Any] = {"labels": ["slow", "wrong"], "reason": "It is 4.", "shares_conversation": False}
EVERYTHING = FeedbackFilter()


async def ask(store: Store, name: str, *, state: MessageState = "complete", **other: str) -> None:
    """A turn, of the question qNAME and the answer aNAME."""
    place, at = HERE | other, datetime.now(UTC)
    run = RunRecord(f"r{name}", place["flow_id"], "version 7", place["owner"], place["session_id"], "running", at, 0)
    question = StoredMessage(f"q{name}", "user", f"question {name}", "complete", at, run.id)
    await store.write(turns.begin_turn, **place, message=question, run=run)
    trace = (TraceStep("Model", "LanguageModel", 0.1, f"thought {name}"),)
    answer = StoredMessage(
        f"a{name}", "assistant", f"answer {name}", state, at, run.id, model="echo:one", seconds=1, trace=trace
    )
    await store.write(turns.finish_turn, **place, answers=[answer], run=replace(run, status="complete"))


async def rate(store: Store, value: RatingValue | None, **place: str) -> bool:
    return await store.write(ratings.rate, **ANSWER | place, value=value)


async def find(store: Store, **place: str) -> Rating | None:
    return await store.read(ratings.find_rating, **ANSWER | place)


async def test_a_rating_is_changed_explained_and_taken_back(store: Store) -> None:
    await ask(store, "1")
    assert await find(store) is None
    assert await rate(store, "bad")
    assert await store.write(ratings.explain, **ANSWER, **WHY)
    assert await rate(store, "bad")
    assert await find(store) == Rating("bad", ("slow", "wrong"), "It is 4.")
    assert await store.read(ratings.list_values, **HERE, message_ids=["q1", "a1", "a2"]) == {"a1": ("bad", True)}
    assert await rate(store, "good")
    assert await find(store) == Rating("good")
    assert await rate(store, None)
    assert await find(store) is None
    assert not await store.write(ratings.explain, **ANSWER, **WHY)
    assert await rate(store, None)


@pytest.mark.parametrize(
    "other",
    [{"message_id": "q1"}, {"message_id": "x"}, {"owner": "member:bob"}, {"session_id": "t"}, {"flow_id": "talk"}],
)
async def test_only_an_answer_in_ones_own_conversation_can_be_rated(store: Store, other: dict[str, str]) -> None:
    await ask(store, "1")
    assert await rate(store, "good")
    assert not await rate(store, "bad", **other)
    assert not await rate(store, None, **other)
    assert not await store.write(ratings.explain, **ANSWER | other, **WHY)
    assert await find(store, **other) is None
    assert await find(store) == Rating("good")
    mine = {name: value for name, value in (HERE | other).items() if name != "message_id"}
    assert await store.read(ratings.list_values, **mine, message_ids=["a1"]) == (
        {} if mine != HERE else {"a1": ("good", False)}
    )


@pytest.mark.parametrize(("state", "is_rated"), [("stopped", True), ("failed", False), ("interrupted", False)])
async def test_of_what_has_no_whole_end_only_stopped_answers_can(
    store: Store, state: MessageState, is_rated: bool
) -> None:
    await ask(store, "1", state=state)
    assert await rate(store, "bad") == is_rated


async def test_it_goes_with_its_conversation_and_is_handed_over_with_it(store: Store) -> None:
    await ask(store, "1")
    assert await rate(store, "bad")
    await store.write(transcripts.hand_over, old="member:ada", new="member:bob", by="tests")
    assert await find(store) is None
    assert await find(store, owner="member:bob") == Rating("bad")
    await store.erase(erasing.erase_conversation, **HERE | {"owner": "member:bob"})
    assert (await store.read(feedback.list_page, flow_id="echo", only=EVERYTHING)).items == ()


async def test_authors_read_nothing_of_a_conversation_that_is_not_shared(store: Store) -> None:
    await ask(store, "1")
    await rate(store, "bad")
    await store.write(ratings.explain, **ANSWER, **WHY)
    [item] = (await store.read(feedback.list_page, flow_id="echo", only=EVERYTHING)).items
    assert (item.rating, item.model, item.flow_version) == (
        Rating("bad", ("slow", "wrong"), "It is 4."),
        "echo:one",
        "version 7",
    )
    assert item.shared is None
    assert await store.read(feedback.read_conversation, flow_id="echo", message_id="a1") is None
    assert not {"ada", "question", "answer 1"} & set(str(item).replace("'", " ").split())


async def test_they_read_one_that_is_up_to_the_answer_with_its_steps_until_it_is_taken_back(store: Store) -> None:
    for name in ("1", "2", "3"):
        await ask(store, name)
    here = ANSWER | {"message_id": "a2"}
    await rate(store, "bad", message_id="a2")
    await store.write(ratings.explain, **here, **WHY | {"shares_conversation": True})
    [item] = (await store.read(feedback.list_page, flow_id="echo", only=EVERYTHING)).items
    assert item.shared == feedback.SharedTurn("member:ada", "question 2", "answer 2")
    shared = await store.read(feedback.read_conversation, flow_id="echo", message_id="a2")
    assert shared is not None
    assert [message.id for message in shared.messages] == ["q1", "a1", "q2", "a2"]
    assert [[step.text for step in message.trace] for message in shared.messages] == [[], [], [], ["thought 2"]]
    assert (shared.owner, shared.has_earlier) == ("member:ada", False)
    for other in ({"message_id": "a1"}, {"message_id": "x"}, {"flow_id": "talk"}):
        assert await store.read(feedback.read_conversation, **{"flow_id": "echo", "message_id": "a2"} | other) is None
    await store.write(ratings.explain, **here, **WHY)
    assert await store.read(feedback.read_conversation, flow_id="echo", message_id="a2") is None


async def test_of_an_answer_that_was_put_aside_only_its_question_comes_along(store: Store) -> None:
    for name in ("1", "2"):
        await ask(store, name)
    await rate(store, "bad", message_id="a2")
    await store.write(ratings.explain, **ANSWER | {"message_id": "a2"}, **WHY | {"shares_conversation": True})
    at = datetime.now(UTC)
    anew = StoredMessage("q1 anew", "user", "another question", "complete", at, "anew")
    run = RunRecord("anew", "echo", "v", "member:ada", "s", "complete", at, 0)
    await store.write(versions.begin_version, **HERE, version_of="q1", message=anew, run=run)
    shared = await store.read(feedback.read_conversation, flow_id="echo", message_id="a2")
    assert shared is not None
    assert ([message.id for message in shared.messages], shared.has_earlier) == (["q2", "a2"], True)


async def test_of_a_copied_answer_that_was_put_aside_no_other_question_comes_along(store: Store) -> None:
    """Messages of a copy belong to no run."""
    for name in ("1", "2", "3"):
        await ask(store, name)
    link = await store.write(shared_chats.share, **HERE, expires_at=None)
    await store.write(shared_chats.copy_into, key=link.id, owner="member:bob", session_id="copy")
    copy: dict[str, Any] = {"flow_id": "echo", "owner": "member:bob", "session_id": "copy"}
    said, _ = await store.read(conversations.list_page, **copy, most=50, most_chars=1_000)
    answer = said[3]
    asked = await store.read(conversations.find_question, **copy, message_id=answer.id)
    assert asked == AskedQuestion(said[2].id, "question 2")
    await rate(store, "bad", **copy, message_id=answer.id)
    await store.write(ratings.explain, **copy, message_id=answer.id, **WHY | {"shares_conversation": True})
    at = datetime.now(UTC)
    anew = StoredMessage("q anew", "user", "another question", "complete", at, "anew")
    run = RunRecord("anew", "echo", "v", "member:bob", "copy", "complete", at, 0)
    await store.write(versions.begin_version, **copy, version_of=said[0].id, message=anew, run=run)
    shared = await store.read(feedback.read_conversation, flow_id="echo", message_id=answer.id)
    assert shared is not None
    assert [message.text for message in shared.messages] == ["question 2", "answer 2"]


async def test_the_list_is_filtered_and_paged_newest_first(store: Store) -> None:
    for number in range(60):
        await ask(store, f"{number:02}", session_id=f"s{number % 3}")
        value: RatingValue = "bad" if number % 3 else "good"
        await rate(store, value, message_id=f"a{number:02}", session_id=f"s{number % 3}")
    await ask(store, "elsewhere", flow_id="talk")
    await rate(store, "bad", message_id="aelsewhere", flow_id="talk")
    await store.write(ratings.explain, **HERE | {"session_id": "s1", "message_id": "a31"}, **WHY)

    async def list_all(only: FeedbackFilter) -> list[list[str]]:
        pages, after = [], None
        while True:
            page = await store.read(feedback.list_page, flow_id="echo", only=only, after=after)
            pages.append([item.message_id for item in page.items])
            after = page.end
            if after is None:
                return pages

    pages = await list_all(EVERYTHING)
    assert [len(page) for page in pages] == [25, 25, 10]
    assert [name for page in pages for name in page] == [f"a{number:02}" for number in range(59, -1, -1)]
    assert [len(page) for page in await list_all(FeedbackFilter("good"))] == [20]
    assert await list_all(FeedbackFilter(is_explained=True)) == [["a31"]]
    assert await list_all(FeedbackFilter("good", is_explained=True)) == [[]]
    assert await list_all(FeedbackFilter(since=datetime.now(UTC).timestamp())) == [[]]
    assert await store.read(feedback.count_values, flow_id="echo", only=FeedbackFilter("bad")) == 40


async def test_a_persons_own_file_has_their_ratings(store: Store) -> None:
    await ask(store, "1")
    await rate(store, "bad")
    await store.write(ratings.explain, **ANSWER, **WHY)
    [conversation] = await store.read(export_conversations, owners=["member:ada"])
    question, answer = json.loads(json.dumps(conversation))["messages"]
    assert "rating" not in question
    at = answer["rating"].pop("at")
    assert datetime.fromisoformat(at) <= datetime.now(UTC)
    assert answer["rating"] == {
        "value": "bad",
        "labels": ["slow", "wrong"],
        "reason": "It is 4.",
        "shares_conversation": False,
    }
