"""Builds everything once from Settings and owns the running turns; `get()` is the one global.

A page never owns a run: it begins a `LiveTurn` through `doors` and subscribes to its events, so a refresh, a dropped
socket or a second tab sees the whole answer. Where no server runs in the process (AppTest, command line) the runtime
starts its own loop thread, and the caller is the local owner: such a process can be reached by nobody.

What runs reach beyond their models, opened once for a process, by its settings.

What admins switched off: new runs of it are refused and running ones ended, with a sentence that says why.

The switches stand in the database, and in memory here. While runs run in this process it looks every two seconds
whether another one has changed them, wants a run stopped, or was told what a person decided. A process without runs
looks once it is used again.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from flowground.access import Access
from flowground.access.sign_in import SignIn
from flowground.app.library import Library
from flowground.app.live_turns import IdempotencyCache, LiveTurn, StreamTurns
from flowground.app.retention import FILES, REMOVED, Forgetting
from flowground.components.base import LookUp, Outside
from flowground.components.schemas import find_wrong_schema
from flowground.core.caller import LOCAL_OWNER, WHOSE, Caller, RunRequest
from flowground.core.errors import (
    AnswerUnfinished,
    ComponentFailed,
    EndedByAdmin,
    FlowSwitchedOff,
    ModelNotReady,
    ProviderError,
    ProviderSwitchedOff,
    RequestError,
    RunError,
    RunLimitReached,
    RunStopped,
    ShuttingDown,
    StoppedByAdmin,
    StoreUnavailable,
)
from flowground.flows.checks import ConfigNames
from flowground.flows.flow import FlowTestReport
from flowground.flows.folder import Catalogue
from flowground.flows.tweaks import apply_tweaks
from flowground.flows.wiring import WiredFlow
from flowground.knowledge import IndexHomes
from flowground.knowledge.extraction import Extracted, ExtractionLimits
from flowground.knowledge.extraction.extractors import Extractors
from flowground.providers import Providers
from flowground.runs import files
from flowground.runs.admission import Admission
from flowground.runs.files import FileReading, Files, FileTexts
from flowground.runs.limits import RunLimits
from flowground.runs.running import Interruptions, RunningRuns
from flowground.runs.scope import NothingWaits
from flowground.settings import Settings, find_config
from flowground.store import Store, publications
from flowground.store.publications import Switch, SwitchKind
from flowground.store.runs import requests
from flowground.store.runs.requests import Outcome, PassedDecision, StopKind
from flowground.tools.databases import Databases
from flowground.tools.functions import Functions
from flowground.tools.mcp import McpServers
from flowground.tools.outgoing import Outgoing, WebPages
from flowground.tools.search import WebSearches

_PAGES = ExtractionLimits(file_bytes=3_200_000, text_chars=500_000, memory_bytes=500_000_000, seconds=20)
_SECONDS = 2.0
_FRESH = 1.5
"""What was read so long ago counts as long as this many times the seconds between two looks."""
_ROUTERS = (os.path.join(folder, "pages", "router.py") for folder in sys.path)
APP_FOLDER = Path(next(filter(os.path.isfile, _ROUTERS), "pages/router.py")).parents[1].resolve()
"""Where app.py and config.yaml stand: where Python looks for modules, a checkout or the folder of a project."""
_lock = threading.Lock()


class RunReach:
    """Owns the client of tools, databases, MCP servers, functions, and the process that reads pages; nothing runs
    unneeded."""

    def __init__(
        self, settings: Settings, look_ups: Callable[[str], LookUp], files: Files, functions: Functions
    ) -> None:
        self._outgoing = Outgoing(settings.outgoing)
        self._extractor = Extractors(_PAGES)
        self._databases = Databases(settings.databases)
        self._functions = functions
        search = WebSearches(settings.search, self._outgoing).search
        self._reading = FileReading(files)
        self._texts = FileTexts(settings.flows, files.read_file)
        self._servers = McpServers(settings.mcp_servers, settings.outgoing.egress, find_wrong_schema)
        self.outside = Outside(
            look_ups=look_ups,
            ask=self._outgoing.ask,
            extract=self._read_page,
            search=search,
            ask_database=self._databases.ask,
            find_function=self._functions.find,
            sent_files=self._reading,
            read_file=self._texts.read,
            servers=self._servers,
        )

    async def _read_page(self, data: bytes, name: str) -> Extracted:
        return await self._extractor.extract(data, name, whose=WHOSE.get())

    async def close(self) -> None:
        """Closes connections, ends queries and processes."""
        await self._servers.close()
        await self._outgoing.close()
        await self._extractor.close()
        await self._databases.close()
        self._functions.close()
        await self._reading.close()
        await self._texts.aclose()


class Switches:
    """Of one process; all but `find_off` belongs to the runtime's loop. `seconds` is the time between two looks."""

    def __init__(self, store: Store, running: RunningRuns, models: Providers, *, seconds: float = _SECONDS) -> None:
        self._store, self._running, self._models = store, running, models
        self._seconds = seconds
        self._off: Mapping[tuple[SwitchKind, str], Switch] = {}
        self._changed = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None
        """Is called after something was switched off or on, once the runs of it are being ended."""
        models.is_off = self._is_provider_off
        self._looked = -float("inf")
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Makes sure that what is off is known, but for what another process changed within the last seconds.

        Reads nothing while runs run in this process: then it looks by itself.
        """
        if self.is_stale:
            async with self._lock:
                if self.is_stale:  # else whoever waited before has looked
                    await self._look()

    @property
    def is_stale(self) -> bool:
        """Whether `refresh` would read."""
        return time.monotonic() - self._looked > _FRESH * self._seconds

    def refuse(self, wired: WiredFlow) -> None:
        """Raises EndedByAdmin where a run that is about to begin, of the flow as it is tweaked, may not."""
        self._set_timer()
        if why := self.find_off(wired):
            raise why

    def find_off(
        self, wired: WiredFlow, request: RunRequest | None = None, caller: Caller = LOCAL_OWNER
    ) -> EndedByAdmin | None:
        """What is told instead of an answer where the flow is off, or a provider that it asks with these tweaks.

        From any thread. What is wrong with a tweak is said where the turn begins.
        """
        off = self._off
        if not off:
            return None
        if request and request.tweaks:
            with suppress(RequestError):
                wired = apply_tweaks(wired, request, unknown="warn", caller=caller).wired
        if switch := off.get(("flow", wired.id)):
            return FlowSwitchedOff(switch.says)
        for inner in wired.inner_flows.values():
            if switch := off.get(("flow", inner.id)):
                return FlowSwitchedOff(switch.says)
        for _, model in wired.list_models():
            if switch := off.get(("provider", self._models.name_provider(model))):
                return ProviderSwitchedOff(switch.says)
        return None

    def _is_provider_off(self, name: str) -> bool:
        return ("provider", name) in self._off

    def _find_off_fallback(self, asked: Collection[str]) -> EndedByAdmin | None:
        switch = next((switch for name in asked if (switch := self._off.get(("provider", name)))), None)
        return ProviderSwitchedOff(switch.says) if switch else None

    async def wait_for_off(
        self,
        wired: WiredFlow,
        request: RunRequest,
        caller: Caller,
        left: Callable[[], Coroutine[Any, Any, object]] | None = None,
    ) -> EndedByAdmin | None:
        """For whoever waits for a place: what `find_off` finds, once it finds something; None once `left` returns."""
        leaving = asyncio.ensure_future(left()) if left else None
        try:
            while not (leaving and leaving.done()):
                if off := self.find_off(wired, request, caller):
                    return off
                await self._wait_for_change(leaving)
            return None
        finally:
            if leaving:
                leaving.cancel()

    async def _wait_for_change(self, leaving: asyncio.Future[Any] | None) -> None:
        change = asyncio.ensure_future(self._changed.wait())
        awaited: set[asyncio.Future[Any]] = {change, leaving} if leaving else {change}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()

    async def switch_off(self, kind: SwitchKind, name: str, *, says: str, by: str) -> None:
        """Ends what runs of it: here at once, in other processes within seconds."""
        await self._store.write(publications.switch_off, kind=kind, name=name, says=says, by=by)
        await self._look_again()

    async def switch_on(self, kind: SwitchKind, name: str, *, by: str) -> bool:
        """False when it was on."""
        was_off = await self._store.write(publications.switch_on, kind=kind, name=name, by=by)
        await self._look_again()
        return was_off

    async def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._looking:
            await asyncio.wait([self._looking])

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._begin_look)

    def _begin_look(self) -> None:
        self._timer = None
        if self._running.list_runs():
            self._set_timer()
            if self._looking is None or self._looking.done():
                self._looking = asyncio.ensure_future(self._look_again())

    async def _look_again(self) -> None:
        async with self._lock:
            await self._look()

    async def _look(self) -> None:
        """Heeds what is asked for. While the database does not answer, what was known before counts."""
        with suppress(StoreUnavailable):
            orders = await self._store.read(requests.read_orders, holder=self._running.holder)
            self._apply(orders.off, orders.stops)
            if outcomes := {passed: self._take_decision(passed) for passed in orders.decisions}:
                await self._store.write(requests.note_outcomes, outcomes=outcomes)
        self._looked = time.monotonic()

    def _take_decision(self, passed: PassedDecision) -> Outcome:
        try:
            return "taken" if self._running.decide(*passed) else "nothing_waits"
        except NothingWaits:
            return "nothing_waits"

    def _apply(self, off: Sequence[Switch], stops: Mapping[str, StopKind]) -> None:
        for run_id, kind in stops.items():
            self._running.end_early(run_id, StoppedByAdmin() if kind == "admin" else RunStopped())
        known = {(switch.kind, switch.name): switch for switch in off}
        if known == self._off:
            return
        self._off = known
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        told: dict[int, EndedByAdmin | None] = {}  # many runs are of one flow, which may be large
        for run_id, run in self._running.list_runs().items():
            if id(run.wired) not in told:
                told[id(run.wired)] = self.find_off(run.wired)
            if why := told[id(run.wired)] or self._find_off_fallback(run.asked_instead):
                self._running.end_early(run_id, why)
        self.on_change()


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
        self.repeats = IdempotencyCache(
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

    def stop_error(self) -> RunError:
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
            self.store.shorten_waits()
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
        list_uploads=partial(files.list_uploads, store, settings.data),
        pages=WebPages(settings.outgoing),
    )


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
