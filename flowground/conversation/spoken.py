"""A turn as messages, made of its events: the only way where nothing of it is stored."""

from typing import assert_never

from flowground.citations import NumberedPassage, keep_passages
from flowground.errors import EndedByAdmin, RunStopped, ShuttingDown
from flowground.events import (
    ActionLog,
    ComponentFinished,
    ComponentStarted,
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
from flowground.runtime import LiveTurn
from flowground.store.runs.records import MessageState, StoredMessage
from flowground.store.runs.traces import TraceStep


def read_question(started: TurnStarted) -> StoredMessage | None:
    """None where the flow takes no message."""
    if started.input_value is None:
        return None
    return StoredMessage(
        started.user_message_id,
        "user",
        started.input_value,
        "complete",
        started.started_at,
        started.run_id,
        versions=started.versions,
        value=tuple(started.files) or None,
        kind="files" if started.files else "text",
    )


def read_answers(turn: LiveTurn, started: TurnStarted) -> list[StoredMessage]:
    """Of a turn that has its end, as they are stored."""
    texts = dict.fromkeys(started.answer_ids, "")
    trace: list[TraceStep] = []
    actions = ActionLog()
    finished: TurnFinished | None = None
    passages: dict[int, NumberedPassage] = {}
    for event in turn.list_events():
        match event:
            case Token():
                texts[event.component_id] += event.text
            case ComponentFinished():
                trace.append(TraceStep.keep(event))
            case PassagesFound():
                passages |= {passage.number: passage for passage in event.passages}
            case TurnFinished():
                finished = event
            case ToolCalled() | ToolWaits() | ToolReturned() | ThinkingBegan() | ModelThought():
                actions.add(event)
            case TurnStarted() | ComponentStarted() | ModelProgress():
                pass
            case _:
                assert_never(event)
    state, error = _explain_end(turn)
    made: list[StoredMessage] = []
    for name, key in started.answer_ids.items():
        result = finished.results.get(name) if finished else None
        is_skipped = finished is not None and result is None and bool(finished.results)
        if not is_skipped and (result or texts[name] or not made):  # one stands for the turn where nothing was said
            text, kind = (result.text, result.kind) if result else (texts[name], "text")
            message = StoredMessage(
                id=key,
                role="assistant",
                text=text,
                state=state,
                created_at=started.started_at,
                run_id=started.run_id,
                model=result.model if result else None,
                finish_reason=result.finish_reason if result else None,
                usage=finished.usage if finished and not made else None,
                seconds=finished.seconds if finished else None,
                trace=() if made else tuple(trace),
                actions=() if made else actions.list_actions(),
                error=error,
                value=result.value if result else None,
                kind=kind,
                passages=keep_passages(text, passages, is_first=not made) if kind == "text" else (),
            )
            made.append(message)
    return made + (_read_added(finished, started) if finished else [])


def _read_added(finished: TurnFinished, started: TurnStarted) -> list[StoredMessage]:
    return [
        StoredMessage(
            key, "assistant", one.text, "complete", started.started_at, started.run_id,
            sender=one.sender, sender_name=one.sender_name,
        )
        for key, one in finished.added.items()
    ]  # fmt: skip


def _explain_end(turn: LiveTurn) -> tuple[MessageState, str | None]:
    match turn.error:
        case None:
            return "complete", None
        case RunStopped() | ShuttingDown():
            return "stopped", None
        case EndedByAdmin(message=why):
            return "stopped", why
        case failure:
            return "failed", failure.message
