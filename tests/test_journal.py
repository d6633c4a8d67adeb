"""A run's journal: whoever follows it from anywhere gets the same, and what is stored of it is read as it happened."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.core.citations import NumberedPassage
from flowground.core.errors import ComponentFailed, FlowgroundError, ProviderBusy, RunStopped
from flowground.core.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    OutputResult,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
    TurnView,
    fold,
)
from flowground.core.messages import FallbackUse, Usage
from flowground.core.values import AddedMessage
from flowground.runs.journal import Journal, count_numbers
from flowground.store.runs.journals import read_journal, write_journal
from flowground.store.runs.records import RunRecord, StoredMessage

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import given
from hypothesis import strategies as st

AT = datetime(2026, 11, 1, tzinfo=UTC)
RUN = RunRecord("run", "flow", "v", "member:ada", "session", "complete", AT, 1.5)
STARTED = TurnStarted("run", "flow", "session", AT, "q", "What is up?", {"A": "a", "B": "b"}, ("A warning",))
PASSAGE = NumberedPassage(1, "a passage", "guide.md", 3)
CALL = ToolCalled("Agent", "c", "Sums", "sums", {"n": [1, {"deep": 10**30}]}, 0.25, 1, None, "Sums", after=3)
texts = st.sampled_from(["", "a", "ü", "👋 two", "What is up?", "\x00?", "\x00!A", "x" * 2_100, "line\nline"])
names = st.sampled_from(["A", "B"])
steps = st.builds(
    ComponentFinished,
    *(names, st.just("Prompt"), st.just(0.125), texts),
    usage=st.sampled_from([None, Usage(3, 4, 1)]),
    status=st.sampled_from(["done", "failed", "skipped"]),
    fallback_uses=st.sampled_from([(), (FallbackUse("a", "b:c"),)]),
    note=st.sampled_from(["", "a note"]),
)
happenings = st.one_of(
    st.builds(Token, names, texts),
    steps,
    st.builds(ComponentStarted, names),
    st.just(ModelProgress("local", 1, 9, None)),
    st.just(PassagesFound((PASSAGE,))),
    st.sampled_from([CALL, ToolWaits(CALL, "{}", "d", 9.0), ToolReturned(CALL, "7", 0.5, usage=Usage(1, 1))]),
    st.sampled_from([(began := ThinkingBegan("Agent", 2, 0.5)), ModelThought(began, "Hm.", 0.125)]),
)
BY_THE_WAY = AddedMessage("By the way", "User", "Ada")
ends: list[FlowgroundError | None] = [
    None,
    RunStopped(),
    ComponentFailed("A", ProviderBusy("It is busy.", retry_after=3)),
]


def finish(view: TurnView, answers: dict[str, str]) -> TurnFinished:
    results = {
        name: OutputResult(name, "ChatOutput", "Chat", text, "M", "Model", "m", Usage(1, 2), "length")
        for name, text in answers.items()
    }
    results["Data"] = OutputResult("Data", "TextOutput", "Data", "[1]", None, None, None, None, None, [1], "data")
    return TurnFinished(
        results, ("A", "Data"), 1.5, Usage(3, 4), STARTED, view.action_log.list_actions(), {"x": BY_THE_WAY}
    )


def say(key: str, role: Any, text: str) -> StoredMessage:
    return StoredMessage(key, role, text, "complete", AT, "run")


def plain(text: str) -> str:
    return text.replace("\x00", "\ufffd")


@given(events=st.lists(happenings, max_size=12), end=st.sampled_from(ends), is_replayed=st.booleans())
def test_what_is_read_of_a_journal_is_what_happened(
    events: Sequence[Any], end: FlowgroundError | None, is_replayed: bool
) -> None:
    """But for passages and questions to people, which it lacks, and characters that no database takes."""
    happened: list[Event] = [STARTED, *events]
    view = fold(happened)
    answers = {"A": "It is up."} | {name: text for name, text in view.texts.items() if text}
    if end is None:
        happened.append(finish(view, answers))
    said = {STARTED.answer_ids[name]: plain(text) for name, text in answers.items()} | {"x": "By the way"}
    messages = [say("q", "user", "What is up?"), *(say(key, "assistant", text) for key, text in said.items())]
    body = write_journal(happened, end, messages=messages, names={"A": "The model"}, is_replayed=is_replayed)
    read = read_journal(body, messages, RUN)
    assert read.is_whole
    assert [*map(count_numbers, read.events)] == [*map(count_numbers, happened)]
    told = fold(read.events)
    assert told.started == STARTED
    assert told.texts == {name: plain(text) for name, text in view.texts.items()}
    assert [step.text for step in told.steps] == [plain(step.text)[:2_000] for step in view.steps]
    assert [(step.status, step.usage, step.fallback_uses) for step in told.steps] == [
        (step.status, step.usage, step.fallback_uses) for step in view.steps
    ]
    assert told.action_log.list_actions() == view.action_log.list_actions()
    if end is None and is_replayed:
        assert told.finished is not None
        assert told.finished.results.keys() == {"Data", *answers}
        assert (told.finished.actions, told.finished.added) == (view.action_log.list_actions(), {"x": BY_THE_WAY})
        assert told.finished.results["Data"].value == [1]
        assert {told.finished.results[name].text for name in answers} == {*map(plain, answers.values())}
    assert type(read.failure) is type(end)
    if isinstance(end, ComponentFailed):
        assert isinstance(read.failure, ComponentFailed)
        assert (read.failure.message, read.failure.code, read.names) == (end.message, end.code, {"A": "The model"})
        assert (type(read.failure.cause), read.failure.cause.retry_after) == (ProviderBusy, 3)


def number_each(events: Iterable[Event]) -> list[Any]:
    """What has a number: each character of a text, and each other event."""
    found: list[Any] = []
    for event in events:
        found += [(event.component_id, letter) for letter in event.text] if isinstance(event, Token) else [event]
    return found


@given(events=st.lists(happenings, max_size=12), after=st.integers(0, 5_000))
def test_who_follows_from_anywhere_is_told_the_rest(events: Sequence[Any], after: int) -> None:
    """Also one who was there from the beginning, whose pieces are cut otherwise."""

    async def follow() -> None:
        journal = Journal()

        async def read(begin: int) -> list[Event]:
            return [item.event async for batch in journal.follow(begin) for item in batch]

        early = asyncio.create_task(read(0))
        for number, event in enumerate(events):
            journal.append(event)
            if number % 3:
                await asyncio.sleep(0)
        journal.end()
        heard = await early
        assert number_each(heard) == number_each(events) == number_each(journal.list_events())
        assert number_each(await read(after)) == number_each(events)[after:]
        assert number_each(journal.list_events(to=after)) == number_each(events)[:after]
        assert sum(map(count_numbers, heard)) == len(number_each(events))

    asyncio.run(follow())


@pytest.mark.anyio
async def test_a_failed_journal_raises_its_error_to_every_reader() -> None:
    journal = Journal()
    journal.append(Token("A", "Half"))
    journal.end(RunStopped())
    for _ in range(2):
        reading = journal.follow()
        assert [item.event for item in await anext(reading)] == [Token("A", "Half")]
        with pytest.raises(RunStopped):
            await anext(reading)
