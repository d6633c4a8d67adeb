"""A turn as messages, made of its events: the only way where nothing of it is stored."""

from typing import assert_never

from flowground.errors import EndedByAdmin, RunStopped, ShuttingDown
from flowground.events import ComponentFinished, ComponentStarted, ModelProgress, Token, TurnFinished, TurnStarted
from flowground.runtime import LiveTurn
from flowground.store.runs.records import MessageState, StoredMessage, TraceStep


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
    )


def read_answers(turn: LiveTurn, started: TurnStarted) -> list[StoredMessage]:
    """Of a turn that has its end, as they are stored."""
    texts = dict.fromkeys(started.answer_ids, "")
    trace: list[TraceStep] = []
    finished: TurnFinished | None = None
    for event in turn.list_events():
        match event:
            case Token():
                texts[event.component_id] += event.text
            case ComponentFinished():
                trace.append(TraceStep.keep(event))
            case TurnFinished():
                finished = event
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
            message = StoredMessage(
                id=key,
                role="assistant",
                text=result.text if result else texts[name],
                state=state,
                created_at=started.started_at,
                run_id=started.run_id,
                model=result.model if result else None,
                finish_reason=result.finish_reason if result else None,
                usage=finished.usage if finished and not made else None,
                seconds=finished.seconds if finished else None,
                trace=() if made else tuple(trace),
                error=error,
            )
            made.append(message)
    return made


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
