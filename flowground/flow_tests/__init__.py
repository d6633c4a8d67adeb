"""The tests of flow files: each takes its turns as any door does, and what they give is compared with what is expected.

Nothing lasts: conversations go into a database of their own that is deleted at the end.
"""

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from flowground.caller import LOCAL_OWNER, RunRequest
from flowground.components.base import NO_OUTSIDE, LookUp, Models, Outside
from flowground.errors import FlowgroundError, InvalidRequest, RunError
from flowground.events import ModelProgress
from flowground.files.texts import FileTexts
from flowground.flow.tested import Difference, FlowTestOutcome, TurnOutcome
from flowground.flow.tests import FlowTest, TestedTurn
from flowground.flow_tests.expectations import compare
from flowground.flow_tests.files import FolderFiles
from flowground.flow_tests.models import SCRIPTED, TestedModels, name_tested
from flowground.flow_tests.outside import TestedOutside
from flowground.flow_tests.seen import SeenTurn
from flowground.loader.inner_names import list_asking, list_components, list_replied
from flowground.running import RunningRuns
from flowground.settings import Settings
from flowground.snippets.request import find_types
from flowground.store import Store
from flowground.turns import take_turn
from flowground.turns.terms import TurnTerms
from flowground.tweaks import apply_tweaks
from flowground.values import FileReference, SentFile
from flowground.wiring import WiredFlow
from flowground.words import suggest

AT_ONCE = 8
"""Tests that run side by side."""

Admit = Callable[[RunRequest], AbstractAsyncContextManager[TurnTerms]]
"""Lets one turn in, for as long as it goes on."""


@asynccontextmanager
async def admit_all(_: RunRequest) -> AsyncIterator[TurnTerms]:
    """For whoever has this computer."""
    yield TurnTerms()


@dataclass(slots=True)
class FlowTester:
    """Runs tests, several side by side. `model` answers instead of what the tests say, and instead of their replies."""

    settings: Settings
    models: Models
    store: Store
    model: str | None = None
    admit: Admit = admit_all
    on_progress: Callable[[ModelProgress], None] = lambda _: None
    look_ups: Callable[[str], LookUp] = NO_OUTSIDE.look_ups
    running: RunningRuns = field(init=False)
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.running = RunningRuns(self.store)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run_tests(self, wired: WiredFlow) -> list[FlowTestOutcome]:
        """All tests of one flow, in the file's order."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._run_test(wired, index)) for index in range(len(wired.flow.tests))]
        return [task.result() for task in tasks]

    async def _run_test(self, wired: WiredFlow, index: int) -> FlowTestOutcome:
        test, session = wired.flow.tests[index], str(uuid.uuid4())
        reader = FolderFiles(self.store, self.settings.flows, self.settings.limits.file_bytes)
        turns: list[TurnOutcome] = []
        async with self._places:
            for turn in test.list_turns():
                turns.append(await self._run_turn(wired, test, turn, session, reader))
                if turns[-1].differences:
                    break
        line = wired.flow.places[f"tests.{index}"].value.line
        return FlowTestOutcome(wired.id, wired.flow.file, line, test.title, len(test.list_turns()), tuple(turns))

    async def _run_turn(
        self, wired: WiredFlow, test: FlowTest, turn: TestedTurn, session: str, reader: FolderFiles
    ) -> TurnOutcome:
        takes, gives = find_types(wired)
        asked = RunRequest(turn.message, takes, gives, tweaks=test.overrides, session_id=session)
        replies = {} if self.model else turn.replies
        models = TestedModels(self.models, replies)
        seen = SeenTurn(self.on_progress)
        try:
            _refuse_unknown(wired, turn)
            files = await reader.take(wired, turn.files)
        except FlowgroundError as error:
            return TurnOutcome(turn.message, 0, (Difference("", error.full_message),))
        try:
            tweaked = apply_tweaks(wired, asked, unknown="refuse").wired
            tested = name_tested(tweaked, self.model or test.model or SCRIPTED, replied=replies, answered=turn.replies)
            async with self.admit(asked) as terms:
                request = RunRequest(turn.message, takes, gives, session_id=session, stream=True, **_send(wired, files))
                own = TestedOutside(turn.replies)
                outside = Outside(self.look_ups, ask=own.ask, servers=own, ask_database=own.ask_database)
                outside = replace(outside, find_function=own.find_function)
                await self._take_turn(tested, request, models, terms, seen, reader, outside)
        except FlowgroundError as error:
            seen.failure = error.full_message
        given = seen.sum_up(models.calls)
        differences = await asyncio.to_thread(compare, turn.expect, given)
        return TurnOutcome(turn.message, given.seconds, differences)

    async def _take_turn(
        self,
        wired: WiredFlow,
        request: RunRequest,
        models: TestedModels,
        terms: TurnTerms,
        seen: SeenTurn,
        reader: FolderFiles,
        outside: Outside,
    ) -> None:
        texts = FileTexts(self.settings.flows, reader.read)
        turn = take_turn(
            LOCAL_OWNER,
            wired,
            request,
            running=self.running,
            models=models,
            settings=self.settings,
            terms=terms,
            outside=replace(outside, sent_files=reader, read_file=texts.read),
        )
        async with aclosing(texts), aclosing(turn) as events:
            async for event in events:
                seen.note(event)
        if seen.finished is None:
            raise RunError("The run ended without an answer.")


def _send(wired: WiredFlow, files: Sequence[FileReference]) -> dict[str, Any]:
    """What a request says of these files of its message."""
    if not files:
        return {}
    sent = tuple(SentFile(file, file.id) for file in files)
    return {"taken_files": {wired.chat_input_id: files}, "sent_files": sent}


def _refuse_unknown(wired: WiredFlow, turn: TestedTurn) -> None:
    """Raises InvalidRequest for components of flows that the flow runs, which its own file cannot tell."""
    expect = turn.expect
    for known, says, names in (
        (list_replied(wired), "that a test replies to", turn.replies),
        (list_asking(wired), "that asks a model", expect.calls),
        (list_components(wired), "among the components", (*expect.takes, *expect.skips)),
    ):
        for name in names:
            if name not in known:
                raise InvalidRequest(f"There is no `{name}` {says}{suggest(name, known, otherwise='.')}")


@asynccontextmanager
async def open_tester(
    settings: Settings,
    models: Models,
    *,
    model: str | None = None,
    admit: Admit = admit_all,
    on_progress: Callable[[ModelProgress], None] = lambda _: None,
    look_ups: Callable[[str], LookUp] = NO_OUTSIDE.look_ups,
) -> AsyncIterator[FlowTester]:
    """A tester with a database of its own, which is gone afterwards. `look_ups` find what flows know."""
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="flowground-tests-")
    try:
        store = await asyncio.to_thread(Store.open, f"sqlite:///{folder}/tests.db", is_lasting=False)
        tester = FlowTester(settings, models, store, model, admit, on_progress, look_ups)
        try:
            yield tester
        finally:
            await tester.running.close()
            await asyncio.to_thread(store.close)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
