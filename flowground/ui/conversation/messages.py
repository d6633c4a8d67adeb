"""Messages, failures, actions and steps as JSON for a page; nothing of the flow's inside for who may not see it.

An answer comes from a row of the store or, where nothing of a turn is stored, from the turn's events.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from msgspec import structs

from flowground.api.errors import find_wait
from flowground.app.live_turns import LiveTurn
from flowground.components import COMPONENTS
from flowground.core.citations import describe_kept, keep_passages
from flowground.core.errors import (
    ComponentFailed,
    EndedByAdmin,
    FlowgroundError,
    NoDocuments,
    RunStopped,
    SentFileFailed,
    ShuttingDown,
    explain_failure,
    hide_component,
)
from flowground.core.events import (
    Action,
    ActionEvent,
    ComponentFinished,
    InnerRun,
    ModelThought,
    ThinkingBegan,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnFinished,
    TurnStarted,
    fold,
    list_notes,
    write_arguments,
)
from flowground.core.messages import Usage, join_surrogates
from flowground.core.words import cut, round_seconds
from flowground.flows.flow import WHEN
from flowground.flows.wiring import WiredFlow
from flowground.store.runs.records import (
    TRACE_CHARS,
    MessageState,
    StoredMessage,
    find_sender_name,
    list_file_names,
    write_value,
)

Fields = dict[str, Any]

CUT_REASONS = ("length", "content_filter")
"""Reasons of a model to end before its answer is whole, which people should know."""
_LACKS_DOCUMENTS: Fields = {"text": NoDocuments.says, "hint": None, "lacks_documents": True}
"""Beside this error pages offer to add documents, to those who may."""
OUTSIDE = "This flow could not answer just now."

_FIELD_CHARS = 1_000
_ALL_FIELDS = 40_000
"""Most characters of fields, of all steps together; of fields beyond that only the names are sent."""
_MOST_SOURCES = 20


@dataclass(frozen=True, slots=True)
class Visibility:
    """What a person sees of a flow: its `inside`; arguments and results of its `tools`."""

    inside: bool = False
    tools: bool = False


def encode(kind: str, /, **fields: Any) -> str:
    """One frame as JSON."""
    frame = {"type": kind, **fields}
    try:
        return orjson.dumps(frame).decode()
    except TypeError:  # half a surrogate pair, where two pieces of a text meet
        return json.dumps(frame)


def write_messages(
    messages: Sequence[StoredMessage],
    *,
    visibility: Visibility,
    running: Collection[str] = (),
    is_newest: bool = True,
    sent: Collection[str] = (),
) -> list[Fields]:
    """The messages as a page shows them. A question without an answer, and without a run, counts as interrupted.

    `running`: ids of runs that go on. `is_newest` False: the last question's answer may be on the next page. `sent`:
    names of the files of the last question before these messages. If several answers of a run failed, only the last
    one has the reason.
    """
    answered = {message.run_id for message in messages if message.role == "assistant" and message.run_id}
    shown: list[Fields] = []
    for at, message in enumerate(messages):
        after = messages[at + 1] if at + 1 < len(messages) else None
        sent = list_file_names(message) if message.role == "user" else sent
        says_why = after is None or after.role == "user" or after.run_id != message.run_id
        if message.state == "failed" and not says_why and not find_text(message):
            continue
        shown.append(write_message(message, visibility=visibility, says_why=says_why, sent=sent))
        is_answered = message.run_id in answered or (after is not None and after.role == "assistant")
        is_open = message.run_id in running or (after is None and not is_newest)
        if message.role == "user" and not is_answered and not is_open:
            shown.append(_write_nothing(message))
    return shown


def write_message(
    message: StoredMessage, *, visibility: Visibility, says_why: bool = True, sent: Collection[str] = ()
) -> Fields:
    """`sent`: names of the question's files. An error about one of them is shown to everybody."""
    written: Fields = {
        "id": message.id,
        "role": message.role,
        "text": join_surrogates(find_text(message)),
        "state": message.state,
        "at": message.created_at.isoformat(),
        "run": message.run_id,
    }
    if message.role == "user":
        if message.kind == "files":
            written["files"] = [
                {"id": file.id, "name": join_surrogates(file.name), "type": file.media_type, "size": file.size}
                for file in message.value
            ]
        return written | ({"versions": message.versions} if message.versions else {})
    written["by_model"] = message.model is not None
    written |= _write_more(message) | _write_marks(message, sees_inside=visibility.inside)
    if error := _write_error(message, sees_inside=visibility.inside, says_why=says_why, sent=sent):
        written["error"] = error
    if message.actions:
        written["actions"] = write_actions(message.actions, visibility)
    if visibility.inside:
        written["facts"] = {
            "model": message.model,
            "seconds": message.seconds,
            "tokens": write_tokens(message.usage),
            "steps": len(message.trace),
        }
    return written


def _write_marks(message: StoredMessage, *, sees_inside: bool) -> Fields:
    """Marks of an answer that follow from its trace: skipped, went on after a failure, notes."""
    marks: Fields = {}
    if not message.text and _is_skipped(message.trace):
        marks["is_skipped"] = True
    if message.state == "complete" and any(step.status == "failed" for step in message.trace):
        marks["went_on"] = True
    if notes := list_notes(message.trace, sees_inside=sees_inside):
        marks["notes"] = [*map(join_surrogates, notes)]
    return marks


def _write_error(message: StoredMessage, *, sees_inside: bool, says_why: bool, sent: Collection[str]) -> Fields | None:
    if message.state == "failed" and says_why:
        sentence = message.error or message.text
        if NoDocuments.says in sentence:
            return _LACKS_DOCUMENTS
        reason = explain_failure(sentence) if sees_inside else hide_component(sentence)
        if any(reason.startswith(f"{name} ") for name in sent):  # as messages of `SentFileFailed` do
            return _write_final(reason)
        return {"text": join_surrogates(reason), "hint": None} if sees_inside else _hide(None)
    if message.state == "stopped" and message.error:
        return {"text": join_surrogates(message.error), "hint": None}
    return None


def _write_more(message: StoredMessage) -> Fields:
    """Fields that few answers have."""
    more: Fields = {}
    if sender := find_sender_name(message):
        more["sender_name"] = join_surrogates(sender)
    if message.finish_reason in CUT_REASONS:
        more["finish_reason"] = message.finish_reason
    if message.kind != "text" and (value := write_value(message.value, message.kind)):
        more["value"] = value  # JSON text as it is stored, which the page parses
    return more | describe_kept(message.text, message.passages)


def _is_skipped(trace: Sequence[ComponentFinished]) -> bool:
    """True if every output of the flow was skipped."""
    ends = [step.status for step in trace if step.type in COMPONENTS and COMPONENTS[step.type].output_kind]
    return bool(ends) and all(status == "skipped" for status in ends)


def write_failure(error: FlowgroundError, *, sees_inside: bool) -> Fields:
    """Why a running answer failed: the reason, its hint, and the seconds after which another try may succeed."""
    wait = find_wait(error)
    if isinstance(error, EndedByAdmin):
        return {"text": error.message, "hint": None}
    cause = error.cause if isinstance(error, ComponentFailed) else error
    if isinstance(cause, NoDocuments):
        return _LACKS_DOCUMENTS
    if isinstance(cause, SentFileFailed):
        return _write_final(explain_failure(error.message) if sees_inside else cause.message)
    if not sees_inside:
        return _hide(wait)
    hint = join_surrogates(error.hint) if error.hint else None
    text = join_surrogates(explain_failure(error.message))
    if wait is None:
        return {"text": text, "hint": hint}
    when = f"Try again in {round_seconds(wait)}."
    return {"text": text, "hint": f"{hint} {when}" if hint else when, "seconds": wait}


def write_refusal(error: FlowgroundError) -> Mapping[str, Any]:
    """Why something was refused."""
    return {
        "text": join_surrogates(error.message),
        "hint": error.hint and join_surrogates(error.hint),
        "seconds": find_wait(error),
    }


def _write_final(reason: str) -> Fields:
    """A failure that the same message would meet again: pages offer no *Try again*."""
    return {"text": join_surrogates(reason), "hint": None, "is_final": True}


def _hide(wait: int | None) -> Fields:
    when = "Try again in a moment" if wait is None else f"Try again in {round_seconds(wait)}"
    failure: Fields = {"text": OUTSIDE, "hint": f"{when}; if it stays so, tell its author."}
    return failure if wait is None else failure | {"seconds": wait}


def find_text(message: StoredMessage) -> str:
    """The message's text; older rows of failed answers have the error in it."""
    return "" if message.state == "failed" and message.error is None else message.text


def _write_nothing(question: StoredMessage) -> Fields:
    """A message instead of an answer of which nothing was stored."""
    at = question.created_at.isoformat()
    return {
        "id": f"{question.id}:none",
        "role": "assistant",
        "text": "",
        "state": "interrupted",
        "at": at,
        "run": question.run_id,
    }


def write_actions(actions: Iterable[ActionEvent], visibility: Visibility) -> list[Fields]:
    """The actions, each with as much as is known of it: its end, or only its beginning."""
    return [_write_action(action, visibility) for action in actions]


def _write_action(action: ActionEvent, visibility: Visibility) -> Fields:
    match action:
        case ThinkingBegan():
            return _write_start(action, "thought", "running")
        case ModelThought(began=began):
            fields = _write_start(began, "thought", "done")
            return (
                fields
                | {"seconds": round(action.seconds, 6)}
                | ({"gives": join_surrogates(action.text)} if visibility.inside else {})
            )
        case ToolCalled():
            return _write_call(action, "running", visibility)
        case ToolWaits(called=called):
            fields = _write_call(called, "running" if action.is_decided else "waiting", visibility)
            asked: Fields = {
                "takes": join_surrogates(action.takes),
                "digest": action.digest,
            }  # people see the arguments that they are asked to approve
            if action.sends is not None:
                asked["sends"] = join_surrogates(action.sends)
            if action.is_always_asked:
                asked["always"] = True
            return fields if action.is_decided else fields | asked
        case ToolReturned(called=called):
            fields = _write_call(called, action.status, visibility)
            if visibility.tools:
                fields |= {
                    "seconds": round(action.seconds, 6),
                    "gives": join_surrogates(action.text),
                    "tokens": write_tokens(action.usage),
                }
            return fields


def _write_call(called: ToolCalled, state: str, visibility: Visibility) -> Fields:
    fields = _write_start(called, "call", state)
    fields["name"] = join_surrogates(called.label or called.name)
    return fields | ({"takes": join_surrogates(write_arguments(called.arguments))} if visibility.tools else {})


def _write_start(began: ToolCalled | ThinkingBegan, kind: str, state: str) -> Fields:
    fields: Fields = {"number": began.number, "kind": kind, "within": began.within, "state": state}
    return fields | ({"after": began.after} if began.after else {})


def write_tokens(usage: Usage | None) -> Fields | None:
    return None if usage is None else {"input": usage.input_tokens, "output": usage.output_tokens}


def read_question(started: TurnStarted) -> StoredMessage | None:
    """The question of a turn; None if the flow takes no message."""
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
    """The answers of a turn that ended, as they would be stored."""
    view = fold(turn.journal.list_events())
    finished, passages = view.finished, view.passages
    texts = dict.fromkeys(started.answer_ids, "") | view.texts
    trace = tuple(structs.replace(step, text=step.text[:TRACE_CHARS]) for step in view.steps)
    state, error = _explain_end(turn)
    made: list[StoredMessage] = []
    for name, key in started.answer_ids.items():
        result = finished.results.get(name) if finished else None
        is_skipped = finished is not None and result is None and bool(finished.results)
        if not is_skipped and (result or texts[name] or not made):  # an empty answer stands for a turn without any text
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
                trace=() if made else trace,
                actions=() if made else view.action_log.list_actions(),
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
    match turn.journal.error:
        case None:
            return "complete", None
        case RunStopped() | ShuttingDown():
            return "stopped", None
        case EndedByAdmin(message=why):
            return "stopped", why
        case failure:
            return "failed", failure.message


def write_steps(trace: Sequence[ComponentFinished], wired: WiredFlow) -> list[Fields]:
    """The steps in the order of their ends. `wired` is the flow as it is now; its file may have changed since."""
    flows = {wired.id: wired} | {inner.id: inner for inner in wired.inner_flows.values()}
    return _StepsWriter(flows).write(trace, wired)


def write_tool_calls(actions: Sequence[Action]) -> list[Fields]:
    """The flow's own tools that were called: how the last call of each ended, and how long all its calls took."""
    tools: dict[str, Fields] = {}
    for action in actions:
        if isinstance(action, ToolReturned) and not action.called.is_inner:
            name, before = action.called.tool, tools.get(action.called.tool)
            seconds = action.seconds + (before["seconds"] if before else 0)
            tools[name] = {"id": name, "status": "done" if action.status == "done" else "failed", "seconds": seconds}
    return [*tools.values()]


class _StepsWriter:
    def __init__(self, flows: Mapping[str, WiredFlow]) -> None:
        self._flows, self._left = flows, _ALL_FIELDS

    def write(self, trace: Sequence[ComponentFinished], wired: WiredFlow | None) -> list[Fields]:
        return [self._write_step(step, wired) for step in trace]

    def _write_step(self, step: ComponentFinished, wired: WiredFlow | None) -> Fields:
        name = wired.display_names.get(step.component_id) if wired else None
        written: Fields = {
            "id": step.component_id,
            "name": name or step.component_id,
            "type": step.type,
            "at": step.at,
            "seconds": step.seconds,
            "model": step.model,
            "tokens": write_tokens(step.usage),
            "text": join_surrogates(step.text),
            "status": step.status,
            "takes": self._write_takes(step.component_id, wired) if wired else [],
        }
        if step.note:
            written["note"] = join_surrogates(step.note)
        if step.inner_count:
            written |= {"inner": [self._write_inner(run) for run in step.inner], "inner_count": step.inner_count}
        return written

    def _write_inner(self, run: InnerRun) -> Fields:
        steps = self.write(run.steps, self._flows.get(run.flow_id))
        error = None if run.error is None else join_surrogates(run.error)
        fields = {"flow": run.flow_id, "name": run.name, "at": run.at, "seconds": run.seconds}
        return fields | {"error": error, "steps": steps}

    def _write_takes(self, name: str, wired: WiredFlow) -> list[Fields]:
        """The fields that references fill: the text in the file, and the components that the references name."""
        if name not in wired.components:
            return []
        spec, taken = wired.flow.components[name], []
        for field, text in wired.connections.get(name, {}).items():
            sources = dict.fromkeys((one.component, wired.find_port(one), one.is_optional) for one in text.references)
            taken.append(
                {
                    "field": field,
                    "text": self._cut(spec.step.when if field == WHEN else spec.fields.get(field)),
                    "from": [
                        {"id": source, "port": port, "is_optional": is_optional, "name": wired.display_names[source]}
                        for source, port, is_optional in [*sources][:_MOST_SOURCES]
                    ],
                }
            )
        return taken

    def _cut(self, value: Any) -> str:
        text = cut(value, min(_FIELD_CHARS, self._left)) if isinstance(value, str) and self._left > 1 else ""
        self._left -= len(text)
        return text
