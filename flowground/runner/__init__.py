"""Runs a wired flow once: components whose inputs are there run side by side, their events come out in one stream.

A component is skipped when a reference of its own leads to a skipped component or to a port that was not taken; one
whose references are all optional is skipped when all of them stand for nothing. An empty text is something.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from flowground.caller import RunRequest
from flowground.components.base import Component, Context, History, Models, Output
from flowground.errors import AnswerTooLong, ComponentFailed, FlowgroundError, RunError, RunTimeout
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
from flowground.fields.types import list_types
from flowground.fields.values import change_component, find_misfits, say_misfit
from flowground.graph import Reference, Text
from flowground.runner.joins import Join
from flowground.runner.queue import EventQueue
from flowground.runner.schedule import Schedule
from flowground.runner.selection import select_outputs
from flowground.settings import Limits
from flowground.values import ValueKind, check_length, check_size, convert, write_text
from flowground.wiring import WiredFlow

_PAUSE_EVERY = 50
"""After this many finished components the loop serves others."""

_DEFAULTS = Limits()
_NOTHING = object()


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
    queue = EventQueue(note)
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
    queue: EventQueue
    timeout: asyncio.Timeout
    sees_inside: bool
    limits: Limits
    given: dict[str, Output] = field(default_factory=dict)
    """Of those that ran; the others were skipped, or wait."""
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    """Values as text, by component and port, as they are asked for."""
    joins: dict[str, Join] = field(default_factory=dict)

    async def run_in_time(self) -> None:
        """Runs everything. Raises ComponentFailed, and RunTimeout when it takes longer than the limits allow."""
        if self.request.stream:
            self.joins = {
                name: Join([reference.component for reference in members]) for name, members in self.wired.joins.items()
            }
        try:
            async with self.timeout:
                await self._run_components()
        except TimeoutError:
            if self.timeout.expired():
                raise RunTimeout(self.limits.run_seconds) from None
            raise

    async def _run_components(self) -> None:
        """Runs every component as soon as all it waits for is there; the first failure cancels the others."""
        schedule = Schedule(self.wired)
        running: dict[asyncio.Task[None], str] = {}
        pause_at = _PAUSE_EVERY
        try:
            while schedule.ready or running:
                if schedule.ready:
                    name = schedule.ready.popleft()
                    if self._is_beside_others(name, is_alone=not schedule.ready and not running):
                        running[asyncio.create_task(self._run_component(name))] = name
                        continue
                    await self._run_component(name)
                    schedule.end(name)
                else:
                    for name in await _wait_for_first(running):
                        schedule.end(name)
                if schedule.ended >= pause_at:
                    pause_at = schedule.ended + _PAUSE_EVERY
                    await asyncio.sleep(0)  # components that wait for nothing would keep the loop to themselves
        finally:
            if running:
                for task in running:
                    task.cancel()
                left, _ = await asyncio.wait(running)
                _read_failures(left)

    def _is_beside_others(self, name: str, *, is_alone: bool) -> bool:
        """Whether others go on while this component waits."""
        return self.wired.components[name].waits and not is_alone

    def _is_skipped(self, name: str) -> bool:
        references = self.wired.list_references(name)
        is_given = [self._is_given(reference) for reference in references]
        if any(not given and not reference.is_optional for reference, given in zip(references, is_given, strict=True)):
            return True
        return bool(references) and all(reference.is_optional for reference in references) and not any(is_given)

    def _is_given(self, reference: Reference) -> bool:
        output = self.given.get(reference.component)
        return output is not None and self.wired.find_port(reference) in output.values

    async def _run_component(self, name: str) -> None:
        component = self.wired.components[name]
        if self.wired.may_skip and self._is_skipped(name):
            self.queue.put(ComponentFinished(name, component.type_name, 0, "", status="skipped"))
            self._end_in_joins(name)
            return
        self.queue.put(ComponentStarted(name))
        started = time.perf_counter()
        try:
            component = self._fill(name)
            output = await component.run(self._make_context(name, component))
            text = self._check_output(name, component, output)
        except FlowgroundError as error:
            step = self.wired.flow.components[name].step
            if not step.goes_on:
                raise ComponentFailed(name, error) from error
            self._replace(name, component, error, started)
            return
        self.given[name] = output
        seconds = time.perf_counter() - started
        self.queue.put(ComponentFinished(name, component.type_name, seconds, text, output.usage, output.model))
        if self.joins:
            self._end_in_joins(name)

    def _replace(self, name: str, component: Component, error: FlowgroundError, started: float) -> None:
        """Goes on with the fallback, which stands on the component's first port instead of what it did not give."""
        self.given[name] = Output({next(iter(self.wired.ports[name])): self.wired.fallbacks[name]})
        seconds = time.perf_counter() - started
        failed = ComponentFinished(name, component.type_name, seconds, error.message, status="failed")
        self.queue.put(failed)
        self._end_in_joins(name)

    def _end_in_joins(self, name: str) -> None:
        for target, join in self.joins.items():
            for reference in self.wired.joins[target]:
                if reference.component == name and (said := join.end(name, self._read_text(reference))):
                    self.queue.put(Token(target, said))

    def _check_output(self, name: str, component: Component, output: Output) -> str:
        """The text by which the output is shown. Raises RunError for a value that is too large.

        Raises AnswerTooLong for an answer that came whole and is too long; as much as may be kept is told first.
        """
        ports, most, text = self.wired.ports[name], self.limits.value_bytes, None
        for port, kind in ports.items():
            if (value := output.values.get(port, _NOTHING)) is not _NOTHING:
                check_size(value, kind, most=most)
                if text is None:
                    text = value if kind == "text" else write_text(value, kind)
        if text is None:
            return ""
        limit = self.limits.answer_chars
        if len(text) > limit and (component.streams or component.gives_output):
            for target in (name,) if component.gives_output else self.wired.streams_to.get(name, ()):
                self.queue.put(Token(target, text[:limit]))
            raise AnswerTooLong(limit)
        return text

    def _fill(self, name: str) -> Component:
        component, connected = self.wired.components[name], self.wired.connections.get(name)
        if not connected:
            return component
        if wants := self.wired.wants.get(name):
            component = self._fill_values(component, {key: (connected[key], kind) for key, kind in wants.items()})
            connected = {key: text for key, text in connected.items() if key not in wants}
        return component.model_copy(update={key: text.fill(self._read_text) for key, text in connected.items()})

    def _fill_values(self, component: Component, connected: Mapping[str, tuple[Text, ValueKind]]) -> Component:
        """Fills fields that take no text. Raises RunError for a value that does not fit."""
        values = {}
        for key, (text, kind) in connected.items():
            found = [reference for reference in text.sources if self._is_given(reference)]
            if len(found) > 1:
                raise RunError(f"`{key}` joins branches of which one may run, and several did.")
            for reference in found:
                port = self.wired.find_port(reference)
                given = self.given[reference.component].values[port]
                values[key] = convert(given, self.wired.ports[reference.component][port], kind)
        try:
            return change_component(component, values)
        except ValidationError as error:
            key, limits = next(iter(find_misfits(error).items()))
            kind_of_field = list_types(type(component))[key]
            raise RunError(f"{say_misfit(f'`{key}`', kind_of_field, values.get(key), limits)}.") from None

    def _read_text(self, reference: Reference) -> str:
        """What a reference stands for inside a text; "" where it leads to what was skipped."""
        output = self.given.get(reference.component)
        if output is None:
            return ""
        port = self.wired.find_port(reference)
        kind = self.wired.ports[reference.component][port]
        if kind == "text":
            return str(output.values.get(port, ""))
        if port not in output.values:
            return ""
        place = reference.component, port
        if place not in self.texts:
            self.texts[place] = write_text(output.values[port], kind)
        return self.texts[place]

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
                join = self.joins.get(target)
                if said := join.say(name, piece) if join else piece:
                    queue.put(Token(target, said))
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
        wanted = {*self.wired.outputs, *selected}
        if self.wired.may_skip:
            selected, wanted = tuple(name for name in selected if name in self.given), wanted & self.given.keys()
        results = {name: self._make_result(name) for name in wanted}
        check_length(sum(len(results[name].text) for name in selected))
        return RunFinished(
            results=results,
            selected=selected,
            seconds=seconds,
            usage=sum(usages[1:], usages[0]) if usages else None,
        )

    def _make_result(self, name: str) -> OutputResult:
        component, output = self.wired.components[name], self.given[name]
        source = self._find_source(name)
        origin = self.given.get(source or name, output)
        ports = self.wired.ports[name]
        port = next(port for port in ports if port in output.values)
        return OutputResult(
            component_id=name,
            type=component.type_name,
            display_name=self.wired.display_names[name],
            text=write_text(output.values[port], ports[port]),
            source_id=source,
            source_name=self.wired.display_names[source] if source else None,
            model=origin.model,
            usage=origin.usage,
            finish_reason=origin.finish_reason,
        )

    def _find_source(self, name: str) -> str | None:
        """The component whose text an output shows: the first one it refers to, of those that ran."""
        if not self.wired.components[name].gives_output:
            return None
        for text in self.wired.connections.get(name, {}).values():
            for part in text.parts:
                if isinstance(part, Reference) and part.component in self.given:
                    return part.component
        return None


async def _wait_for_first(running: dict[asyncio.Task[None], str]) -> list[str]:
    """Waits until one of them has its end, takes those that have out, and gives their names.

    Raises what the first of them failed with.
    """
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in running if task in done]
    if failures := _read_failures(ended):
        raise failures[0]
    return [running.pop(task) for task in ended]
