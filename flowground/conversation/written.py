"""Messages and failures as a page is sent them: nothing of the flow's inside for who may not see it."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from flowground.api.errors import find_wait
from flowground.citations import describe_kept
from flowground.components import COMPONENTS
from flowground.components.io import output_kind
from flowground.conversation.acted import Sight, Written, write_actions, write_tokens
from flowground.errors import (
    ComponentFailed,
    EndedByAdmin,
    FlowgroundError,
    NoDocuments,
    SentFileFailed,
    explain_failure,
    hide_component,
)
from flowground.events import ComponentFinished, list_notes
from flowground.messages import mend
from flowground.store.runs.records import StoredMessage, find_sender_name, list_file_names, write_value
from flowground.values import FileReference
from flowground.words import round_seconds

CUT_REASONS = ("length", "content_filter")
"""Why a model ended that people should know: the answer is not whole."""
_LACKS_DOCUMENTS: Written = {"text": NoDocuments.says, "hint": None, "lacks_documents": True}
"""Pages offer to add some beside it, to those who may."""
OUTSIDE = "This flow could not answer just now."


def encode(kind: str, /, **fields: Any) -> str:
    """One frame."""
    told = {"type": kind, **fields}
    try:
        return orjson.dumps(told).decode()
    except TypeError:  # half a surrogate pair, where two pieces of a text meet
        return json.dumps(told)


def write_messages(
    messages: Sequence[StoredMessage],
    *,
    sight: Sight,
    running: Collection[str] = (),
    is_newest: bool = True,
    sent: Collection[str] = (),
) -> list[Written]:
    """As a page shows them. A question that nobody answered, or is answering, counts as one that was interrupted.

    `running` are runs that go on. `is_newest` False: the last question's answer may stand on the next page. `sent` are
    the names of the files that came with a question before these messages. Of a run's several answers that failed the
    last one says why.
    """
    answered = {message.run_id for message in messages if message.role == "assistant" and message.run_id}
    shown: list[Written] = []
    for at, message in enumerate(messages):
        after = messages[at + 1] if at + 1 < len(messages) else None
        sent = list_file_names(message) if message.role == "user" else sent
        says_why = after is None or after.role == "user" or after.run_id != message.run_id
        if message.state == "failed" and not says_why and not find_said(message):
            continue
        shown.append(write_message(message, sight=sight, says_why=says_why, sent=sent))
        is_answered = message.run_id in answered or (after is not None and after.role == "assistant")
        is_open = message.run_id in running or (after is None and not is_newest)
        if message.role == "user" and not is_answered and not is_open:
            shown.append(_write_nothing(message))
    return shown


def write_message(
    message: StoredMessage, *, sight: Sight, says_why: bool = True, sent: Collection[str] = ()
) -> Written:
    """`sent` are the names of the files that came with the question: what is wrong with one is told to everybody."""
    written: Written = {
        "id": message.id,
        "role": message.role,
        "text": mend(find_said(message)),
        "state": message.state,
        "at": message.created_at.isoformat(),
        "run": message.run_id,
    }
    if message.role == "user":
        if message.kind == "files":
            written["files"] = [_write_file(file) for file in message.value]
        return written | ({"versions": message.versions} if message.versions else {})
    written["by_model"] = message.model is not None
    written |= _write_more(message) | _write_marks(message, sees_inside=sight.inside)
    if error := _write_error(message, sees_inside=sight.inside, says_why=says_why, sent=sent):
        written["error"] = error
    if message.actions:
        written["actions"] = write_actions(message.actions, sight)
    if sight.inside:
        written["facts"] = _write_facts(message)
    return written


def _write_marks(message: StoredMessage, *, sees_inside: bool) -> Written:
    """What else people should know of an answer, from how it came about."""
    marks: Written = {}
    if not message.text and _is_skipped(message.trace):
        marks["is_skipped"] = True
    if message.state == "complete" and any(step.status == "failed" for step in message.trace):
        marks["went_on"] = True
    if notes := list_notes(message.trace, sees_inside=sees_inside):
        marks["notes"] = [*map(mend, notes)]
    return marks


def _write_error(message: StoredMessage, *, sees_inside: bool, says_why: bool, sent: Collection[str]) -> Written | None:
    if message.state == "failed" and says_why:
        sentence = message.error or message.text
        if NoDocuments.says in sentence:
            return _LACKS_DOCUMENTS
        told = explain_failure(sentence) if sees_inside else hide_component(sentence)
        if any(told.startswith(f"{name} ") for name in sent):  # as messages of `SentFileFailed` do
            return _write_final(told)
        return {"text": mend(told), "hint": None} if sees_inside else _hide(None)
    if message.state == "stopped" and message.error:
        return {"text": mend(message.error), "hint": None}
    return None


def _write_more(message: StoredMessage) -> Written:
    """What few answers have."""
    more: Written = {}
    if sender := find_sender_name(message):
        more["sender_name"] = mend(sender)
    if message.finish_reason in CUT_REASONS:
        more["finish_reason"] = message.finish_reason
    if message.kind != "text" and (value := write_value(message.value, message.kind)):
        more["value"] = value  # JSON as it is stored: the page reads it where it shows it
    return more | describe_kept(message.text, message.passages)


def _write_file(file: FileReference) -> Written:
    return {"id": file.id, "name": mend(file.name), "type": file.media_type, "size": file.size}


def _is_skipped(trace: Sequence[ComponentFinished]) -> bool:
    """Whether every output of the flow was skipped."""
    ends = [step.status for step in trace if step.type in COMPONENTS and output_kind(COMPONENTS[step.type])]
    return bool(ends) and all(status == "skipped" for status in ends)


def write_failure(error: FlowgroundError, *, sees_inside: bool) -> Written:
    """Why an answer has no end, told as it happens: with its hint, and the seconds after which it may go well."""
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
    hint = mend(error.hint) if error.hint else None
    text = mend(explain_failure(error.message))
    if wait is None:
        return {"text": text, "hint": hint}
    when = f"Try again in {round_seconds(wait)}."
    return {"text": text, "hint": f"{hint} {when}" if hint else when, "seconds": wait}


def write_refusal(error: FlowgroundError) -> Mapping[str, Any]:
    """Why something was not done."""
    return {"text": mend(error.message), "hint": error.hint and mend(error.hint), "seconds": find_wait(error)}


def _write_final(told: str) -> Written:
    """What the same message cannot do better: pages offer no *Try again*."""
    return {"text": mend(told), "hint": None, "is_final": True}


def _hide(wait: int | None) -> Written:
    when = "Try again in a moment" if wait is None else f"Try again in {round_seconds(wait)}"
    told: Written = {"text": OUTSIDE, "hint": f"{when}; if it stays so, tell its author."}
    return told if wait is None else told | {"seconds": wait}


def find_said(message: StoredMessage) -> str:
    """What it says; older rows of failed answers have the error there."""
    return "" if message.state == "failed" and message.error is None else message.text


def _write_facts(message: StoredMessage) -> Written:
    return {
        "model": message.model,
        "seconds": message.seconds,
        "tokens": write_tokens(message.usage),
        "steps": len(message.trace),
    }


def _write_nothing(question: StoredMessage) -> Written:
    """In the place of an answer of which nothing was kept."""
    at = question.created_at.isoformat()
    return {
        "id": f"{question.id}:none",
        "role": "assistant",
        "text": "",
        "state": "interrupted",
        "at": at,
        "run": question.run_id,
    }
