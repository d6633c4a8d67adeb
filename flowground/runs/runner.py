"""Runs a wired flow once: components whose inputs exist run side by side, and their events come out in one stream.

A component is skipped when a reference of its own leads to a skipped component or to a port without a value; a
component whose references are all optional is skipped when none of them has a value. An empty text is a value.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from msgspec import structs

from flowground.components.base import (
    NO_OUTSIDE,
    Component,
    Context,
    History,
    InnerAnswer,
    LookedUp,
    Models,
    Output,
    Outside,
    Tool,
)
from flowground.components.flows import ForEach
from flowground.components.models import spread_value
from flowground.core.caller import RunRequest
from flowground.core.errors import (
    AnswerTooLong,
    ComponentFailed,
    FlowgroundError,
    RunError,
    RunOverBudget,
    RunTimeout,
    ToolNotCalled,
)
from flowground.core.events import (
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    InnerRun,
    ModelProgress,
    RunEvent,
    RunFinished,
    Token,
)
from flowground.core.messages import Reasoning, ToolCall, Usage, split_thought, sum_usage
from flowground.core.values import LONGEST_ANSWER, check_size, write_text
from flowground.flows.tools import WiredTool
from flowground.flows.wiring import WiredFlow, keeps_messages
from flowground.providers.base import Completion
from flowground.runs.inner import (
    DEEPEST,
    MOST_INNER_RUNS,
    Events,
    InnerEvents,
    RunBudget,
    component_error,
    find_answer,
    prepare_inner,
)
from flowground.runs.outputs import (
    ComponentOutputs,
    describe_tools,
    finds_output,
    finish_run,
    prepare_call,
    write_result,
)
from flowground.runs.scope import LONG, Actions, Approvals, Join, RunScope, ToolCallPath, find_loop_turns
from flowground.settings.limits import Limits

_AHEAD = 256
"""Unread events at most; a component that emits more waits for the reader."""
_PAUSE_EVERY = 50
"""Finished components after which other tasks of the loop go on; they do earlier where a component took long."""
_DEFAULTS = Limits()
_NOTHING = object()


class EventQueue:
    """The events of a run for its one reader. `note` is called with each event when it is put in."""

    def __init__(self, note: Callable[[ComponentEvent], None]) -> None:
        self._note = note
        self._events: deque[ComponentEvent | None] = deque()  # an asyncio.Queue takes five calls for one event
        self._arrival: asyncio.Future[None] | None = None
        """The reader's wait for the next event."""
        self._room = asyncio.Event()

    def put(self, event: ComponentEvent | None) -> None:
        """Adds the next event; None ends the queue."""
        if event is not None:
            self._note(event)
        self._events.append(event)
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    async def wait_for_room(self) -> None:
        """Waits until the reader has caught up."""
        while len(self._events) >= _AHEAD:
            self._room.clear()
            await self._room.wait()

    def take_all(self) -> list[ComponentEvent]:
        """All events of a run that has ended."""
        return [event for event in self._events if event is not None]

    async def take(self) -> ComponentEvent | None:
        """The next event, None at the end."""
        while not self._events:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        event = self._events.popleft()
        if len(self._events) <= _AHEAD // 2:
            self._room.set()
        return event


class Schedule:
    """Which components may begin: `ready`, in the file's order at first, then in the order in which their inputs
    end."""

    def __init__(self, wired: WiredFlow) -> None:
        self._followers = wired.followers
        self._missing = dict(wired.waits)
        self.ready = deque(wired.begins)
        self.ended = 0
        """How many components have ended."""

    def end(self, name: str) -> None:
        """Notes that a component has run or was skipped; components that waited only for it become ready."""
        self.ended += 1
        for follower in self._followers.get(name, ()):
            self._missing[follower] -= 1
            if not self._missing[follower]:
                self.ready.append(follower)


async def wait_for_first(running: dict[asyncio.Task[None], str]) -> list[str]:
    """Waits until a task has ended; removes the ended tasks and returns their names.

    Raises the first failure of an ended task.
    """
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in running if task in done]
    if failures := read_failures(ended):
        raise failures[0]
    return [running.pop(task) for task in ended]


def read_failures(tasks: Iterable[asyncio.Task[None]]) -> list[BaseException]:
    """The failures of these ended tasks. All are read: asyncio logs an exception that nobody reads."""
    return [error for task in tasks if not task.cancelled() and (error := task.exception())]


async def run_flow(  # noqa: PLR0913 - all that a run may reach
    wired: WiredFlow,
    request: RunRequest,
    *,
    history: History,
    models: Models,
    outside: Outside = NO_OUTSIDE,
    sees_inside: bool = True,
    limits: Limits = _DEFAULTS,
    budget: RunBudget | None = None,
    approvals: Approvals | None = None,
    note: Callable[[ComponentEvent], None] = lambda _: None,
) -> AsyncGenerator[RunEvent, None]:
    """Yields the events of one run, `RunFinished` last. `request.tweaks` are applied already.

    `sees_inside` False: the caller may select only the flow's outputs. `note` is called with each event but the last
    when it is made, also where the run fails before the event is read. `outside` is what the run may reach beyond its
    models. `budget` counts what the run uses, however it ends. Without `approvals` no call is made that a person has
    to allow.
    Raises ComponentFailed, RunOverBudget and RunTimeout, and RunError where the selected texts are too long together.
    Closing the generator or cancelling the task cancels what runs, down to the provider.
    """
    if request.output_component and not finds_output(wired, request, sees_inside=sees_inside):
        yield RunFinished({}, (), 0.0, None)
        return
    started = time.perf_counter()
    queue = EventQueue(note)
    timeout, budget = asyncio.timeout(limits.run_seconds or None), budget or RunBudget(limits)
    approvals = approvals or Approvals(limits.approval_seconds)
    zone = request.time_zone or "UTC"
    shared = (wired, history, models, outside, timeout, sees_inside, limits, budget, started, approvals, zone)
    scope = RunScope(*shared, find_loop_turns())
    run = _Run(wired, request, queue, scope, ComponentOutputs(wired), Actions(queue, scope, wired.flow))
    if request.stream or wired.asks_people:  # a call that waits for a person is shown at once
        driver = asyncio.create_task(run.run_in_time())
        driver.add_done_callback(lambda _: queue.put(None))
        try:
            while (event := await queue.take()) is not None:
                yield event
            await driver
        finally:
            if not driver.done():
                driver.cancel()
                await asyncio.wait([driver])
            read_failures([driver])
    else:
        await run.run_in_time()
        for event in queue.take_all():
            yield event
    seconds, passages = scope.count_seconds(), scope.passages.by_number
    yield finish_run(run.given, request, seconds, usage=scope.budget.usage, passages=passages, sees_inside=sees_inside)


@dataclass(slots=True)
class _Run:
    """One run of one flow. `path` has the flows that led to it, the outermost first."""

    wired: WiredFlow
    request: RunRequest
    queue: Events
    scope: RunScope
    given: ComponentOutputs
    actions: Actions
    path: tuple[str, ...] = ()
    joins: dict[str, Join] = field(default_factory=dict)
    inner: dict[str, list[InnerRun]] = field(default_factory=dict)
    """Component -> its inner runs, in the order in which they ended."""
    was_long: bool = False
    """Whether a component blocked the loop for long."""
    fetched: dict[str, float] = field(default_factory=dict)
    """Component -> when the weights that it waited for were downloaded: its own time begins then."""

    async def run_in_time(self) -> None:
        """Runs everything. Raises ComponentFailed, and RunTimeout when it takes longer than the limits allow."""
        timeout = self.scope.timeout
        try:
            async with timeout:
                if self.scope.loop_turns.is_over():
                    await self.scope.let_others_run()
                await self.run_components()
        except TimeoutError:
            if timeout.expired():
                raise RunTimeout(self.scope.limits.run_seconds) from None
            raise

    async def run_components(self) -> None:
        """Runs every component as soon as its inputs exist; the first failure cancels the others."""
        if self.request.stream:
            self.joins = {
                name: Join([reference.component for reference in members]) for name, members in self.wired.joins.items()
            }
            self.scope.joins.update({} if self.path else self.joins)
        schedule = Schedule(self.wired)
        running: dict[asyncio.Task[None], str] = {}
        pause_at = _PAUSE_EVERY
        try:
            while schedule.ready or running:
                if schedule.ready:
                    name = schedule.ready.popleft()
                    if self.wired.components[name].waits and (schedule.ready or running):  # others go on meanwhile
                        running[asyncio.create_task(self._run_component(name))] = name
                        continue
                    await self._run_component(name)
                    schedule.end(name)
                else:
                    for name in await wait_for_first(running):
                        schedule.end(name)
                if self.was_long or schedule.ended >= pause_at:
                    pause_at = schedule.ended + _PAUSE_EVERY
                    await self._let_others_go_on()
        finally:
            if running:
                for task in running:
                    task.cancel()
                left, _ = await asyncio.wait(running)
                read_failures(left)

    async def _let_others_go_on(self) -> None:
        """Lets other tasks of the loop run, which components that never wait would block."""
        if self.was_long or self.scope.loop_turns.is_over():
            self.was_long = False
            await self.scope.let_others_run()
        else:
            await asyncio.sleep(0)

    async def _run_component(self, name: str) -> None:
        component = self.wired.components[name]
        started = time.perf_counter()
        at = started - self.scope.started
        if self.wired.may_skip and self.given.is_skipped(name):
            self.queue.put(ComponentFinished(name, component.type_name, 0, "", status="skipped", at=at))
            self._end_in_joins(name)
            return
        self.scope.budget.take_step()
        self.queue.put(ComponentStarted(name))
        try:
            component = self.given.fill(name)
            output = await component.run(self._make_context(name, component))
            if component.output_kind:
                output = self._extract_thought(name, output)
            text = self._check_output(name, component, output)
        except RunOverBudget:
            raise
        except FlowgroundError as error:
            if name not in self.wired.fallbacks:
                raise component_error(name, error) from error
            output = Output(spread_value(self.wired.components[name], self.wired.fallbacks[name]))
            self._end_component(name, component, output, error.message, started, status="failed")
            return
        finally:
            if self.actions.thinking:
                self.actions.end_thought(name)
        self._end_component(name, component, output, text, started)

    def _extract_thought(self, name: str, output: Output) -> Output:
        """Removes a thought between `<think>` marks from the beginning of an answer, and emits it as a thought."""
        ((port, text),) = output.values.items()
        if "</think>" not in text:
            return output
        thought, answer = split_thought(text)
        if thought:
            self.actions.add_thought(name, thought)
        return output if answer is text else replace(output, values={port: answer})

    def _end_component(
        self,
        name: str,
        component: Component,
        output: Output,
        text: str,
        started: float,
        *,
        status: Literal["done", "failed"] = "done",
    ) -> None:
        """Stores the component's output for others; a failed one's is its fallback, and `text` is the reason."""
        self.given.outputs[name] = output
        started = self.fetched.pop(name, started)
        seconds, at = time.perf_counter() - started, started - self.scope.started
        if seconds > LONG and not component.waits:
            self.was_long = True
        finished = ComponentFinished(name, component.type_name, seconds, text, output.usage, output.model, status, at)
        if output.note or output.unseen:
            finished = structs.replace(finished, note=output.note, unseen=output.unseen)
        if (fallback_uses := self.scope.budget.fallback_uses) and not self.path:
            finished = structs.replace(finished, fallback_uses=tuple(fallback_uses))
            fallback_uses.clear()
        if self.inner and (runs := self.inner.pop(name, None)):
            kept = sorted(runs[:MOST_INNER_RUNS], key=lambda run: run.at)
            finished = structs.replace(finished, inner=tuple(kept), inner_count=len(runs))
        self.queue.put(finished)
        if self.joins:
            self._end_in_joins(name)

    def _end_in_joins(self, name: str) -> None:
        for target, join in self.joins.items():
            for reference in self.wired.joins[target]:
                if reference.component == name and (rest := join.end(name, self.given.read_text(reference))):
                    self._put_token(target, rest)

    async def _run_inner(
        self,
        name: str,
        within: int | None,
        flow: str,
        message: str,
        inputs: Mapping[str, str],
        *,
        is_streamed: bool = True,
    ) -> InnerAnswer:
        """As `RunInnerFlow`, for the component `name`, or the call number `within` of one of its tools.

        Not `is_streamed`: the inner flow's text is not streamed as text of the component.
        """
        path, budget = (*self.path, self.wired.id), self.scope.budget
        if len(path) >= DEEPEST:
            raise RunError(f"Flows run each other {DEEPEST} deep at most: {' → '.join((*path, flow))}.")
        found = self.scope.wired.inner_flows.get(flow)
        if found is None:
            raise RunError(f"There is no flow `{flow}`.", hint="Another file has, or had, this id or endpoint name.")
        wired, request = prepare_inner(found, message, inputs, stream=self.request.stream)
        streams = is_streamed and self.request.stream and self.wired.components[name].streams
        stream = partial(self._stream_text, name) if streams else None
        events = InnerEvents(self.queue, budget, find_answer(wired), stream, is_kept=keeps_messages(wired))
        may_ask = self.actions.may_ask and not isinstance(self.wired.components[name], ForEach)
        actions = Actions(events, self.scope, wired.flow, within=within, is_inner=True, may_ask=may_ask)
        run = _Run(wired, request, events, self.scope, ComponentOutputs(wired), actions, path)
        runs = self.inner.setdefault(name, [])
        if self.scope.loop_turns.is_over():
            await self.scope.let_others_run()
        started, failure = time.perf_counter(), None
        try:
            await run.run_components()
            end = finish_run(run.given, request, 0, sees_inside=self.scope.sees_inside)
        except ComponentFailed as error:
            failure = error.message
            raise
        finally:
            at, seconds = started - self.scope.started, time.perf_counter() - started
            runs.append(InnerRun(wired.id, wired.name, at, seconds, tuple(events.steps), failure))
        answer = find_answer(wired)
        outputs = sorted(end.outputs, key=lambda output: output.component_id != answer)
        return InnerAnswer(outputs, sum_usage(output.usage for output in run.given.outputs.values()))

    def _check_output(self, name: str, component: Component, output: Output) -> str:
        """The output as text. Raises RunError for a value that is too large.

        Raises AnswerTooLong for a long answer that came in one piece, after the part that may be stored is emitted.
        """
        text = None
        for port, kind in self.wired.ports[name].items():
            if (value := output.values.get(port, _NOTHING)) is not _NOTHING:
                check_size(value, kind)
                if text is None:
                    text = value if kind == "text" else write_text(value, kind)
        if text is None:
            return ""
        is_output = component.output_kind is not None
        if len(text) > LONGEST_ANSWER and (component.streams or is_output):
            for target in (name,) if is_output else self.wired.streams_to.get(name, ()):
                self._put_token(target, text[:LONGEST_ANSWER])
            raise AnswerTooLong(LONGEST_ANSWER)
        return text

    def _make_context(self, name: str, component: Component, within: ToolCallPath | None = None) -> Context:
        message = self.request.find_message(component.input_kind)
        if not component.waits:  # it uses nothing but its inputs
            files, zone = self.request.taken_files.get(name, ()), self.scope.time_zone
            return Context(name, message, self.scope.history, self.scope.models, None, files=files, time_zone=zone)
        within = within or ToolCallPath(self.actions.within)
        return Context(
            component_id=name,
            input_value=message,
            history=self.scope.history,
            models=self.scope.models,
            emit=self._make_emit(name) if self.request.stream and component.calls_out else None,
            run=partial(self._run_inner, name, within.call),
            goes_on=name in self.wired.fallbacks,
            list_tools=partial(self._list_tools, ToolCallPath(within.call, (*within.agents, name))),
            note_answer=partial(self._note_answer, component),
            retries=self.scope.budget,
            look_up=partial(self._look_up, within),
            files=self.request.taken_files.get(name, ()),
            time_zone=self.scope.time_zone,
            outside=self.scope.outside,
        )

    async def _look_up(self, within: ToolCallPath, knowledge: str, question: str, **how: Any) -> LookedUp:
        """As `LookUp`. Passages for an agent's tool are hidden from callers who do not see results of tools."""
        wired, asked = self.wired, self.scope.wired
        is_shown = wired.flow.chat.show_sources and asked.flow.chat.show_sources
        return await self.scope.passages.look_up(
            self.scope.outside.look_ups(wired.id),
            self.queue,
            knowledge,
            question,
            is_hidden=not is_shown or (within.call is not None and not (asked.shows_tools and wired.shows_tools)),
            find_room=self.scope.find_passage_room,
            **how,
        )

    def _note_answer(self, component: Component, answer: Completion) -> None:
        self.scope.budget.add(next(iter(component.list_models()), None), answer)

    async def _list_tools(self, within: ToolCallPath) -> list[Tool]:
        """The tools of the last agent in the path, without tools whose references were skipped."""
        wired = self.wired.tools.get(within.agents[-1], ())
        there = [tool for tool in wired if not self.given.is_skipped(tool.component)]
        found = await describe_tools(there, self.given, self.scope.outside)
        return [Tool(tool.spec, partial(self._call_tool, within, tool)) for tool in found]

    async def _call_tool(self, within: ToolCallPath, tool: WiredTool, call: ToolCall) -> tuple[str, bool]:
        run = partial(self._run_tool, within.agents, tool, call)
        return await self.actions.record_call(within.agents[-1], tool, call, run, within=within.call)

    async def _run_tool(
        self, agents: tuple[str, ...], tool: WiredTool, call: ToolCall, number: int
    ) -> tuple[str, Usage | None]:
        name, ports = tool.component, self.wired.ports[tool.component]
        self.scope.budget.take_step()
        if name in self.wired.tools and len(agents) >= DEEPEST:
            raise ToolNotCalled(f"Agents call each other {DEEPEST} deep at most: {' → '.join((*agents, name))}.")
        component, sends = await prepare_call(self.given.fill(name), tool, call.arguments, self.scope.outside)
        if tool.confirms:
            await self.actions.ask(number, tool, call.arguments, sends)
        context = self._make_context(name, component, ToolCallPath(number, agents))
        run = partial(self._run_inner, agents[-1], number, is_streamed=False)
        try:
            output = await component.run(replace(context, emit=None, run=run))
        except RunError as error:
            error.message = component.show_failure(error.message)
            raise
        for port, value in output.values.items():
            check_size(value, ports[port])
        return write_result(component.show_result(output), ports), output.usage

    def _stream_text(self, name: str, piece: str) -> None:
        """Emits a piece of the component's text for the outputs that show it; a join may hold it back."""
        for target in self.wired.streams_to.get(name, ()):
            join = self.joins.get(target)
            if text := join.add(name, piece) if join else piece:
                self._put_token(target, text)

    def _put_token(self, target: str, text: str) -> None:
        if not self.path:
            self.scope.streamed[target] = self.scope.streamed.get(target, 0) + len(text)
        self.queue.put(Token(target, text))

    def _make_emit(self, name: str) -> Callable[[str | Reasoning | ModelProgress], Awaitable[None]]:
        queue, actions, left = self.queue, self.actions, LONGEST_ANSWER

        async def emit(piece: str | Reasoning | ModelProgress) -> None:
            nonlocal left
            if isinstance(piece, Reasoning):
                actions.add_thought(name, piece.text)
                return
            if isinstance(piece, ModelProgress):
                self.scope.restart_timeout()
                self.fetched[name] = self.scope.note_fetch()
                queue.put(piece)
                return
            if piece and actions.thinking:
                actions.end_thought(name)
            left -= len(piece)
            if left < 0:
                piece = piece[:left]
            if piece:
                self._stream_text(name, piece)
            if left < 0:
                raise AnswerTooLong(LONGEST_ANSWER)
            await queue.wait_for_room()

        return emit
