"""Builds everything a process needs once, from Settings, and owns its running turns; `get()` is the one global.

A page never owns a run: it starts a `LiveTurn` through `endpoint` and follows its events, so a refresh, a dropped
socket or a second tab sees the whole answer. Where no server runs in the process (AppTest) `get()` starts a
loop thread of its own, and the caller is the local owner: nobody else can reach such a process.

`Switches` has what admins switched off, in the database and in memory. While runs go on it checks every two seconds for
changes by other processes, runs to stop, and decisions about tool calls; otherwise only when it is used.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from flowground.access import Access
from flowground.access.sign_in import SignIn
from flowground.app.library import Library
from flowground.app.live_turns import IdempotencyCache, LiveTurn, StreamTurns
from flowground.app.retention import FILES, REMOVED, RetentionTask
from flowground.app.rights import RightsWatch
from flowground.app.runs_elsewhere import RunsElsewhere
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
from flowground.knowledge.extraction import ExtractionLimits
from flowground.knowledge.extraction.extractors import Extractors
from flowground.knowledge.index_folder import IndexFolders
from flowground.providers import Providers
from flowground.runs import files
from flowground.runs.admission import Admission
from flowground.runs.files import Files
from flowground.runs.limits import RunLimits
from flowground.runs.running import Interruptions, RunningRuns
from flowground.runs.scope import NothingWaits
from flowground.settings import Settings, find_config
from flowground.store import Store
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
"""Multiples of the seconds between two checks for which what was read counts as current."""
_POLLED_SECONDS = 0.25
"""As `_SECONDS`, where another process uses the database and no notice tells of its requests."""
_ROUTERS = (os.path.join(folder, "pages", "router.py") for folder in sys.path)
APP_FOLDER = Path(next(filter(os.path.isfile, _ROUTERS), "pages/router.py")).parents[1].resolve()
"""The folder of app.py and config.yaml: a checkout or the folder of a project, found where Python finds modules."""


class Runtime:
    """Everything that one process needs. Its coroutines belong to the loop that `start` ran on."""

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
            note_removal=lambda: self.retention_task.look_soon(REMOVED),
        )
        self.run_limits = RunLimits(settings, self.store, secret=self.sign_in.cookies.key)
        self.admission = Admission(settings.limits.runs_at_once)
        self.retention_task = RetentionTask(self.store, settings.retention, settings.sharing.public)
        self.retention_task.files = self.files
        self.store.on_erasure = self.forget_files
        self.running = RunningRuns(self.store)
        self.switches = Switches(self.store, self.running, self.models)
        self.interruptions = Interruptions(self.store)
        self.rights, self.elsewhere = RightsWatch(self.store), RunsElsewhere(self.store)
        self._page_turns: dict[tuple[str, str, str], LiveTurn] = {}
        self.on_page_turn: Callable[[LiveTurn], None] = lambda _: None
        """Called with every turn that begins on a page, before its first event."""
        self.test_reports: dict[str, FlowTestReport] = {}
        """Flow id -> the report of the last tests that ran on a page."""
        self._stream_turns = StreamTurns()
        self.repeats = IdempotencyCache(self.store, self.find_stream_turn, seconds=settings.limits.resume_seconds)
        self._tasks: set[asyncio.Task[object]] = set()
        self.is_stopping = False
        """Whether running turns are being cancelled because the process shuts down."""

    async def start(self) -> None:
        """Keeps the running loop and starts the tasks of the process. Raises ConfigError."""
        self.loop = asyncio.get_running_loop()
        await self.sign_in.roster.start()
        self.interruptions.on_notice = self._take_notice
        await self.interruptions.start()
        self.models.start()
        self.retention_task.start()
        self.library.start()

    def forget_files(self) -> None:
        """Schedules the deletion of bytes, after rows that may have had files were deleted. From any thread."""
        self.loop.call_soon_threadsafe(self.retention_task.look_soon, FILES)

    def _take_notice(self, notice: str) -> None:
        kind, _, rest = notice.partition(" ")
        if kind == "asked" and rest == self.running.holder:
            self.switches.look_soon()
        elif kind in ("events", "began") and rest != self.running.holder:
            self.elsewhere.look_soon()
            if kind == "began":
                self.rights.look_around()

    async def close(self) -> None:
        """Stops runs and closes everything; nothing acknowledged is lost."""
        if self.rights.task:
            self.rights.task.cancel()
        await self.stop_runs(0)
        self.elsewhere.stop()
        await self.interruptions.close()
        await self.switches.close()
        await self.running.close()
        await self.retention_task.close()
        await self.library.close()
        await self.reach.close()
        await self.models.close()
        self.sign_in.close()
        self.files.close()
        await asyncio.to_thread(self.store.close)

    def refuse_second_answer(self, caller: Caller, flow_id: str, session_id: str) -> None:
        """Raises AnswerUnfinished while this session is being answered, RunLimitReached while any of a visitor is.

        Nothing may wait between this and `keep_for_page`, so that two simultaneous requests cannot both pass.
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
        """Keeps a turn until its end, for `find_page_turn`."""
        place = (str(turn.caller.owner), turn.wired.id, turn.request.session_id or "")
        self._page_turns[place] = turn
        turn.task.add_done_callback(lambda _: self._page_turns.pop(place, None))
        self._wait_for(turn)
        self.on_page_turn(turn)

    def keep_for_stream(self, turn: LiveTurn) -> None:
        """Keeps a turn until `limits.resume_seconds` after its end, for `find_stream_turn`."""
        seconds = self.settings.limits.resume_seconds
        turn.on_start = lambda started: self._stream_turns.add(started.run_id, turn, keep_seconds=seconds)
        self._wait_for(turn)

    def find_stream_turn(self, run_id: str) -> LiveTurn | None:
        """The turn of this run, if it can be followed."""
        return self._stream_turns.find(run_id)

    async def _end_turns(self, owners: Collection[str], flows: Collection[str] | None, session_id: str | None) -> None:
        """Stops running turns and forgets ended ones, as `access.EndTurns`."""
        await self.running.stop_conversations(owners, flows, session_id)
        self._stream_turns.forget(owners, flows, session_id)

    def stop_error(self) -> RunError:
        """The error of a turn that was cancelled."""
        return ShuttingDown() if self.is_stopping else RunStopped()

    def _wait_for(self, turn: LiveTurn) -> None:
        self._tasks.add(turn.task)
        turn.task.add_done_callback(self._tasks.discard)

    def require_ready(self, caller: Caller, wired: WiredFlow) -> None:
        """Raises ComponentFailed while a model of the flow is not downloaded; starts the download, where allowed."""
        for name, named in wired.list_models():
            try:
                provider, model = self.models.resolve(named)
                provider.require_ready(model)
            except ModelNotReady as error:
                failure = ComponentFailed(name, error)
                raise (failure if caller.sees_inside else failure.hide_inside()) from None
            except ProviderError:
                continue  # the run itself raises it

    def find_page_turn(self, caller: Caller, flow_id: str, session_id: str) -> LiveTurn | None:
        """The running turn in a session of this caller, if any."""
        return self._page_turns.get((str(caller.owner), flow_id, session_id))

    @contextmanager
    def mark_run(self) -> Iterator[asyncio.Task[object]]:
        """Marks the current task as one that `stop_runs` waits for and may cancel; yields the task.

        Raises ShuttingDown instead of CancelledError where the server shuts down.
        """
        task = asyncio.current_task()
        if task is None:
            raise RunError("A run needs a task.")
        self._tasks.add(task)
        try:
            yield task
        except asyncio.CancelledError:
            if not self.is_stopping:
                raise
            task.uncancel()
            raise ShuttingDown from None
        finally:
            self._tasks.discard(task)

    def refuse_when_ending(self) -> None:
        """Raises ShuttingDown once `stop_runs` was called: it would not wait for a turn that begins now."""
        if self.admission.is_closed:
            raise ShuttingDown(hint="Try again in a moment.")

    async def stop_runs(self, grace: float) -> None:
        """Waits up to `grace` seconds for running turns, then cancels them and waits for their end."""
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
    """The model providers of config.yaml."""
    return Providers(
        settings.providers,
        default_model=settings.default_model,
        folder=settings.data / "models",
        egress=settings.outgoing.egress,
    )


def make_library(settings: Settings, store: Store, catalogue: Catalogue, models: Providers) -> Library:
    """The knowledge of all flows, with uploads."""
    return Library(
        catalogue,
        settings.knowledge,
        IndexFolders(settings.data / "knowledge"),
        find_embeddings=models.find_embeddings,
        list_uploads=partial(files.list_uploads, store, settings.data),
        pages=WebPages(settings.outgoing),
    )


_lock = threading.Lock()
_current: Runtime | None = None


def install(runtime: Runtime | None) -> None:
    """Makes `runtime` the one of the process; None forgets it. Called by the lifespan, and by tests."""
    global _current
    _current = runtime


def get() -> Runtime:
    """The process's runtime; where no server made one, a new one on a loop thread of its own."""
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


class RunReach:
    """What runs reach beyond their models, opened once for a process; clients and child processes start when needed."""

    def __init__(
        self, settings: Settings, look_ups: Callable[[str], LookUp], files: Files, functions: Functions
    ) -> None:
        outgoing, extractor = Outgoing(settings.outgoing), Extractors(_PAGES)
        databases, self._functions = Databases(settings.databases), functions
        servers = McpServers(settings.mcp_servers, settings.outgoing.egress, find_wrong_schema)
        self.outside = Outside(
            look_ups=look_ups,
            ask=outgoing.ask,
            extract=lambda data, name: extractor.extract(data, name, whose=WHOSE.get()),
            search=WebSearches(settings.search, outgoing).search,
            ask_database=databases.ask,
            find_function=functions.find,
            sent_files=files,
            read_file=files.read_text,
            servers=servers,
        )
        self._closes = (servers.close, outgoing.close, extractor.close, databases.close, files.end_reading)

    async def close(self) -> None:
        """Closes connections, ends queries and processes."""
        for close in self._closes:
            await close()
        self._functions.close()


class Switches:
    """What is switched off, for one process. All but `find_off` belongs to the runtime's loop; `seconds` is the time
    between two checks."""

    def __init__(self, store: Store, running: RunningRuns, models: Providers, *, seconds: float = _SECONDS) -> None:
        self._store, self._running, self._models = store, running, models
        self._seconds = seconds
        self._off: Mapping[tuple[SwitchKind, str], Switch] = {}
        self._changed = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None
        """Called after something was switched off or on, once its runs are being ended."""
        models.is_off = lambda name: ("provider", name) in self._off
        self._followed: Mapping[str, float] = {}
        """Run id -> when another process said last that it follows it."""
        self._looked = -float("inf")
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._is_due = False

    async def refresh(self) -> None:
        """Reads what is off unless that was read within the last seconds.

        Reads nothing while runs go on in this process: a timer reads then.
        """
        if self.is_stale:
            async with self._lock:
                if self.is_stale:  # else another caller has read it meanwhile
                    await self._look()

    @property
    def is_stale(self) -> bool:
        """Whether `refresh` would read."""
        return time.monotonic() - self._looked > _FRESH * self._seconds

    def refuse(self, wired: WiredFlow) -> None:
        """Raises EndedByAdmin where a run of this flow, as it is tweaked, may not begin."""
        self._set_timer()
        if why := self.find_off(wired):
            raise why

    def find_off(
        self, wired: WiredFlow, request: RunRequest | None = None, caller: Caller = LOCAL_OWNER
    ) -> EndedByAdmin | None:
        """The error where the flow is off, or a provider that it asks with these tweaks; None where nothing is off.

        From any thread. Wrong tweaks are ignored here: the turn raises their error when it begins.
        """
        off = self._off
        if not off:
            return None
        if request and request.tweaks:
            with suppress(RequestError):
                wired = apply_tweaks(wired, request, unknown="warn", caller=caller).wired
        for flow in (wired, *wired.inner_flows.values()):
            if switch := off.get(("flow", flow.id)):
                return FlowSwitchedOff(switch.says)
        return self._find_provider_off(self._models.name_provider(model) for _, model in wired.list_models())

    def _find_provider_off(self, asked: Iterable[str]) -> EndedByAdmin | None:
        switch = next((switch for name in asked if (switch := self._off.get(("provider", name)))), None)
        return ProviderSwitchedOff(switch.says) if switch else None

    async def wait_for_off(self, wired: WiredFlow, request: RunRequest, caller: Caller) -> EndedByAdmin:
        """Waits until `find_off` returns an error, for a run that waits for a place."""
        while not (off := self.find_off(wired, request, caller)):
            await self._changed.wait()
        return off

    async def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._looking:
            await asyncio.wait([self._looking])

    def _set_timer(self) -> None:
        if self._timer is None:
            process = self._store.process
            is_polled = not process.has_notices and process.has_others()
            seconds = min(_POLLED_SECONDS, self._seconds) if is_polled else self._seconds
            self._timer = asyncio.get_running_loop().call_later(seconds, self._begin_look)

    def look_soon(self) -> None:
        """Looks at once: something was asked of a run of this process."""
        if self._timer:
            self._timer.cancel()
        self._begin_look()

    def _begin_look(self) -> None:
        self._timer = None
        if self._running.runs:
            self._set_timer()
            self._is_due = True
            if self._looking is None or self._looking.done():
                self._looking = asyncio.ensure_future(self._look_again())

    async def _look_again(self) -> None:
        self._is_due = True
        while self._is_due:  # again where something was asked during the look
            async with self._lock:
                self._is_due = False
                await self._look()

    async def _look(self) -> None:
        """Reads and applies switches, stops and decisions. Without the database, what was read before counts."""
        with suppress(StoreUnavailable):
            orders = await self._store.read(requests.read_orders, holder=self._running.holder)
            self._apply(orders.off, orders.stops)
            if outcomes := {passed: self._take_decision(passed) for passed in orders.decisions}:
                await self._store.write(requests.note_outcomes, outcomes=outcomes)
            self._running.keep_soon(dict(orders.followed.items() - self._followed.items()))
            self._followed = orders.followed
        self._looked = time.monotonic()

    def _take_decision(self, passed: PassedDecision) -> Outcome:
        try:
            return "taken" if self._running.decide(*passed) else "nothing_waits"
        except NothingWaits:
            return "nothing_waits"

    def _apply(self, off: Sequence[Switch], stops: Mapping[str, StopKind]) -> None:
        for run_id, kind in stops.items():
            self._running.end_early(run_id, StoppedByAdmin() if kind == "admin" else RunStopped())
        switches = {(switch.kind, switch.name): switch for switch in off}
        if switches == self._off:
            return
        self._off = switches
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        errors: dict[int, EndedByAdmin | None] = {}  # many runs are of one flow, which may be large
        for run_id, run in self._running.runs.items():
            if id(run.wired) not in errors:
                errors[id(run.wired)] = self.find_off(run.wired)
            if why := errors[id(run.wired)] or self._find_provider_off(run.budget.asked_instead):
                self._running.end_early(run_id, why)
        self.on_change()
