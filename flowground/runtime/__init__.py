"""Builds everything once from Settings and owns the running turns; `get()` is the one global.

A page never owns a run: it begins a `LiveTurn` through `doors` and subscribes to its events, so a refresh, a dropped
socket or a second tab sees the whole answer. Where no server runs in the process (AppTest, command line) the runtime
starts its own loop thread, and the caller is the local owner: such a process can be reached by nobody.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import (
    AnswerUnfinished,
    ComponentFailed,
    ModelNotReady,
    ProviderError,
    RunError,
    RunLimitReached,
    RunStopped,
    ShuttingDown,
)
from flowground.files import Files, of_knowledge
from flowground.flow.tested import FlowTestReport
from flowground.forgetting import FILES, REMOVED, Forgetting
from flowground.functions import Functions
from flowground.interruptions import Interruptions
from flowground.knowledge import IndexHomes
from flowground.library import Library
from flowground.limits import RunLimits
from flowground.limits.admission import Admission
from flowground.loader import Catalogue
from flowground.loader.unmeant import ConfigNames
from flowground.outgoing import WebPages
from flowground.providers import Providers
from flowground.running import RunningRuns
from flowground.runtime.live_turn import LiveTurn
from flowground.runtime.reach import RunReach
from flowground.runtime.repeats import Repeats, ToldFlow, ToldTurn
from flowground.runtime.stream_turns import StreamTurns
from flowground.runtime.turn_log import NumberedEvent
from flowground.settings import Settings, find_config
from flowground.sign_in import SignIn
from flowground.store import Store
from flowground.switches import Switches
from flowground.wiring import WiredFlow

__all__ = ["APP_FOLDER", "LiveTurn", "NumberedEvent", "Runtime", "ToldFlow", "ToldTurn", "get", "install"]

_ROUTERS = (os.path.join(folder, "pages", "router.py") for folder in sys.path)
APP_FOLDER = Path(next(filter(os.path.isfile, _ROUTERS), "pages/router.py")).parents[1].resolve()
"""Where app.py and config.yaml stand: where Python looks for modules, a checkout or the folder of a project."""


class Runtime:
    """Everything one process needs, built from Settings. Its coroutines belong to the loop that `start` ran on."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store.open(settings.database, seconds=settings.limits.store_seconds)
        functions = Functions(settings.functions, settings.root)
        names = ConfigNames(settings.knowledge, settings.databases, functions.find)
        self.catalogue = Catalogue(settings.flows, servers=settings.mcp_servers, names=names)
        self.models = make_models(settings)
        self.library = make_library(settings, self.store, self.catalogue, self.models)
        self.files = Files(self.store, settings)
        self.reach = RunReach(settings, self.library.make_look_up, self.files, functions)
        self.sign_in = SignIn(settings, self.store)
        self.access = Access(
            self.catalogue,
            self.store,
            self.sign_in,
            allow_public=settings.sharing.allow_public,
            local_mode=settings.local_mode,
            writers=settings.authors.may_write,
            end_turns=self._end_turns,
            note_removal=lambda: self.forgetting.look_soon(REMOVED),
        )
        self.run_limits = RunLimits(settings, self.store, secret=self.sign_in.cookies.key)
        self.admission = Admission(settings.limits.runs_at_once)
        self.forgetting = Forgetting(self.store, settings.retention, settings.sharing.public)
        self.forgetting.files = self.files
        self.store.on_erasure = self.forget_files
        self.running = RunningRuns(self.store)
        self.switches = Switches(self.store, self.running, self.models)
        self.interruptions = Interruptions(self.store)
        self._page_turns: dict[tuple[str, str, str], LiveTurn] = {}
        self.on_page_turn: Callable[[LiveTurn], None] = lambda _: None
        """Is told of every turn that begins on a page, before it has said anything."""
        self.test_reports: dict[str, FlowTestReport] = {}
        """Of the flows that were tested on a page, by id: what came of it last."""
        self._stream_turns = StreamTurns()
        self.repeats = Repeats(
            self.store, self.interruptions, self.find_stream_turn, seconds=settings.limits.resume_seconds
        )
        self._tasks: set[asyncio.Task[object]] = set()
        self.is_stopping = False
        """Whether running turns are being cancelled because the process ends."""
        self._is_ending = False

    async def start(self) -> None:
        """Captures the running loop and readies what needs one. Raises ConfigError."""
        self.loop = asyncio.get_running_loop()
        await self.sign_in.roster.start()
        await self.interruptions.start()
        self.models.start()
        self.forgetting.start()
        self.library.start()

    def forget_files(self) -> None:
        """Something was deleted that may have had files: their bytes go soon. In any thread."""
        self.loop.call_soon_threadsafe(self.forgetting.look_soon, FILES)

    async def close(self) -> None:
        """Ends what runs and closes the rest; nothing acknowledged is lost."""
        await self.stop_runs(0)
        await self.interruptions.close()
        await self.switches.close()
        await self.running.close()
        await self.forgetting.close()
        await self.library.close()
        await self.reach.close()
        await self.models.close()
        self.sign_in.close()
        self.files.close()
        await asyncio.to_thread(self.store.close)

    def refuse_second_answer(self, caller: Caller, flow_id: str, session_id: str) -> None:
        """Raises AnswerUnfinished while this session is being answered, RunLimitReached while any of a visitor is.

        Nothing may wait between this and `keep_for_page`: two that come at once cannot both pass.
        """
        if (str(caller.owner), flow_id, session_id) in self._page_turns:
            raise AnswerUnfinished
        if caller.kind == "visitor" and any(owner == str(caller.owner) for owner, *_ in self._page_turns):
            raise RunLimitReached(
                "Your last message is still being answered.",
                code="turn_running",
                hint="Stop that answer or wait for its end, then send this one.",
            )

    def keep_for_page(self, turn: LiveTurn) -> None:
        """Pages find it by `find_page_turn`, until it ends."""
        place = (str(turn.caller.owner), turn.wired.id, turn.request.session_id or "")
        self._page_turns[place] = turn
        turn.task.add_done_callback(lambda _: self._page_turns.pop(place, None))
        self._wait_for(turn)
        self.on_page_turn(turn)

    def keep_for_stream(self, turn: LiveTurn) -> None:
        """`find_stream_turn` finds it, until `limits.resume_seconds` after its end."""
        seconds = self.settings.limits.resume_seconds
        turn.on_start = lambda started: self._stream_turns.add(started.run_id, turn, keep_seconds=seconds)
        self._wait_for(turn)

    def find_stream_turn(self, run_id: str) -> LiveTurn | None:
        """The turn that is this run, if it can be followed."""
        return self._stream_turns.find(run_id)

    async def _end_turns(self, owners: Collection[str], flows: Collection[str] | None, session_id: str | None) -> None:
        """As `access.EndTurns` says."""
        await self.running.stop_conversations(owners, flows, session_id)
        self._stream_turns.forget(owners, flows, session_id)

    def explain_stop(self) -> RunError:
        """Why a turn that was cancelled has no answer."""
        return ShuttingDown() if self.is_stopping else RunStopped()

    def _wait_for(self, turn: LiveTurn) -> None:
        self._tasks.add(turn.task)
        turn.task.add_done_callback(self._tasks.discard)

    def require_ready(self, caller: Caller, wired: WiredFlow) -> None:
        """Raises ComponentFailed while a model of the flow is still being fetched; the fetch begins, where allowed."""
        for name, named in wired.list_models():
            try:
                provider, model = self.models.resolve(named)
                provider.require_ready(model)
            except ModelNotReady as error:
                failure = ComponentFailed(name, error)
                raise (failure if caller.sees_inside else failure.hide_inside()) from None
            except ProviderError:
                continue  # the run itself will say it

    def find_page_turn(self, caller: Caller, flow_id: str, session_id: str) -> LiveTurn | None:
        """The turn being taken in a session of this caller, if any."""
        return self._page_turns.get((str(caller.owner), flow_id, session_id))

    @contextmanager
    def mark_run(self) -> Iterator[asyncio.Task[object]]:
        """Marks the current task as one that `stop_runs` waits for and may cancel, and gives it."""
        task = asyncio.current_task()
        if task is None:
            raise RunError("A run needs a task.")
        self._tasks.add(task)
        try:
            yield task
        finally:
            self._tasks.discard(task)

    def refuse_when_ending(self) -> None:
        """Raises ShuttingDown once `stop_runs` was called: nobody would wait for a turn that begins now."""
        if self._is_ending:
            raise ShuttingDown(hint="Try again in a moment.")

    async def stop_runs(self, grace: float) -> None:
        """Lets running turns finish for `grace` seconds, then cancels them and waits for their ends."""
        self._is_ending = True
        self.admission.close()
        if running := set(self._tasks):
            if grace:
                await asyncio.wait(running, timeout=grace)
            self.is_stopping = True
            self.store.hurry()
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=5)


def make_models(settings: Settings) -> Providers:
    """The providers of models that config.yaml has."""
    return Providers(
        settings.providers,
        default_model=settings.default_model,
        folder=settings.data / "models",
        egress=settings.outgoing.egress,
    )


def make_library(settings: Settings, store: Store, catalogue: Catalogue, models: Providers) -> Library:
    """What flows look things up in, with the files that people added."""
    return Library(
        catalogue,
        settings.knowledge,
        IndexHomes(settings.data / "knowledge", settings.database),
        find_embeddings=models.find_embeddings,
        list_uploads=partial(of_knowledge.list_uploads, store, settings.data),
        pages=WebPages(settings.outgoing),
    )


_lock = threading.Lock()
_current: Runtime | None = None


def install(runtime: Runtime | None) -> None:
    """Makes `runtime` the process's own; None forgets it. The lifespan calls it, and tests."""
    global _current
    _current = runtime


def get() -> Runtime:
    """The process's runtime; where no server made one, it is opened on a loop thread of its own."""
    with _lock:
        if _current is None:
            install(_start_on_own_thread(Runtime(Settings.load(find_config(APP_FOLDER)))))
        assert _current is not None  # noqa: S101 - set just above
        return _current


def _start_on_own_thread(runtime: Runtime) -> Runtime:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="flowground-loop", daemon=True).start()
    asyncio.run_coroutine_threadsafe(runtime.start(), loop).result()
    return runtime
