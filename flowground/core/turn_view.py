"""What the events of a turn say together."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from flowground.core.citations import NumberedPassage
from flowground.core.events import (
    ActionLog,
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    ModelThought,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
)


@dataclass(slots=True)
class TurnView:
    """A turn as its events so far tell it. `texts` are the streamed texts of its answers by component, `steps` the
    components that ended, `passages` those that may be cited, by number."""

    started: TurnStarted | None = None
    texts: dict[str, str] = field(default_factory=dict)
    steps: list[ComponentFinished] = field(default_factory=list)
    action_log: ActionLog = field(default_factory=ActionLog)
    passages: dict[int, NumberedPassage] = field(default_factory=dict)
    finished: TurnFinished | None = None


def fold(events: Iterable[Event]) -> TurnView:
    """The view of these events, which come in their order."""
    view = TurnView()
    pieces: defaultdict[str, list[str]] = defaultdict(list)
    for event in events:
        match event:
            case Token():
                pieces[event.component_id].append(event.text)
            case ComponentFinished():
                view.steps.append(event)
            case ToolCalled() | ToolWaits() | ToolReturned() | ThinkingBegan() | ModelThought():
                view.action_log.add(event)
            case PassagesFound():
                view.passages |= {passage.number: passage for passage in event.passages}
            case TurnStarted():
                view.started = event
            case TurnFinished():
                view.finished = event
            case ComponentStarted() | ModelProgress():
                pass
            case _:
                assert_never(event)
    view.texts = {name: "".join(found) for name, found in pieces.items()}
    return view
