"""The events of a turn, in order: one typed stream, which each endpoint encodes its own way.

`TurnStarted` comes first, `TurnFinished` last. Between them stand `ComponentStarted` and `ComponentFinished` of each
component, `Token`, `ModelProgress`, `PassagesFound`, and what models did (`ToolCalled`, `ToolWaits`, `ToolReturned`,
`ThinkingBegan`, `ModelThought`). A failure is raised as an error and never sent as an event. The runner ends with
`RunFinished`, from which `runs.turns` makes `TurnFinished` once the answer is stored.

Readers of a stream match every event and end with `assert_never`, so that the type checker finds places that miss a new
event.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from flowground.core.citations import Citations, NumberedPassage
from flowground.core.messages import FallbackUse, Usage, Versions
from flowground.core.values import AddedMessage, FileReference, Value, ValueKind

StepStatus = Literal["done", "skipped", "failed"]
"""How a component ended in a run that went on."""
ActionStatus = Literal["done", "failed", "refused", "stopped"]
"""How a call ended: `refused` by a person, so the tool was not called; `stopped` together with the run."""
MOST_ACTIONS = 100
"""Actions of one run that are kept and shown."""
ACTION_CHARS = 2_000
"""Characters of a call's arguments, or of its result, that are kept and shown."""


class TurnStarted(Struct, frozen=True, array_like=True, tag_field="event", tag="turn"):
    """The run and the user's message are stored.

    `answer_ids` maps each answering output (Chat Outputs, else Text Outputs) to the id that its message will have.
    `warnings` name tweaks that were left out, where the settings only warn of them. Not `is_kept`: neither message nor
    answers are stored, and the turn leaves nothing behind. `versions` are those of the question, where it has several,
    and `files` what was sent with it. `senders` maps message ids to sender names, where the flow's names differ from
    `SENDERS`. `streamed` are the answers that show a model's text while it is written; `shows_tools`: clients are sent
    arguments and results of tools. `shows_inside`: the events may hold what the caller saw of the inside.
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
    files: tuple[FileReference, ...] = ()
    senders: Mapping[str, str] = {}
    streamed: tuple[str, ...] = ()
    shows_tools: bool = False
    shows_inside: bool = True


class ComponentStarted(Struct, frozen=True, array_like=True, tag_field="event", tag="begun"):
    """All inputs of the component are there; it begins."""

    component_id: str


class ComponentFinished(Struct, frozen=True, array_like=True, tag_field="event", tag="step"):
    """A component ended. `seconds` is wall time; `text` is its output, for people who see the inside only.

    Status `skipped`: it did not run because a component that it refers to did not. Status `failed`: `text` is the
    reason, and the run went on with the component's fallback. `at` is its beginning in seconds after the run's. `inner`
    are the flows that it ran, in the order of their beginnings: the first of `inner_count`. `note` names a likely
    mistake in a component that ran nevertheless, and `unseen` says which of the message's files its model was not
    shown. `fallback_uses` are fallback models that answered in the component, or in a flow or tool that it ran.
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
    fallback_uses: tuple[FallbackUse, ...] = ()


class InnerRun(Struct, frozen=True, array_like=True):
    """A flow that a component ran. `at` and `seconds` are as in `ComponentFinished`; `error` is the reason of a
    failure.

    `steps` are the finished steps, the first of them where there are very many; each text is cut.
    """

    flow_id: str
    name: str
    at: float
    seconds: float
    steps: tuple[ComponentFinished, ...]
    error: str | None = None


class ToolCalled(Struct, frozen=True, array_like=True, tag_field="event", tag="call"):
    """The agent `component_id` calls the component `tool`, which models know by `name` and people by `label`. Of a
    component that offers several tools, the label has the called tool's own name.

    `call_id` is the model's own id of the call and may occur again; `number` counts the actions of a run's models from
    1. `within` is the number of the call inside which this one was made. `is_inner`: agent and tool belong to a flow
    that the run's flow runs. `at` counts as in `ComponentFinished`. Where the answer is streamed, `after` is the number
    of its characters that came before the call.
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


class ToolWaits(Struct, frozen=True, array_like=True, tag_field="event", tag="waits"):
    """A call waits until a person decides, or, `is_decided`, waits no longer.

    `takes` are the arguments as whole JSON text, `sends` the request where the arguments alone do not show it. `digest`
    is of the call, its arguments and `sends`; `until` is the end of the wait in seconds since 1970. `is_always_asked`:
    the tool cannot be allowed for the rest of the chat.
    """

    called: ToolCalled
    takes: str
    digest: str
    until: float
    is_decided: bool = False
    sends: str | None = None
    is_always_asked: bool = False


class ToolReturned(Struct, frozen=True, array_like=True, tag_field="event", tag="returned"):
    """A call has ended: `text` is the model's result, or the reason of a failure. `usage` is of models that ran inside
    the call.

    `seconds` are the tool's own, without the wait for a person. Not `has_run`: the tool was not called after all; such
    an event is shown while the run goes on, and not kept.
    """

    called: ToolCalled
    text: str
    seconds: float
    status: ActionStatus = "done"
    usage: Usage | None = None
    has_run: bool = True


class ThinkingBegan(Struct, frozen=True, array_like=True, tag_field="event", tag="thinking"):
    """The model of a component begins to think; `number`, `within` and `after` are as in `ToolCalled`."""

    component_id: str
    number: int
    at: float
    within: int | None = None
    after: int = 0


class ModelThought(Struct, frozen=True, array_like=True, tag_field="event", tag="thought"):
    """The end of `began`: `text` is the thought, which is not part of the answer."""

    began: ThinkingBegan
    text: str
    seconds: float


Action = ToolReturned | ModelThought
"""A finished action of a model on its way to an answer."""
ActionEvent = ToolCalled | ToolWaits | ToolReturned | ThinkingBegan | ModelThought


class Token(Struct, frozen=True, array_like=True, tag_field="event", tag="text", gc=False):
    """A piece of the text that the Chat Output `component_id` shows."""

    component_id: str
    text: str


class PassagesFound(Struct, frozen=True, array_like=True, tag_field="event", tag="passages"):
    """Passages that may be cited from now on. People are shown only those that are cited."""

    passages: tuple[NumberedPassage, ...]


class ModelProgress(Struct, frozen=True, array_like=True, tag_field="event", tag="progress"):
    """The built-in model is being downloaded: `received` of `total` bytes, and the seconds left where they can be
    estimated."""

    model: str
    received: int
    total: int
    seconds_left: float | None


class OutputResult(Struct, frozen=True, array_like=True):
    """The result of one output component (with output_type "debug", of any component).

    `source_id`, `source_name` and `model` name the component whose text it is; `finish_reason` is why its model ended,
    "length" where `max_tokens` cut the text. `value` is what the text was made of, where it is of another `kind`; an
    output that shows only records has them as its value. `citations` are the passages that the text cites.
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
        """The result as data: its value, or its text where there is no other value, as for files."""
        return self.text if self.kind in ("text", "files") else self.value


class _Results(Struct, frozen=True):
    """`results` has every output of the flow, and what the request selected besides.

    Skipped outputs are absent. `selected` names the outputs that the request asked for, in the flow's order; `usage`
    sums all models.
    """

    results: Mapping[str, OutputResult]
    selected: tuple[str, ...]
    seconds: float
    usage: Usage | None

    @property
    def outputs(self) -> tuple[OutputResult, ...]:
        """The results that the request asked for."""
        return tuple(self.results[name] for name in self.selected)


class RunFinished(_Results, frozen=True):
    """Every component has ended; the answer is not stored yet."""


class TurnFinished(_Results, frozen=True):
    """The answer is stored. `turn` is the turn's first event, `actions` what models did, and `added` the messages that
    the flow stored besides, by their ids."""

    turn: TurnStarted
    actions: tuple[Action, ...] = ()
    added: Mapping[str, AddedMessage] = {}


ComponentEvent = ComponentStarted | ComponentFinished | Token | ModelProgress | ActionEvent | PassagesFound
"""The events between a turn's first and last."""
RunEvent = ComponentEvent | RunFinished
Event = TurnStarted | ComponentEvent | TurnFinished


@dataclass(slots=True)
class ActionLog:
    """The actions of a run's models by number, bounded in their count and in their texts' characters."""

    found: dict[int, ActionEvent] = field(default_factory=dict)
    left: int = 48_000
    """Characters for which there is still room."""

    def add(self, event: ActionEvent) -> int | None:
        """Keeps the event and returns its number; None where there are too many actions already."""
        number = find_begun(event).number
        is_begin = isinstance(event, ToolCalled | ThinkingBegan)
        if len(self.found) >= MOST_ACTIONS if is_begin else number not in self.found:
            return None
        self.found[number] = self._cut(event)
        return number

    def list_actions(self) -> tuple[Action, ...]:
        """The actions of a finished run in the order of their beginnings; unfinished ones were stopped with the run."""
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
        """The call as it was kept."""
        begun = find_begun(self.found[event.called.number])
        return begun if isinstance(begun, ToolCalled) else event.called


def find_begun(event: ActionEvent) -> ToolCalled | ThinkingBegan:
    """The beginning of the action that the event is about."""
    match event:
        case ToolReturned(called=begun) | ToolWaits(called=begun) | ModelThought(began=begun):
            return begun
        case ToolCalled() | ThinkingBegan():
            return event


def _end_action(event: ActionEvent) -> Action:
    if isinstance(event, ToolReturned | ModelThought):
        return event
    begun = find_begun(event)
    return ToolReturned(begun, "", 0, "stopped") if isinstance(begun, ToolCalled) else ModelThought(begun, "", 0)


@dataclass(slots=True)
class TurnView:
    """A turn as its events so far tell it. `texts` are the streamed texts of its answers by component, `steps` the
    components that ended, `passages` those that may be cited, by number. `begun` is the component that began last, and
    `states` has "running" or how it ended by component."""

    started: TurnStarted | None = None
    texts: dict[str, str] = field(default_factory=dict)
    steps: list[ComponentFinished] = field(default_factory=list)
    begun: str = ""
    states: dict[str, str] = field(default_factory=dict)
    progress: ModelProgress | None = None
    action_log: ActionLog = field(default_factory=ActionLog)
    passages: dict[int, NumberedPassage] = field(default_factory=dict)
    finished: TurnFinished | None = None


def fold(events: Iterable[Event], onto: TurnView | None = None) -> TurnView:
    """The view of these events, which come in their order; `onto` is that of earlier ones, which grows."""
    view = onto or TurnView()
    pieces: defaultdict[str, list[str]] = defaultdict(list)
    for event in events:
        match event:
            case Token():
                pieces[event.component_id].append(event.text)
            case ComponentStarted(component_id=name):
                view.begun, view.states[name] = name, "running"
            case ComponentFinished():
                view.steps.append(event)
                view.states[event.component_id] = event.status
            case ToolCalled() | ToolWaits() | ToolReturned() | ThinkingBegan() | ModelThought():
                view.action_log.add(event)
            case PassagesFound():
                view.passages |= {passage.number: passage for passage in event.passages}
            case TurnStarted():
                view.started = event
            case TurnFinished():
                view.finished = event
            case ModelProgress():
                view.progress = event
            case _:
                assert_never(event)
    view.texts |= {name: view.texts.get(name, "") + "".join(found) for name, found in pieces.items()}
    return view


def list_waiting_calls(events: Iterable[Event]) -> list[ToolWaits]:
    """The calls that wait for a person after these events."""
    waiting: dict[int, ToolWaits] = {}
    for event in events:
        if isinstance(event, ToolWaits):
            waiting[event.called.number] = event
        elif isinstance(event, ToolReturned):
            waiting.pop(event.called.number, None)
    return [call for call in waiting.values() if not call.is_decided]


def bound_arguments(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call's arguments as they are shown and kept: of very long ones the beginning of their JSON, under the key
    ""."""
    written = json.dumps(arguments, ensure_ascii=False, default=str)
    return arguments if len(written) <= ACTION_CHARS else {"": f"{written[: ACTION_CHARS - 1]}…"}


def write_arguments(arguments: Mapping[str, Any]) -> str:
    """Bounded arguments as people read them: JSON, or its beginning."""
    if arguments.keys() == {""}:
        return str(arguments[""])
    return json.dumps(arguments, ensure_ascii=False, default=str)


def list_notes(trace: Sequence[ComponentFinished], *, sees_inside: bool) -> tuple[str, ...]:
    """Notes for people below an answer: files that no model was shown, and fallback models that answered."""
    fallback_uses = [one.describe(sees_inside=sees_inside) for step in trace for one in step.fallback_uses]
    unseen = [note for step in trace for note in step.unseen]
    return tuple(dict.fromkeys((*unseen, *fallback_uses)))
