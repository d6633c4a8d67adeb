"""Runs of other processes whose conversations are shown here: what they kept is looked at, and told to every socket.

One look is for all of them, however many sockets show them, and there is none while nothing is followed.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flowground.conversation.acted import Sight
from flowground.conversation.telling import Viewer
from flowground.conversation.written import encode, write_messages
from flowground.errors import StoreUnavailable
from flowground.runtime import Runtime
from flowground.store.runs import conversations, progress
from flowground.store.runs.records import RunRecord, StoredMessage

_SECONDS = 1.0
_MOST_RUNS = 200
_MOST_CHARS = 1_000_000
"""Of one look: how many runs it is about, and how many characters it reads. Those that waited longest come first."""


@dataclass(frozen=True, slots=True)
class RunSoFar:
    """A run of another process that answers in the conversation: what it kept so far, by the id of each answer."""

    run_id: str
    texts: Mapping[str, str]


@dataclass(slots=True)
class _ToldSoFar:
    """`chars`: of each answer, by its id. `knows`: it was told that the run goes on."""

    chars: dict[str, int] = field(default_factory=dict)
    knows: bool = False


class FollowedRun:
    """One of them, as `Telling` is of a turn here. `forget` is called with it once nobody listens any more."""

    def __init__(self, run: RunSoFar, session_id: str, *, forget: "Callable[[FollowedRun], None]") -> None:
        self.run_id = run.run_id
        self.size = 0
        """Of what was read last, as the store counts it."""
        self._session_id = session_id
        self._forget = forget
        self._viewers: dict[Viewer, _ToldSoFar] = {}
        self._texts: dict[str, str] = {}
        self._messages: Sequence[StoredMessage] | None = None
        """How it ended."""
        self._sent: Collection[str] = ()
        self.take_texts(run.texts)

    @property
    def is_over(self) -> bool:
        """Whether the run has its end."""
        return self._messages is not None

    def join(self, viewer: Viewer) -> None:
        """From now on it is told."""
        self._viewers[viewer] = _ToldSoFar()
        self.tell_rest(viewer)

    def leave(self, viewer: Viewer) -> None:
        """The run goes on; a second call does nothing."""
        if self._viewers.pop(viewer, None) and not self._viewers:
            self._forget(self)

    def take_texts(self, texts: Mapping[str, str]) -> None:
        """What it kept by now."""
        for key, text in texts.items():
            grown = text.rstrip("\ufffd")  # half a surrogate pair may stand there for now
            if grown.startswith(self._texts.get(key, "")):
                self._texts[key] = grown
        self._tell_all()

    def take_end(self, messages: Sequence[StoredMessage], sent: Collection[str]) -> None:
        """It is over, and has these answers. `sent` as `write_messages` has them."""
        self._messages, self._sent = messages, sent
        self._forget(self)
        self._tell_all()

    def _tell_all(self) -> None:
        for viewer in [*self._viewers]:
            self.tell_rest(viewer)

    def tell_rest(self, viewer: Viewer) -> None:
        """Tells it what it was not told yet, in one piece."""
        told = self._viewers.get(viewer)
        if told is None or viewer.is_full:
            return
        if not told.knows:
            told.knows = True
            viewer.put(self._write_start())
        grown = [key for key, text in self._texts.items() if len(text) > told.chars.get(key, 0)]
        if grown:
            first, *others = [self._write_part(key, told) for key in grown]
            viewer.put(encode("text", **first, **({"more": others} if others else {}), number=1))
        if self._messages is not None:
            viewer.put(self._write_end(self._messages, viewer.sight))
            del self._viewers[viewer]
            viewer.note_end(None)

    def _write_start(self) -> str:
        """Its number, and that of every piece, says to its own process that the page has nothing of it."""
        answers = [{"id": key} for key in self._texts]
        fields = {"session": self._session_id, "run": self.run_id, "question": None, "answers": answers}
        return encode("started", **fields, number=1, elsewhere=True)

    def _write_part(self, key: str, told: _ToldSoFar) -> dict[str, Any]:
        at, text = told.chars.get(key, 0), self._texts[key]
        told.chars[key] = len(text)
        return {"answer": key, "at": at, "text": text[at:]}

    def _write_end(self, answers: Sequence[StoredMessage], sight: Sight) -> str:
        """A text that was told whole already is left out."""
        messages = write_messages(answers, sight=sight, sent=self._sent)
        for message in messages:
            if message["text"] == self._texts.get(message["id"], ""):
                del message["text"]
        return encode("ended", run=self.run_id, messages=messages)


class RunsElsewhere:
    """All that this process follows, on its loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._followed: dict[str, FollowedRun] = {}
        """Those that were looked at last at the end."""
        self._task: asyncio.Task[None] | None = None

    def follow(self, run: RunSoFar, session_id: str, viewer: Viewer) -> FollowedRun:
        """From now on the socket is told of it: by whom."""
        found = self._followed.get(run.run_id)
        if found is None:
            found = self._followed[run.run_id] = FollowedRun(run, session_id, forget=self._forget)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        found.join(viewer)
        return found

    def stop(self) -> None:
        """The process ends."""
        if self._task:
            self._task.cancel()

    def _forget(self, run: FollowedRun) -> None:
        if self._followed.get(run.run_id) is run:
            del self._followed[run.run_id]

    async def _look_on(self) -> None:
        try:
            while self._followed:
                await asyncio.sleep(_SECONDS)
                with suppress(StoreUnavailable):  # the log has it
                    await self._look()
        finally:
            self._task = None

    async def _look(self) -> None:
        if not self._followed:
            return
        await self._runtime.interruptions.end_left_runs()
        store, followed = self._runtime.store, [*self._followed.values()][:_MOST_RUNS]
        sizes = {run.run_id: run.size for run in followed}
        found = await store.read(progress.look_at_runs, sizes=sizes, most_chars=_MOST_CHARS)
        for run in followed:
            if run.run_id in found.grown:
                run.size = found.grown[run.run_id].size
                run.take_texts(found.grown[run.run_id].texts)
            elif run.run_id not in found.running:
                record = await store.read(progress.find_run, run_id=run.run_id)
                said = await store.read(progress.list_answers, run=record) if record else ()
                run.take_end(said, await self._find_sent(record, said) if record else ())
            if self._followed.get(run.run_id) is run:
                self._followed[run.run_id] = self._followed.pop(run.run_id)

    async def _find_sent(self, run: RunRecord, answers: Sequence[StoredMessage]) -> Collection[str]:
        """The names of the files that came with the question, which what failed may be about."""
        if not any(answer.state == "failed" for answer in answers):
            return ()
        place = {"flow_id": run.flow_id, "owner": run.owner, "session_id": run.session_id}
        read = self._runtime.store.read
        question = await read(conversations.find_question, **place, message_id=answers[-1].id)
        return [file.name for file in question.files] if question else ()
