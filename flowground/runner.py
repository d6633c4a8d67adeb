"""Runs a wired flow once: components whose inputs are there run side by side, their events come out in one stream."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from flowground.caller import Caller, RunRequest
from flowground.components.base import Component, Context, History, Models, Output
from flowground.errors import AnswerTooLong, ComponentFailed, FlowgroundError, NotAllowed, RunTimeout
from flowground.events import (
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    ModelProgress,
    OutputResult,
    RunEvent,
    RunFinished,
    Token,
)
from flowground.graph import Reference, check_length
from flowground.settings import Limits
from flowground.wiring import WiredFlow

_AHEAD = 256
"""Unread events at most; a component that emits more waits until the reader catches up."""
_PAUSE_EVERY = 50
"""After this many finished components the loop serves others."""

_DEFAULTS = Limits()


async def run_flow(
    wired: WiredFlow,
    request: RunRequest,
    *,
    history: History,
    models: Models,
    sees_inside: bool = True,
    limits: Limits = _DEFAULTS,
    note: Callable[[ComponentEvent], None] = lambda _: None,
) -> AsyncGenerator[RunEvent, None]:
    """Events of one run, `RunFinished` last. `request.tweaks` are applied already; the rest of it is honoured here.

    `sees_inside` False: who asks sees the flow from outside, and its outputs are all they may select. `note` is told
    each event but the last when it is made: before it is read here, and also where the run fails before it can be.
    Raises ComponentFailed and RunTimeout. Closing the generator or cancelling the task cancels what runs, down to the
    provider.
    """
    started = time.perf_counter()
    queue = _EventQueue(note)
    timeout = asyncio.timeout(limits.run_seconds or None)
    run = _Run(wired, request, history, models, queue, timeout, sees_inside, limits)
    if request.stream:
        driver = asyncio.create_task(run.run_in_time())
        driver.add_done_callback(lambda _: queue.end())
        try:
            while (event := await queue.take()) is not None:
                yield event
            await driver
        finally:
            if not driver.done():
                driver.cancel()
                await asyncio.wait([driver])
    else:
        await run.run_in_time()
        for event in queue.take_all():
            yield event
    yield run.finish(time.perf_counter() - started)


class _EventQueue:
    """Events on their way from a run to its one reader. `note` is told each when it is put in."""

    def __init__(self, note: Callable[[ComponentEvent], None]) -> None:
        self._note = note
        self._events: deque[ComponentEvent | None] = deque()  # an asyncio.Queue takes five calls for one event
        self._arrival: asyncio.Future[None] | None = None
        """Who waits for the next event."""
        self._room = asyncio.Event()

    def put(self, event: ComponentEvent) -> None:
        self._note(event)
        self._add(event)

    def end(self) -> None:
        """Nothing comes after this."""
        self._add(None)

    def _add(self, event: ComponentEvent | None) -> None:
        self._events.append(event)
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    async def wait_for_room(self) -> None:
        """Returns when the reader is not far behind."""
        while len(self._events) >= _AHEAD:
            self._room.clear()
            await self._room.wait()

    def take_all(self) -> Iterator[ComponentEvent]:
        """Everything that is there, for a run that is over."""
        while self._events and (event := self._events.popleft()):
            yield event

    async def take(self) -> ComponentEvent | None:
        """The next event, None at the end."""
        while not self._events:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        event = self._events.popleft()
        if len(self._events) <= _AHEAD // 2:
            self._room.set()
        return event


def _read_failures(tasks: Iterable[asyncio.Task[None]]) -> list[BaseException]:
    """Why these ended tasks failed, all of them read: one that nobody reads is told in the log."""
    return [error for task in tasks if not task.cancelled() and (error := task.exception())]


@dataclass(slots=True)
class _Run:
    """One run: what each component gave so far. `timeout` ends it when it takes too long."""

    wired: WiredFlow
    request: RunRequest
    history: History
    models: Models
    queue: _EventQueue
    timeout: asyncio.Timeout
    sees_inside: bool
    limits: Limits
    given: dict[str, Output] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    async def run_in_time(self) -> None:
        """Runs everything. Raises ComponentFailed, and RunTimeout when it takes longer than the limits allow."""
        try:
            async with self.timeout:
                await self._run_components()
        except TimeoutError:
            if self.timeout.expired():
                raise RunTimeout(self.limits.run_seconds) from None
            raise

    async def _run_components(self) -> None:
        """Runs every component as soon as all it waits for is there; the first failure cancels the others."""
        waiting = list(self.wired.order)
        running: set[asyncio.Task[None]] = set()
        pauses = 0
        try:
            while waiting or running:
                ready = [name for name in waiting if self.wired.waits_for[name] <= self.texts.keys()]
                is_alone = len(ready) == 1 and not running
                for name in ready:
                    waiting.remove(name)
                    if is_alone or not self.wired.components[name].waits:
                        await self._run_component(name)
                    else:
                        running.add(asyncio.create_task(self._run_component(name)))
                if not ready:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    if failures := _read_failures(done):
                        raise failures[0]
                elif len(self.texts) // _PAUSE_EVERY > pauses:
                    pauses = len(self.texts) // _PAUSE_EVERY
                    await asyncio.sleep(0)  # components that wait for nothing would keep the loop to themselves
        finally:
            if running:
                for task in running:
                    task.cancel()
                ended, _ = await asyncio.wait(running)
                _read_failures(ended)

    async def _run_component(self, name: str) -> None:
        self.queue.put(ComponentStarted(name))
        started = time.perf_counter()
        try:
            component = self._fill(name)
            output = await component.run(self._make_context(name, component))
            self._check_length(name, component, output.text)
        except FlowgroundError as error:
            raise ComponentFailed(name, error) from error
        self.given[name], self.texts[name] = output, output.text
        seconds = time.perf_counter() - started
        self.queue.put(ComponentFinished(name, component.type_name, seconds, output.text, output.usage, output.model))

    def _check_length(self, name: str, component: Component, text: str) -> None:
        """Raises AnswerTooLong for an answer that came whole and is too long; as much as may be kept is told first."""
        limit = self.limits.answer_chars
        if len(text) <= limit or not (component.streams or component.gives_output):
            return
        for target in (name,) if component.gives_output else self.wired.streams_to.get(name, ()):
            self.queue.put(Token(target, text[:limit]))
        raise AnswerTooLong(limit)

    def _fill(self, name: str) -> Component:
        component, connected = self.wired.components[name], self.wired.connections.get(name)
        if not connected:
            return component
        return component.model_copy(update={key: text.fill(self.texts) for key, text in connected.items()})

    def _make_context(self, name: str, component: Component) -> Context:
        return Context(
            component_id=name,
            input_value=self.request.find_message(component.takes_input),
            history=self.history,
            models=self.models,
            emit=self._make_emit(name) if self.request.stream and component.streams else None,
        )

    def _make_emit(self, name: str) -> Callable[[str | ModelProgress], Awaitable[None]]:
        targets, queue, left = self.wired.streams_to.get(name, ()), self.queue, self.limits.answer_chars

        async def emit(piece: str | ModelProgress) -> None:
            nonlocal left
            if isinstance(piece, ModelProgress):
                self._restart_timeout()
                queue.put(piece)
                return
            left -= len(piece)
            if left < 0:
                piece = piece[:left]
            for target in targets if piece else ():
                queue.put(Token(target, piece))
            if left < 0:
                raise AnswerTooLong(self.limits.answer_chars)
            await queue.wait_for_room()

        return emit

    def _restart_timeout(self) -> None:
        """Half a gigabyte of weights may take longer than any answer: the run's time begins when they are there."""
        if self.limits.run_seconds:
            self.timeout.reschedule(asyncio.get_running_loop().time() + self.limits.run_seconds)

    def finish(self, seconds: float) -> RunFinished:
        usages = [output.usage for output in self.given.values() if output.usage]
        selected = select_outputs(self.wired, self.request, sees_inside=self.sees_inside)
        check_length(sum(len(self.texts[name]) for name in selected))
        return RunFinished(
            results={name: self._make_result(name) for name in {*self.wired.outputs, *selected}},
            selected=selected,
            seconds=seconds,
            usage=sum(usages[1:], usages[0]) if usages else None,
        )

    def _make_result(self, name: str) -> OutputResult:
        component, output = self.wired.components[name], self.given[name]
        source = _find_source(self.wired, name)
        origin = self.given.get(source or name, output)
        return OutputResult(
            component_id=name,
            type=component.type_name,
            display_name=self.wired.display_names[name],
            text=output.text,
            source_id=source,
            source_name=self.wired.display_names[source] if source else None,
            model=origin.model,
            usage=origin.usage,
        )


def _find_source(wired: WiredFlow, name: str) -> str | None:
    """The component whose text an output shows: the first one it refers to."""
    if not wired.components[name].gives_output:
        return None
    parts = (part for text in wired.connections.get(name, {}).values() for part in text.parts)
    return next((part.component for part in parts if isinstance(part, Reference)), None)


def select_outputs(wired: WiredFlow, request: RunRequest, *, sees_inside: bool = True) -> tuple[str, ...]:
    """Ids of the components whose results the request wants, by Langflow's rules.

    `output_component` (id or display name) comes first; an unknown one selects nothing. Else `output_type` selects
    "chat" or "text" outputs, "any" all outputs, "debug" every component; no match means all outputs. By the
    component's type, where Langflow looks for the word in its id: ids are free here. Without `sees_inside` no component
    is there but the flow's outputs: the others' texts are prompts.
    """
    there = wired.order if sees_inside else wired.outputs
    if wanted := request.output_component:
        if wanted in there:
            return (wanted,)
        return tuple(name for name in there if wired.display_names[name] == wanted)
    if request.output_type == "debug":
        return there
    kind = request.output_type
    matching = tuple(name for name in wired.outputs if wired.components[name].gives_output == kind)
    return matching or wired.outputs


def refuse_unseen_outputs(caller: Caller, wired: WiredFlow, request: RunRequest) -> None:
    """Raises NotAllowed where only a token keeps what is asked for from its caller: more than the flow's outputs say.

    What is inside and what is not there are refused alike.
    """
    if not caller.token_hides_inside:
        return
    if request.output_component:
        is_seen = bool(select_outputs(wired, request, sees_inside=False))
    else:
        is_seen = request.output_type != "debug"
    if not is_seen:
        says = "This token sees what the outputs of a flow say, and nothing before them."
        raise NotAllowed(says, code="token_may_not_see", hint=caller.name_better_token("sees"))


def read_input(wired: WiredFlow, request: RunRequest) -> str | None:
    """What the person said, for the session's history: the given text, else the Chat Input's own."""
    if (component := wired.chat_input) is None:
        return request.input_value
    given = request.find_message("chat")
    return component.find_own_input() if given is None else given
