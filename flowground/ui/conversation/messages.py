"""Messages, failures, actions and steps as JSON for a page; nothing of the flow's inside for who may not see it.

An answer comes from a row of the store or, where nothing of a turn is stored, from the turn's events.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from msgspec import structs

from flowground.api.errors import find_wait
from flowground.components import COMPONENTS
from flowground.core.citations import describe_kept
from flowground.core.errors import (
    EndedByAdmin,
    FlowgroundError,
    NoDocuments,
    RunError,
    explain_failure,
    hide_component,
)
from flowground.core.events import (
    ActionEvent,
    ComponentFinished,
    InnerRun,
    ModelThought,
    ThinkingBegan,
    ToolCalled,
    ToolReturned,
    ToolWaits,
    TurnStarted,
    TurnView,
    find_begun,
    fold,
    list_notes,
    write_arguments,
)
from flowground.core.messages import Usage, join_surrogates
from flowground.core.words import cut, round_seconds
from flowground.flows.flow import WHEN
from flowground.flows.wiring import WiredFlow
from flowground.runs.journal import Journal
from flowground.store.runs.records import TRACE_CHARS, StoredMessage, find_sender_name, list_file_names, write_value

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
    error: FlowgroundError | None = None,
) -> list[Fields]:
    """The messages as a page shows them. A question without an answer, and without a run, counts as interrupted.

    `running`: ids of runs that go on. `is_newest` False: the last question's answer may be on the next page. `sent`:
    names of the files of the last question before these messages. If several answers of a run failed, only the last
    one has the reason, of which `error` knows more where the run ended just now.
    """
    answered = {message.run_id for message in messages if message.role == "assistant" and message.run_id}
    shown: list[Fields] = []
    for at, message in enumerate(messages):
        after = messages[at + 1] if at + 1 < len(messages) else None
        sent = list_file_names(message) if message.role == "user" else sent
        says_why = after is None or after.role == "user" or after.run_id != message.run_id
        if message.state == "failed" and not says_why and not find_text(message):
            continue
        shown.append(write_message(message, visibility=visibility, says_why=says_why, sent=sent, error=error))
        is_answered = message.run_id in answered or (after is not None and after.role == "assistant")
        is_open = message.run_id in running or (after is None and not is_newest)
        if message.role == "user" and not is_answered and not is_open:
            nothing = replace(message, id=f"{message.id}:none", role="assistant", text="", state="interrupted")
            shown.append(_write_head(nothing))  # instead of an answer of which nothing was stored
    return shown


def write_message(
    message: StoredMessage,
    *,
    visibility: Visibility,
    says_why: bool = True,
    sent: Collection[str] = (),
    error: FlowgroundError | None = None,
) -> Fields:
    """The message; `says_why`, `sent` and `error` are as for `write_messages`."""
    written = _write_head(message)
    if message.role == "user":
        if message.kind == "files":
            written["files"] = [
                {"id": file.id, "name": join_surrogates(file.name), "type": file.media_type, "size": file.size}
                for file in message.value
            ]
        return written | ({"versions": message.versions} if message.versions else {})
    written["by_model"] = message.model is not None
    written |= _write_more(message, sees_inside=visibility.inside)
    if message.state == "failed" and says_why:
        why = error or RunError(message.error or message.text)
        written["error"] = write_failure(why, sees_inside=visibility.inside, sent=sent)
    elif message.state == "stopped" and message.error:
        written["error"] = write_failure(EndedByAdmin(message.error), sees_inside=visibility.inside)
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


def _write_head(message: StoredMessage) -> Fields:
    return {
        "id": message.id,
        "role": message.role,
        "text": join_surrogates(find_text(message)),
        "state": message.state,
        "at": message.created_at.isoformat(),
        "run": message.run_id,
    }


def _write_more(message: StoredMessage, *, sees_inside: bool) -> Fields:
    """Fields that few answers have; from the trace follows that it was skipped, that it went on after a failure, and
    its notes."""
    more: Fields = {}
    if sender := find_sender_name(message):
        more["sender_name"] = join_surrogates(sender)
    if message.finish_reason in CUT_REASONS:
        more["finish_reason"] = message.finish_reason
    if message.kind != "text" and (value := write_value(message.value, message.kind)):
        more["value"] = value  # JSON text as it is stored, which the page parses
    if not message.text and _is_skipped(message.trace):
        more["is_skipped"] = True
    if message.state == "complete" and any(step.status == "failed" for step in message.trace):
        more["went_on"] = True
    if notes := list_notes(message.trace, sees_inside=sees_inside):
        more["notes"] = [*map(join_surrogates, notes)]
    return more | describe_kept(message.text, message.passages)


def _is_skipped(trace: Sequence[ComponentFinished]) -> bool:
    """True if every output of the flow was skipped."""
    ends = [step.status for step in trace if step.type in COMPONENTS and COMPONENTS[step.type].output_kind]
    return bool(ends) and all(status == "skipped" for status in ends)


def write_failure(error: FlowgroundError, *, sees_inside: bool, sent: Collection[str] = ()) -> Fields:
    """Why an answer failed: the reason, its hint, and the seconds after which another try may succeed. `sent`: names of
    the question's files. An error about one of them is shown to everybody, and pages offer no *Try again*."""
    if NoDocuments.says in error.message:
        return _LACKS_DOCUMENTS
    if isinstance(error, EndedByAdmin):
        return {"text": join_surrogates(error.message), "hint": None}
    reason, wait = explain_failure(error.message) if sees_inside else hide_component(error.message), find_wait(error)
    if any(reason.startswith(f"{name} ") for name in sent):  # as messages of `SentFileFailed` do
        return {"text": join_surrogates(reason), "hint": None, "is_final": True}
    when = "Try again in a moment" if wait is None else f"Try again in {round_seconds(wait)}"
    hint = " ".join(filter(None, (error.hint, "" if wait is None else f"{when}.")))
    if not sees_inside:
        reason, hint = OUTSIDE, f"{when}; if it stays so, tell its author."
    failure: Fields = {"text": join_surrogates(reason), "hint": join_surrogates(hint) or None}
    return failure if wait is None else failure | {"seconds": wait}


def write_refusal(error: FlowgroundError) -> Mapping[str, Any]:
    """Why something was refused."""
    return {
        "text": join_surrogates(error.message),
        "hint": error.hint and join_surrogates(error.hint),
        "seconds": find_wait(error),
    }


def find_text(message: StoredMessage) -> str:
    """The message's text; older rows of failed answers have the error in it."""
    return "" if message.state == "failed" and message.error is None else message.text


def write_actions(actions: Iterable[ActionEvent], visibility: Visibility) -> list[Fields]:
    """The actions, each with as much as is known of it: its end, or only its beginning."""
    return [_write_action(action, visibility) for action in actions]


def _write_action(action: ActionEvent, visibility: Visibility) -> Fields:
    fields = _write_begun(find_begun(action), visibility)
    match action:
        case ToolWaits(is_decided=False):
            # People see the arguments that they are asked to approve.
            fields |= {"state": "waiting", "takes": join_surrogates(action.takes), "digest": action.digest}
            fields |= {} if action.sends is None else {"sends": join_surrogates(action.sends)}
            fields |= {"always": True} if action.is_always_asked else {}
        case ToolReturned():
            fields["state"] = action.status
            if visibility.tools:
                fields |= {"seconds": round(action.seconds, 6), "gives": join_surrogates(action.text)}
                fields["tokens"] = write_tokens(action.usage)
        case ModelThought():
            fields |= {"state": "done", "seconds": round(action.seconds, 6)}
            fields |= {"gives": join_surrogates(action.text)} if visibility.inside else {}
    return fields


def _write_begun(begun: ToolCalled | ThinkingBegan, visibility: Visibility) -> Fields:
    kind = "call" if isinstance(begun, ToolCalled) else "thought"
    fields: Fields = {"number": begun.number, "kind": kind, "within": begun.within, "state": "running"}
    fields |= {"after": begun.after} if begun.after else {}
    if isinstance(begun, ToolCalled):
        fields["name"] = join_surrogates(begun.label or begun.name)
        fields |= {"takes": join_surrogates(write_arguments(begun.arguments))} if visibility.tools else {}
    return fields


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


def read_answers(journal: Journal, view: TurnView | None = None) -> list[StoredMessage]:
    """The answers of a turn that ended, as they would be stored. `view` is that of its events."""
    if not journal.answers:
        return []
    first, *others = journal.answers
    view = view or fold(journal.list_events())
    trace = tuple(structs.replace(step, text=step.text[:TRACE_CHARS]) for step in view.steps)
    return [replace(first, trace=trace, actions=view.action_log.list_actions()), *others]


def write_steps(trace: Sequence[ComponentFinished], wired: WiredFlow) -> list[Fields]:
    """The steps in the order of their ends. `wired` is the flow as it is now; its file may have changed since."""
    flows = {wired.id: wired} | {inner.id: inner for inner in wired.inner_flows.values()}
    return _StepsWriter(flows).write(trace, wired)


def write_tool_calls(actions: Iterable[ActionEvent]) -> list[Fields]:
    """The flow's own tools that were called: "running", or how the last call of each ended, and how long all its calls
    took."""
    tools: dict[str, Fields] = {}
    for action in actions:
        called = find_begun(action)
        if isinstance(called, ToolCalled) and not called.is_inner:
            tool = tools.setdefault(called.tool, {"id": called.tool, "status": "done", "seconds": 0})
            if not isinstance(action, ToolReturned):
                tool["status"] = "running"
                continue
            tool["seconds"] += action.seconds
            if tool["status"] != "running":
                tool["status"] = "done" if action.status == "done" else "failed"
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
