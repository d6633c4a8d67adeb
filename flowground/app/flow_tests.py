"""Runs the tests of flow files: turns like any other, with replies of the test instead of the outside world.

Models are answered by the scripted model or a named one, and by the replies of the test; config.yaml changes nothing of
what the scripted model answers. Conversations go into a database of their own, which is deleted at the end. At a page,
each tested turn counts as a run of the author and takes a place among runs.
"""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from flowground.access.insides import open_inside
from flowground.app import endpoint
from flowground.app.authorize import PersonTrying
from flowground.app.expectations import compare, sum_up_turn
from flowground.app.runtime import Runtime
from flowground.components.base import NO_OUTSIDE, Component, LookUp, Models, Outside
from flowground.components.connectors import MCP, SQL, PythonFunction
from flowground.components.web import APIRequest
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest, make_id
from flowground.core.errors import FlowgroundError, InvalidRequest, ProviderRefused, RunError, ToolNotCalled
from flowground.core.events import Event, ModelProgress
from flowground.core.values import Record
from flowground.core.words import count, suggest
from flowground.flows.checks import list_components
from flowground.flows.flow import Difference, FlowTest, FlowTestOutcome, FlowTestReport, TestedTurn, TurnOutcome
from flowground.flows.tested import may_be_replied
from flowground.flows.tweaks import apply_tweaks
from flowground.flows.wiring import WiredFlow, find_types, replace_components
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece, Provider
from flowground.providers.scripted import Scripted, ScriptedSettings
from flowground.runs.files import FileOffer, Files, find_in_folder, not_there_message
from flowground.runs.running import RunningRuns
from flowground.runs.turns import TurnTerms, take_turn
from flowground.settings import Settings
from flowground.store import Store
from flowground.tools.functions import OwnFunction
from flowground.tools.mcp import ServerTool
from flowground.tools.outgoing import OutgoingAnswer, OutgoingCall
from flowground.tools.settings import SqlParts

SCRIPTED = "scripted"
AT_ONCE = 8
"""Tests of one tester that run concurrently."""
Admit = Callable[[RunRequest], AbstractAsyncContextManager[TurnTerms]]
"""Authorizes one turn for as long as the context lasts."""
_NAMED: Mapping[type[Component], str] = {
    MCP: "server",
    APIRequest: "method",
    SQL: "database",
    PythonFunction: "function",
}
"""The field of a component that names its server, method, database or function."""
_BLOCK = 262_144
"""Bytes of a file that are read at once."""
_ANSWER = {"status_code", "result"}
"""The keys of a reply that has a status."""


async def _read_pieces(path: Path) -> AsyncGenerator[bytes, None]:
    with path.open("rb") as opened:
        while piece := await asyncio.to_thread(opened.read, _BLOCK):
            yield piece


class TestedName(str):
    """The name of a model, server, method, database or function, with the component that asks it.

    `change_component` keeps the subclass.
    """

    __test__ = False

    component: str


def name_tested(wired: WiredFlow, model: str, *, replied: Container[str], answered: Container[str] = ()) -> WiredFlow:
    """The flow with a `TestedName` in all components that ask something; `model` answers, but for the `replied` ones.

    Tools in `answered`, to which the test replies, need no approval: their calls reach nothing.
    """
    inner = {name: _name(flow, f"{flow.id}.", model, replied, answered) for name, flow in wired.inner_flows.items()}
    return replace(_name(wired, "", model, replied, answered), inner_flows=inner)


def _name(wired: WiredFlow, prefix: str, model: str, replied: Container[str], answered: Container[str]) -> WiredFlow:
    changed: dict[str, Component] = {}
    unasked = {key for key in wired.components if f"{prefix}{key}" in answered}
    for key, component in wired.components.items():
        if component.list_models():
            name = f"{prefix}{key}"
            named = TestedName(SCRIPTED if name in replied else model)
            named.component = name
            changed[key] = component.model_copy(update={"model": named})
            if name not in replied:
                unasked.discard(key)
        elif field := next((field for kind, field in _NAMED.items() if isinstance(component, kind)), None):
            named = TestedName(getattr(component, field))
            named.component = f"{prefix}{key}"
            changed[key] = component.model_copy(update={field: named})
    tools = {
        agent: tuple(replace(tool, confirm=False) if tool.component in unasked else tool for tool in found)
        for agent, found in wired.tools.items()
    }
    return replace(replace_components(wired, changed), tools=tools)


@dataclass(frozen=True, slots=True)
class TestedModels:
    """`Models` of one tested turn. `calls` counts how often each component asked."""

    __test__ = False

    models: Models
    replies: Mapping[str, Any]
    calls: Counter[str] = field(default_factory=Counter)

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        """As `Models.resolve`, for a flow from `name_tested`."""
        if not isinstance(model, TestedName):
            return self.models.resolve(model)
        name, _, rest = model.partition(":")
        if name == SCRIPTED:
            return _AskedModel(self, model.component, Scripted()), rest or ScriptedSettings.only_model
        provider, rest = self.models.resolve(str(model))
        return _AskedModel(self, model.component, provider), rest


@dataclass(frozen=True, slots=True)
class _AskedModel:
    """A provider that answers one component with the test's replies, or by its own model."""

    tested: TestedModels
    component: str
    provider: Provider

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        async with aclosing(self._count().stream(call)) as pieces:
            async for piece in pieces:
                yield piece

    async def complete(self, call: ModelCall) -> Completion:
        return await self._count().complete(call)

    def require_ready(self, model: str) -> None:
        self.provider.require_ready(model)

    def takes(self, model: str) -> Capabilities:
        return self.provider.takes(model)

    async def close(self) -> None:
        """Nothing to free: the provider belongs to the process."""

    def _count(self) -> Provider:
        """Counts a call; the provider that answers it. Raises ProviderRefused where the test has too few replies."""
        calls, replies, name = self.tested.calls, self.tested.replies, self.component
        calls[name] += 1
        if name not in replies:
            return self.provider
        given, is_there = pick_reply(replies, name, calls[name])
        if not is_there:
            has = count(len(replies[name]), "reply", "replies")
            raise ProviderRefused(f"The test has {has} for `{name}`, which asked once more.")
        return Scripted(pieces=(write_reply(given),))


def write_reply(given: Any) -> str:
    """The reply as text: JSON unless it is text already."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def pick_reply(replies: Mapping[str, Any], component: str, asked: int) -> tuple[Any, bool]:
    """The test's reply to the component's call number `asked` (from 1), and whether there is such a reply."""
    given = replies[component]
    if not isinstance(given, list):
        return given, True
    return (given[asked - 1], True) if asked <= len(given) else (None, False)


@dataclass(frozen=True, slots=True)
class TestedOutside:
    """Replies in place of MCP servers, HTTP APIs, databases and functions, for one turn of a flow from `name_tested`.

    Tools and functions take any arguments; tools write nothing. Every call raises ToolNotCalled where the test has no
    reply, RunError where the reply has a wrong form.
    """

    __test__ = False

    replies: Mapping[str, Any]
    calls: Counter[str] = field(default_factory=Counter)

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        """A tool of this name that takes any arguments."""
        self._find(server, "ask no MCP server")
        return ServerTool(tool, "", {"type": "object"}, writes=False)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG002 - the contract's
        """The next reply, as text."""
        return write_reply(self._take(server, "ask no MCP server"))

    async def ask(self, call: OutgoingCall) -> OutgoingAnswer:
        """The next reply, with its status."""
        given, status = self._take(call.method, "ask no other server"), 200
        if isinstance(given, dict) and "status_code" in given and given.keys() <= _ANSWER:
            status, given = given["status_code"], given.get("result", "")
        if type(status) is not int or not 100 <= status <= 599:
            says = f"`status_code` of the reply for `{self._find(call.method, '')}` is a whole number from 100 to 599."
            raise RunError(says)
        kind = "text/plain" if isinstance(given, str) else "application/json"
        return OutgoingAnswer(call.url, status, kind, "utf-8", None, write_reply(given).encode())

    async def ask_database(self, name: str, parts: SqlParts) -> Sequence[Record]:  # noqa: ARG002 - the contract's
        """The rows: a list of mappings is the reply to every query; of a list of such lists the next one."""
        rows = self._take(name, "ask no database", is_rows=True)
        records = [rows] if isinstance(rows, dict) else rows
        if not isinstance(records, list) or not all(isinstance(row, dict) for row in records):
            raise RunError("The reply of the test is no rows: a list of mappings.")
        return records

    def find_function(self, name: str) -> OwnFunction:
        """A function whose call returns the next reply unchanged."""

        async def call(_: Mapping[str, Any]) -> Any:
            return self._take(name, "call no function")

        return OwnFunction(name, "", {"type": "object", "required": []}, call)

    def _find(self, asked: str, why: str) -> str:
        component = asked.component if isinstance(asked, TestedName) else ""
        if component not in self.replies:
            hint = f": `replies` may say what `{component}` gives" if component else ""
            raise ToolNotCalled(f"Tests {why}{hint}.")
        return component

    def _take(self, asked: str, why: str, *, is_rows: bool = False) -> Any:
        component = self._find(asked, why)
        self.calls[component] += 1
        given = self.replies[component]
        if is_rows and isinstance(given, list) and not any(isinstance(one, list) for one in given):
            return given
        given, is_there = pick_reply(self.replies, component, self.calls[component])
        if not is_there:
            raise ToolNotCalled(f"The test has too few replies for `{component}`, which asked once more.")
        return given


@dataclass(slots=True)
class FlowTester:
    """Runs tests concurrently, in a block, at whose end its own database is deleted.

    `model` answers instead of the tests' own model and their replies; `look_ups` search the knowledge of flows.
    """

    settings: Settings
    models: Models
    model: str | None = None
    admit: Admit = lambda _: nullcontext(TurnTerms())
    on_progress: Callable[[ModelProgress], None] = lambda _: None
    look_ups: Callable[[str], LookUp] = NO_OUTSIDE.look_ups
    store: Store = field(init=False)
    running: RunningRuns = field(init=False)
    files: Files = field(init=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False)
    _places: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, AT_ONCE))

    async def __aenter__(self) -> Self:
        make = partial(tempfile.TemporaryDirectory, prefix="flowground-tests-", ignore_cleanup_errors=True)
        self._folder = await asyncio.to_thread(make)
        self.store = await asyncio.to_thread(Store.open, f"sqlite:///{self._folder.name}/tests.db", is_lasting=False)
        self.running = RunningRuns(self.store)
        limits = self.settings.limits
        unbounded = limits.model_copy(update={"person": limits.person.model_copy(update={"file_bytes": 0})})
        here = self.settings.model_copy(update={"data": Path(self._folder.name), "limits": unbounded})
        self.files = Files(self.store, here)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.running.close()
        await self.files.end_reading()
        await asyncio.to_thread(self.files.close)
        await asyncio.to_thread(self.store.close)
        await asyncio.to_thread(self._folder.cleanup)

    async def run_tests(self, wired: WiredFlow) -> list[FlowTestOutcome]:
        """Runs all tests of one flow; outcomes in the file's order."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._run_test(wired, index)) for index in range(len(wired.flow.tests))]
        return [task.result() for task in tasks]

    async def _run_test(self, wired: WiredFlow, index: int) -> FlowTestOutcome:
        test, session = wired.flow.tests[index], make_id()
        turns: list[TurnOutcome] = []
        async with self._places:
            for turn in test.list_turns():
                turns.append(await self._run_turn(wired, test, turn, session))
                if turns[-1].differences:
                    break
        line = wired.flow.places[f"tests.{index}"].value.line
        return FlowTestOutcome(wired.id, wired.flow.file, line, test.title, len(test.list_turns()), tuple(turns))

    async def _keep_files(self, wired: WiredFlow, names: Sequence[str]) -> tuple[str, ...]:
        """The ids of files below the folder of flows, which are kept as if they were added at a page."""
        kept: list[str] = []
        for name in names:
            path = await asyncio.to_thread(find_in_folder, self.settings.flows, name)
            if path is None:
                raise InvalidRequest(not_there_message(name))
            try:
                offer = FileOffer(LOCAL_OWNER.owner, path.name, wired.id)
                async with aclosing(_read_pieces(path)) as pieces:
                    file = await self.files.receive(pieces, offer)
            except OSError as error:
                raise InvalidRequest(f"The file `{name}` cannot be read: {error.strerror}.") from None
            kept.append(file.reference.id)
        return tuple(kept)

    async def _run_turn(self, wired: WiredFlow, test: FlowTest, turn: TestedTurn, session: str) -> TurnOutcome:
        takes, gives = find_types(wired)
        asked = RunRequest(turn.message, takes, gives, tweaks=test.overrides, session_id=session)
        replies = {} if self.model else turn.replies
        models = TestedModels(self.models, replies)
        seen, failure, began = list[Event](), None, time.monotonic()
        try:
            _refuse_unknown(wired, turn)
            files = await self._keep_files(wired, turn.files)
        except FlowgroundError as error:
            return TurnOutcome(turn.message, 0, (Difference("", error.full_message),))
        try:
            tweaked = apply_tweaks(wired, asked, unknown="refuse").wired
            tested = name_tested(tweaked, self.model or test.model or SCRIPTED, replied=replies, answered=turn.replies)
            request = RunRequest(turn.message, takes, gives, session_id=session, stream=True, files=files)
            own = TestedOutside(turn.replies)
            outside = Outside(self.look_ups, ask=own.ask, servers=own, ask_database=own.ask_database)
            read = self.files.read_text
            outside = replace(outside, find_function=own.find_function, sent_files=self.files, read_file=read)
            async with self.admit(asked) as terms:
                events = take_turn(
                    LOCAL_OWNER,
                    tested,
                    request,
                    running=self.running,
                    models=models,
                    settings=self.settings,
                    terms=terms,
                    outside=outside,
                )
                async with aclosing(events):
                    async for event in events:
                        seen.append(event)
                        if isinstance(event, ModelProgress):
                            self.on_progress(event)
        except FlowgroundError as error:
            failure = error.full_message
        result = sum_up_turn(seen, failure, models.calls, time.monotonic() - began)
        differences = await asyncio.to_thread(compare, turn.expect, result)
        return TurnOutcome(turn.message, result.seconds, differences)


def _refuse_unknown(wired: WiredFlow, turn: TestedTurn) -> None:
    """Raises InvalidRequest for components that neither the flow nor flows that it runs have."""
    expect = turn.expect
    for known, says, names in (
        (list_components(wired, may_be_replied), "that a test replies to", turn.replies),
        (list_components(wired, lambda one: bool(one.list_models())), "that asks a model", expect.calls),
        (list_components(wired), "among the components", (*expect.takes, *expect.skips)),
    ):
        for name in names:
            if name not in known:
                raise InvalidRequest(f"There is no `{name}` {says}{suggest(name, known, otherwise='.')}")


async def run_tests(runtime: Runtime, caller: Caller, flow_id: str) -> FlowTestReport:
    """Runs all tests of the flow as it is now and keeps the report for `find_report`. Raises FlowNotFound."""
    _, wired = await open_inside(runtime.access, caller, flow_id)
    admit = partial(_admit, runtime, caller, wired.id)
    look_ups = partial(runtime.library.make_look_up, words_only=True)
    async with FlowTester(runtime.settings, runtime.models, admit=admit, look_ups=look_ups) as tester:
        outcomes = await tester.run_tests(wired)
    report = FlowTestReport(wired.version, outcomes)
    served = runtime.catalogue.list_flows()
    kept = runtime.test_reports
    runtime.test_reports = {key: kept[key] for key in kept if key in served} | {wired.id: report}
    return report


async def find_report(runtime: Runtime, caller: Caller, flow_id: str) -> FlowTestReport | None:
    """The report of the last tests of the flow in this process, None without one. Raises FlowNotFound."""
    _, wired = await open_inside(runtime.access, caller, flow_id)
    return runtime.test_reports.get(wired.id)


@asynccontextmanager
async def _admit(runtime: Runtime, caller: Caller, flow_id: str, request: RunRequest) -> AsyncIterator[TurnTerms]:
    asker = PersonTrying(caller, "inside", "unprotected")
    answer = await endpoint.answer(runtime, asker, address=flow_id, ask=request)
    with answer.place or nullcontext(), runtime.mark_run():
        yield TurnTerms(runtime.switches.refuse, answer.place.count if answer.place else None)
