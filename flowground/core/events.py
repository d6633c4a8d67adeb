"""What a turn says while it runs, in order: one typed stream, one encoder a door.

`TurnStarted`, then `ComponentStarted`/`ComponentFinished` for each component, `Token`, `ModelProgress`, `PassagesFound`
and what models do on their way (`ToolCalled`, `ToolWaits` and `ToolReturned`, `ThinkingBegan` and `ModelThought`)
between them, and `TurnFinished` last. A failure is raised as an error, never sent as an event.
The runner ends with `RunFinished`; `turns` makes `TurnFinished` of it once the answer is stored.

Whoever reads a stream matches every event and ends with `assert_never`, so that a new one is missed nowhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from flowground.core.citations import Citations, NumberedPassage
from flowground.core.messages import StandIn, Usage, Versions
from flowground.core.values import AddedMessage, FileReference, Value, ValueKind

StepStatus = Literal["done", "skipped", "failed"]
"""How a component came to its end, where the run went on."""
ActionStatus = Literal["done", "failed", "refused", "stopped"]
"""How a call came to its end. Refused: by a person, so that nothing was called. Stopped: with the run."""
MOST_ACTIONS = 100
"""Of one run, that are kept and told."""
ACTION_CHARS = 2_000
"""Of what a call takes, or gives, that are kept and told."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The run, and the user's message, are stored.

    `answer_ids` maps each answering output's id (Chat Outputs, else Text Outputs) to the id its message will have.
    `warnings` says which tweaks were left out, where the settings only warn of them. Not `is_kept`: neither the message
    nor the answers are stored, and there is nothing of them once the turn is forgotten. `versions` are the question's,
    where it is one of several, `files` what was sent with it. `senders` are who said the messages, by their ids, where
    the flow gives them other names than `SENDERS`.
    """

    run_id: str
    flow_id: str
    session_id: str
    started_at: datetime
    user_message_id: str
    input_value: str | None
    answer_ids: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    is_kept: bool = True
    versions: Versions = ()
    files: Sequence[FileReference] = ()
    senders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComponentStarted:
    """All that the component waited for is there; it begins."""

    component_id: str


@dataclass(frozen=True, slots=True)
class ComponentFinished:
    """`seconds` is wall time; `text` is what the component gave (for authors' eyes only).

    `skipped`: it did not run, since what it refers to did not. `failed`: `text` says why, and the run went on with the
    component's fallback. `at` is when it began, in seconds after the run did. `inner` are the flows that it ran, in the
    order in which they began: the first of `inner_count`. `note` says what is likely a mistake although it ran,
    `unseen` what of the message's files its model was not shown. `stand_ins` are the fallbacks of models that answered
    in it, or within a flow or tool that it ran.
    """

    component_id: str
    type: str
    seconds: float
    text: str
    usage: Usage | None = None
    model: str | None = None
    status: StepStatus = "done"
    at: float = 0
    inner: tuple["InnerRun", ...] = ()
    inner_count: int = 0
    note: str = ""
    unseen: tuple[str, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()


@dataclass(frozen=True, slots=True)
class InnerRun:
    """A flow that a component ran. `at` and `seconds` as its steps have them; `error` says why it failed.

    `steps` are those that had their end, the first of them where there are very many; each text is cut.
    """

    flow_id: str
    name: str
    at: float
    seconds: float
    steps: tuple[ComponentFinished, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent `component_id` calls the component `tool`, which its model knows by `name` and people by `label`:
    of several tools that the component stands for, the one's own name stands in it.

    `call_id` is the model's own, which may come again; `number` counts from 1 what the models of a run do, and `within`
    is the number of the call within which this one was made. `is_inner`: agent and tool stand in a flow that the run's
    flow runs. `at` as steps have it. Where the answer is streamed, `after` are its characters that came before.
    """

    component_id: str
    call_id: str
    tool: str
    name: str
    arguments: Mapping[str, Any]
    at: float
    number: int = 0
    within: int | None = None
    label: str = ""
    is_inner: bool = False
    after: int = 0


@dataclass(frozen=True, slots=True)
class ToolWaits:
    """Such a call waits until a person allows it, or, `is_decided`, does not any more.

    `takes` are its arguments as JSON, whole; `sends` what is sent, where they alone do not say. `digest` is of call,
    arguments and that, and `until` the end of the wait in seconds since 1970. `is_always_asked`: nobody can allow the
    tool for the rest of the chat.
    """

    called: ToolCalled
    takes: str
    digest: str
    until: float
    is_decided: bool = False
    sends: str | None = None
    is_always_asked: bool = False


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """Such a call has its end: `text` is what the model is told, of a failed one why. `usage` is of models within.

    `seconds` are the tool's: the time for which a person was waited for is none of it.

    Not `has_run`: the tool was not called after all. That is told while the run goes on, and not kept.
    """

    called: ToolCalled
    text: str
    seconds: float
    status: ActionStatus = "done"
    usage: Usage | None = None
    has_run: bool = True


@dataclass(frozen=True, slots=True)
class ThinkingBegan:
    """The model of a component thinks before it goes on; `number`, `within` and `after` as calls have them."""

    component_id: str
    number: int
    at: float
    within: int | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class ModelThought:
    """So it thought: `text` is no part of the answer."""

    began: ThinkingBegan
    text: str
    seconds: float


Action = ToolReturned | ModelThought
"""What a model did on its way to an answer."""
ActionEvent = ToolCalled | ToolWaits | ToolReturned | ThinkingBegan | ModelThought


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text that the Chat Output `component_id` will show."""

    component_id: str
    text: str


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """Passages that may be cited from now on; nobody is shown those that are not."""

    passages: Sequence[NumberedPassage]


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """The built-in model is being fetched: bytes so far, of all, and seconds left where they can be told."""

    model: str
    received: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class OutputResult:
    """What one output component (or, with output_type "debug", any component) gave.

    `source_id`, `source_name` and `model` name the component whose text it is; `finish_reason` is why its model ended,
    "length" where the text was cut by `max_tokens`. `value` is what the text was made of, where that is of another
    `kind`: an output that shows nothing but records gives them. `citations` are the passages that the text cites.
    """

    component_id: str
    type: str
    display_name: str
    text: str
    source_id: str | None
    source_name: str | None
    model: str | None
    usage: Usage | None
    finish_reason: str | None = None
    value: Value = None
    kind: ValueKind = "text"
    citations: Citations = ()

    @property
    def data(self) -> Value:
        """What it gave as data: its value, or the text where that is all, as of files."""
        return self.text if self.kind in ("text", "files") else self.value


@dataclass(frozen=True, slots=True)
class _Results:
    """`results` has every output of the flow and what the request selected beyond them.

    An output that was skipped is not among them. `selected` names those the request asked for, in the flow's order;
    `usage` sums all models.
    """

    results: Mapping[str, OutputResult]
    selected: tuple[str, ...]
    seconds: float
    usage: Usage | None

    @property
    def outputs(self) -> tuple[OutputResult, ...]:
        """The results the request asked for."""
        return tuple(self.results[name] for name in self.selected)


@dataclass(frozen=True, slots=True)
class RunFinished(_Results):
    """Every component gave its text; nothing is stored yet."""


@dataclass(frozen=True, slots=True)
class TurnFinished(_Results):
    """The answer is stored. `turn` is how it began, `actions` what models did. `added` are messages that
    the flow stored behind it, by their ids."""

    turn: TurnStarted
    actions: tuple[Action, ...] = ()
    added: Mapping[str, AddedMessage] = field(default_factory=dict)


ComponentEvent = ComponentStarted | ComponentFinished | Token | ModelProgress | ActionEvent | PassagesFound
"""What comes between the first event and the last."""
RunEvent = ComponentEvent | RunFinished
Event = TurnStarted | ComponentEvent | TurnFinished


@dataclass(slots=True)
class ActionLog:
    """What the models of a run have done so far, by its numbers: the first of it, and of all texts together so much."""

    found: dict[int, ActionEvent] = field(default_factory=dict)
    left: int = 48_000
    """Characters that there is still room for."""

    def add(self, event: ActionEvent) -> int | None:
        """Its number; None where there are too many already."""
        match event:
            case ToolReturned(called=began) | ToolWaits(called=began) | ModelThought(began=began):
                number = began.number
            case ToolCalled() | ThinkingBegan():
                number = event.number
                if len(self.found) >= MOST_ACTIONS:
                    return None
        if number not in self.found and not isinstance(event, ToolCalled | ThinkingBegan):
            return None
        self.found[number] = self._cut(event)
        return number

    def list_actions(self) -> tuple[Action, ...]:
        """In the order in which they began, of a run that has its end: what has none was stopped with it."""
        return tuple(_end_action(event) for event in self.found.values())

    def _cut(self, event: ActionEvent) -> ActionEvent:
        match event:
            case ToolCalled():
                size = len(write_arguments(event.arguments))
                event = event if size <= self.left else replace(event, arguments={})
                self.left -= min(size, self.left)
            case ToolReturned():
                event = replace(event, called=self._find_called(event), text=event.text[: self.left])
                self.left -= len(event.text)
            case ModelThought():
                event = replace(event, text=event.text[: self.left])
                self.left -= len(event.text)
            case ToolWaits():
                event = replace(event, called=self._find_called(event))
            case ThinkingBegan():
                pass
        return event

    def _find_called(self, event: ToolReturned | ToolWaits) -> ToolCalled:
        """As it was cut."""
        began = self.found[event.called.number]
        if isinstance(began, ToolWaits | ToolReturned):
            return began.called
        return began if isinstance(began, ToolCalled) else event.called


def _end_action(event: ActionEvent) -> Action:
    match event:
        case ToolCalled():
            return ToolReturned(event, "", 0, "stopped")
        case ToolWaits(called=called):
            return ToolReturned(called, "", 0, "stopped")
        case ThinkingBegan():
            return ModelThought(event, "", 0)
        case _:
            return event


def bound_arguments(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a call as it is told and kept: of very long ones the beginning of their JSON, under ""."""
    written = json.dumps(arguments, ensure_ascii=False, default=str)
    return arguments if len(written) <= ACTION_CHARS else {"": f"{written[: ACTION_CHARS - 1]}…"}


def write_arguments(arguments: Mapping[str, Any]) -> str:
    """As people read them: JSON, or the beginning of it."""
    if arguments.keys() == {""}:
        return str(arguments[""])
    return json.dumps(arguments, ensure_ascii=False, default=str)


def list_notes(trace: Sequence[ComponentFinished], *, sees_inside: bool) -> tuple[str, ...]:
    """What people are told below an answer: of files that were not shown, and of models that others stood in for."""
    stand_ins = [one.describe(sees_inside=sees_inside) for step in trace for one in step.stand_ins]
    unseen = [note for step in trace for note in step.unseen]
    return tuple(dict.fromkeys((*unseen, *stand_ins)))
