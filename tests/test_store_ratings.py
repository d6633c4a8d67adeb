"""Ratings of answers in the store: whose they are, what goes with them, and what a flow's authors are shown."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.core.events import ComponentFinished
from flowground.store import Store
from flowground.store.runs import erasing, feedback, transcripts, turns
from flowground.store.runs.feedback import FeedbackFilter, FeedbackItem, Rating, RatingValue, SharedConversation
from tests.run_rows import HERE
from tests.stored import make_journal
from tests.stored_chats import ran, said

pytestmark = pytest.mark.anyio
ANSWER = HERE | {"message_id": "a1"}
WHY: dict[str, Any] = {"labels": ["slow", "wrong"], "reason": "It is 4.", "shares_conversation": False}
SHARES = WHY | {"shares_conversation": True}
EVERYTHING = FeedbackFilter()


async def ask(store: Store, *names: str, state: str = "complete", **other: str) -> None:
    """Turns, each of the question qNAME and the answer aNAME."""
    for name in names:
        place = HERE | other
        facts: dict[str, Any] = {"id": f"r{name}", "flow_id": place["flow_id"], "flow_version": "version 7"}
        run = replace(ran(place["session_id"], status="running"), **facts)
        question = said(f"question {name}", id=f"q{name}", run_id=run.id)
        await store.write(turns.begin_turn, **place, message=question, run=run)
        trace = (ComponentFinished("Model", "LanguageModel", 0.1, f"thought {name}"),)
        more: dict[str, Any] = {"id": f"a{name}", "run_id": run.id, "model": "echo:one", "trace": trace}
        answer = said(f"answer {name}", "assistant", state=state, at=datetime.now(UTC), **more)
        ended: dict[str, Any] = {"run": replace(run, status="complete"), "journal": make_journal(answer)}
        await store.write(turns.finish_turn, **place, answers=[answer], **ended)


async def rate(store: Store, value: RatingValue | None, **place: str) -> bool:
    return await store.write(feedback.rate, **ANSWER | place, value=value)


async def explain(store: Store, why: dict[str, Any] = WHY, **place: str) -> bool:
    return await store.write(feedback.explain, **ANSWER | place, **why)


async def find(store: Store, **place: str) -> Rating | None:
    return await store.read(feedback.find_rating, **ANSWER | place)


async def list_items(store: Store) -> tuple[FeedbackItem, ...]:
    return tuple((await store.read(feedback.list_page, flow_id="echo", only=EVERYTHING)).items)


async def read_shared(store: Store, message_id: str, flow_id: str = "echo") -> SharedConversation | None:
    return await store.read(feedback.read_conversation, flow_id=flow_id, message_id=message_id)


async def test_a_rating_is_changed_explained_and_taken_back(store: Store) -> None:
    await ask(store, "1")
    assert await find(store) is None
    assert await rate(store, "bad")
    assert await explain(store)
    assert await rate(store, "bad")
    assert await find(store) == Rating("bad", ("slow", "wrong"), "It is 4.")
    assert await store.read(feedback.list_values, **HERE, message_ids=["q1", "a1", "a2"]) == {"a1": ("bad", True)}
    assert await rate(store, "good")
    assert await find(store) == Rating("good")
    assert await rate(store, None)
    assert await find(store) is None
    assert not await explain(store)
    assert await rate(store, None)


async def test_only_an_answer_in_ones_own_conversation_can_be_rated(store: Store) -> None:
    await ask(store, "1")
    assert await rate(store, "good")
    elsewhere = ({"owner": "member:bob"}, {"session_id": "t"}, {"flow_id": "talk"})
    for other in ({"message_id": "q1"}, {"message_id": "x"}, *elsewhere):
        assert not await rate(store, "bad", **other)
        assert not await rate(store, None, **other)
        assert not await store.write(feedback.explain, **ANSWER | other, **WHY)
        assert await find(store, **other) is None
        assert await find(store) == Rating("good")
    for other, found in (({}, {"a1": ("good", False)}), *((other, {}) for other in elsewhere)):
        assert await store.read(feedback.list_values, **HERE | other, message_ids=["a1"]) == found


async def test_it_goes_with_its_conversation_and_is_handed_over_with_it(store: Store) -> None:
    await ask(store, "1")
    assert await rate(store, "bad")
    await store.write(transcripts.hand_over, old="member:ada", new="member:bob", by="tests")
    assert await find(store) is None
    assert await find(store, owner="member:bob") == Rating("bad")
    await store.erase(erasing.erase_conversation, **HERE | {"owner": "member:bob"})
    assert await list_items(store) == ()


async def test_authors_read_nothing_of_a_conversation_that_is_not_shared(store: Store) -> None:
    await ask(store, "1")
    await rate(store, "bad")
    await explain(store)
    [item] = await list_items(store)
    assert item.rating == Rating("bad", ("slow", "wrong"), "It is 4.")
    assert (item.model, item.flow_version, item.shared) == ("echo:one", "version 7", None)
    assert await read_shared(store, "a1") is None
    assert not {"ada", "question", "answer 1"} & set(str(item).replace("'", " ").split())


async def test_authors_read_which_fields_were_overridden_and_not_with_what(store: Store) -> None:
    for name, request in (("1", '{"tweaks": {"Prompt": {"tone": "rude"}, "Model": {"seed": 7}}}'), ("2", None)):
        run = replace(ran(status="running"), id=f"r{name}", flow_id="echo")
        question = said("question", id=f"q{name}", run_id=run.id)
        await store.write(turns.begin_turn, **HERE, message=question, run=run, request=request)
        answer = said("answer", "assistant", id=f"a{name}", run_id=run.id)
        await store.write(turns.finish_turn, **HERE, answers=[answer], run=replace(run, status="complete"))
        await rate(store, "bad", message_id=f"a{name}")
    items = {item.message_id: item for item in await list_items(store)}
    assert (items["a1"].overrides, items["a2"].overrides) == (("Prompt.tone", "Model.seed"), ())
    assert "rude" not in str(items)


async def test_they_read_one_that_is_up_to_the_answer_with_its_steps_until_it_is_taken_back(store: Store) -> None:
    await ask(store, "1", "2", "3")
    await rate(store, "bad", message_id="a2")
    await explain(store, SHARES, message_id="a2")
    [item] = await list_items(store)
    assert item.shared == feedback.SharedTurn("member:ada", "question 2", "answer 2")
    shared = await read_shared(store, "a2")
    assert shared is not None
    assert [message.id for message in shared.messages] == ["q1", "a1", "q2", "a2"]
    assert [[step.text for step in message.trace] for message in shared.messages] == [[], [], [], ["thought 2"]]
    assert (shared.owner, shared.has_earlier) == ("member:ada", False)
    for message_id, flow_id in (("a1", "echo"), ("x", "echo"), ("a2", "talk")):
        assert await read_shared(store, message_id, flow_id) is None
    await explain(store, message_id="a2")
    assert await read_shared(store, "a2") is None


async def test_the_list_is_filtered_and_paged_newest_first(store: Store) -> None:
    for number in range(60):
        await ask(store, f"{number:02}", session_id=f"s{number % 3}")
        value: RatingValue = "bad" if number % 3 else "good"
        await rate(store, value, message_id=f"a{number:02}", session_id=f"s{number % 3}")
    await ask(store, "elsewhere", flow_id="talk")
    await rate(store, "bad", message_id="aelsewhere", flow_id="talk")
    await explain(store, session_id="s1", message_id="a31")

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
