"""What is seen of a tested turn as it goes on, and what came of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from flowground.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    PassagesFound,
    StepStatus,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
)
from flowground.flow_tests.expectations import TurnGiven


@dataclass(slots=True)
class SeenTurn:
    """One turn. `failure` is why it failed, as far as it did."""

    on_progress: Callable[[ModelProgress], None]
    failure: str | None = None
    finished: TurnFinished | None = None
    _began: float = field(default_factory=time.monotonic)
    _ended: dict[str, StepStatus] = field(default_factory=dict)
    _arguments: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """One event of the turn, in their order."""
        match event:
            case ComponentFinished():
                self._note_step(event, "")
            case TurnFinished():
                self.finished = event
            case ModelProgress():
                self.on_progress(event)
            case ToolReturned():
                if event.has_run and not event.called.is_inner:
                    self._note_end(event.called.tool, "done" if event.status == "done" else "failed")
                    self._arguments.setdefault(event.called.tool, []).append(event.called.arguments)
            case TurnStarted() | ComponentStarted() | Token() | PassagesFound():
                pass
            case ToolCalled() | ToolWaits() | ThinkingBegan() | ModelThought():
                pass
            case _:
                assert_never(event)

    def sum_up(self, calls: Mapping[str, int]) -> TurnGiven:
        """What came of it; its data where it is one answer that is no text."""
        if self.finished is None:
            seconds = time.monotonic() - self._began
            return TurnGiven("", None, self.failure, self._ended, calls, seconds, None, self._arguments)
        outputs, usage = self.finished.outputs, self.finished.usage
        answer = "\n".join(output.text for output in outputs)
        data = outputs[0].value if len(outputs) == 1 and outputs[0].kind in ("data", "records") else None
        tokens = usage.total_tokens if usage else None
        cited = {passage.number: passage.source for output in outputs for passage in output.citations}
        seconds = self.finished.seconds
        return TurnGiven(answer, data, self.failure, self._ended, calls, seconds, tokens, self._arguments, cited)

    def _note_step(self, step: ComponentFinished, within: str) -> None:
        self._note_end(f"{within}{step.component_id}", step.status)
        for run in step.inner:
            for inner in run.steps:
                self._note_step(inner, f"{run.flow_id}.")

    def _note_end(self, name: str, status: StepStatus) -> None:
        """Of a component that had several: whether it ran in one of them."""
        if status != "skipped" or name not in self._ended:
            self._ended[name] = status
