"""*Make it a test*: the dialog in which an author makes a test of a turn, as a patch of the flow's file.

Who may write the file has the patch written there; others see it. The test is added by inserting text: no other
character of the YAML file changes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
import yaml
from pydantic import ValidationError

from flowground.access import flow_files, insides
from flowground.app import flow_tests, runtime
from flowground.components.models import LanguageModel
from flowground.components.routers import SmartRouter
from flowground.core.caller import Caller
from flowground.core.citations import Citations
from flowground.core.errors import FlowError, FlowgroundError, InvalidRequest
from flowground.core.events import ComponentFinished
from flowground.core.yaml_file import WORDS, Dialect, parse_events, read_document
from flowground.flows.flow import FlowTest
from flowground.flows.parse import FLOW_FILE
from flowground.flows.wiring import WiredFlow
from flowground.store.runs.records import TRACE_CHARS
from flowground.ui.inside.inside import render_outcome
from flowground.ui.page import bridge, parts, words
from flowground.ui.page.bridge import require_visitor
from flowground.ui.sign_in import sign_in

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Line breaks as YAML counts them."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?: [A-Za-z0-9_-]+)*")
_YAML_WORDS = {*WORDS, *("y", "n", "yes", "no", "on", "off")}
"""Words that some YAML parsers read as other values than text."""
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that JSON does not escape, and YAML cannot read or takes for line breaks."""
_NOT_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f]|{_ESCAPED.pattern}")
_LINE_CHARS = 100

_PATCH_LINES_AROUND = 3
"""Lines of context in a patch."""

_WHOLE, _PART = "The whole answer", "Some words of it"


@dataclass(frozen=True, slots=True)
class TurnPlace:
    """An answer in one of the caller's conversations."""

    flow_id: str
    session_id: str
    message_id: str


def open_dialog(place: TurnPlace) -> None:
    """Opens the dialog, for who sees the inside of the flow."""
    with bridge.render_refusals():
        turn = bridge.ask(
            insides.read_turn,
            require_visitor(),
            flow_id=place.flow_id,
            session_id=place.session_id,
            message_id=place.message_id,
        )
        st.dialog("Make it a test", width="large")(_render)(place, turn)


def _render(place: TurnPlace, turn: insides.AnsweredTurn) -> None:
    caller, key = require_visitor(), f"test:{place.message_id}"
    answer = turn.answer
    made_test = make_test(turn.wired, turn.question, answer.text, answer.trace, turn.overrides, answer.citations)
    name = (
        st.text_input("Name", placeholder=words.cut(" ".join(turn.question.split())), max_chars=200, key=f"{key}:name")
        or ""
    )
    expected = st.radio("What is expected", [_WHOLE, _PART], horizontal=True, key=f"{key}:expected")
    entry = _change(made_test.entry, name.strip())
    if expected == _PART:
        part = st.text_input("Words that stand in every right answer", key=f"{key}:part", live=True) or ""
        entry = {**entry, "expect": {"contains": part} | _drop(entry["expect"], "equals")}
        if not part.strip():
            st.caption("Enter the words first.")
            return
    if made_test.unknown:
        names = ", ".join(f"**{words.escape(component)}**" for component in made_test.unknown)
        st.caption(
            f"What a model replied to {names} is not kept: the scripted model replies there, or `replies` says it."
        )
    with bridge.render_refusals():
        before = bridge.ask(flow_files.read_flow_file, caller, place.flow_id)
        after = add_to_file(before, entry)
        patch = write_patch(before, after, f"flows/{turn.wired.flow.file}")
        with parts.hide_other_button("test"):
            st.code(patch, language="diff", height=320)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            parts.render_copy(patch, what="the patch", label="Copy the patch", key=key)
            is_wanted = st.button("Try the test", icon=":material/play_arrow:", key=f"{key}:try")
        _render_trial(caller, turn.wired, entry, key, is_wanted=is_wanted)
        if flow_files.may_change(runtime.get().access, caller, turn.wired):
            _render_writing(caller, turn.wired.flow.file, before, after)


def _change(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    return ({"name": name} if name else {}) | dict(entry)


def _drop(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def _render_trial(caller: Caller, wired: WiredFlow, entry: Mapping[str, Any], key: str, *, is_wanted: bool) -> None:
    """Runs the test before it is saved."""
    shown, tried = f"{key}:outcome", json.dumps(entry)
    if is_wanted:
        outcome = bridge.call(flow_tests.try_test(runtime.get(), caller, wired.id, _read(entry)))
        st.session_state[shown] = tried, outcome
    of, outcome = st.session_state.get(shown, ("", None))
    if of == tried and outcome is not None:
        render_outcome(outcome)


def _read(entry: Mapping[str, Any]) -> FlowTest:
    try:
        return FlowTest.model_validate(entry)
    except ValidationError:
        raise InvalidRequest("This turn cannot be a test.") from None


def _render_writing(caller: Caller, file: str, before: bytes, after: bytes) -> None:
    if not caller.is_proven:
        if not sign_in.ask_owner_code(key="test:code"):
            return
        caller = require_visitor()
    if st.button("Write it into the file", type="primary", key="test:write"):
        try:
            digest = flow_files.make_digest(before)
            bridge.ask(flow_files.replace_flow_file, caller, file, before=digest, after=after)
        except FlowgroundError as error:
            bridge.render_refusal(error)
        else:
            st.toast("The test stands in the file.", icon=":material/check:")
            st.rerun()


@dataclass(frozen=True, slots=True)
class MadeTest:
    """`entry`: the item for `tests:`; `unknown`: components whose model's reply is not known any more."""

    entry: Mapping[str, Any]
    unknown: tuple[str, ...]


def make_test(
    wired: WiredFlow,
    question: str,
    answer: str,
    trace: Sequence[ComponentFinished],
    overrides: Mapping[str, Any],
    citations: Citations = (),
) -> MadeTest:
    """A test of this turn. Its `replies` come from the results of components, so that it needs no model. `citations`:
    what the answer cites."""
    steps = {step.component_id: step for step in trace}
    asking = [name for name in wired.order if wired.components[name].list_models()]
    ran = [name for name in asking if name in steps and steps[name].status == "done"]
    skipped = [name for name in wired.order if name in steps and steps[name].status == "skipped"]
    found = {name: _find_reply(wired, steps, name, answer) for name in ran}
    replies = {name: reply for name, reply in found.items() if reply is not None}
    route = {"takes": ran, "skips": skipped} if skipped else {}
    sources = list(dict.fromkeys(passage.source for passage in citations))
    entry = {
        "message": question,
        "overrides": overrides,
        "replies": replies,
        "expect": {"equals": answer.strip()}
        | ({"cites": sources} if sources else {})
        | {key: names for key, names in route.items() if names},
    }
    inner = [name for name in wired.order if name in steps and steps[name].inner_count]
    unknown = (*(name for name in ran if name not in replies), *inner)
    return MadeTest({key: value for key, value in entry.items() if value or key == "message"}, unknown)


def _find_reply(wired: WiredFlow, steps: Mapping[str, ComponentFinished], name: str, answer: str) -> Any:
    """The reply of a component's model; None if only a part of it was stored, or it is not known from the trace."""
    component, text = wired.components[name], steps[name].text
    if isinstance(component, LanguageModel):
        if len(text) < TRACE_CHARS:
            return text
        return answer if answer.startswith(text) else None
    if isinstance(component, SmartRouter):
        route = next(_list_taken(wired, steps, name), None)
        return None if route is None else {"route": route}
    return None


def _list_taken(wired: WiredFlow, steps: Mapping[str, ComponentFinished], name: str) -> Iterator[str]:
    """The component's outputs that made another component run."""
    for follower in wired.followers.get(name, ()):
        if follower in steps and steps[follower].status != "skipped":
            for reference in wired.list_references(follower):
                if reference.component == name and reference.output and not reference.is_optional:
                    yield reference.output


def add_to_file(content: bytes, entry: Mapping[str, Any]) -> bytes:
    """The file with one more test, and no other byte changed. Raises InvalidRequest, FlowError."""
    mark = b"\xef\xbb\xbf"
    is_marked = content.startswith(mark)
    text = content.decode("utf-8-sig")
    return (mark if is_marked else b"") + append_item(text, "tests", entry, FLOW_FILE).encode()


def write_patch(before: bytes, after: bytes, file: str) -> str:
    """The change as one hunk for `patch` and `git apply`."""
    old, new = (_split(content) for content in (before, after))
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    first, last = max(0, start - _PATCH_LINES_AROUND), min(tail, _PATCH_LINES_AROUND)
    gone, come = old[start : len(old) - tail], new[start : len(new) - tail]
    above, below = old[first:start], old[len(old) - tail : len(old) - tail + last]
    counts = [len(above) + len(part) + len(below) for part in (gone, come)]
    begins = [first + 1 if count else 0 for count in counts]
    lines = [(" ", above), ("-", gone), ("+", come), (" ", below)]
    body = "".join(f"{mark}{_end_line(line)}" for mark, part in lines for line in part)
    return f"--- a/{file}\n+++ b/{file}\n@@ -{begins[0]},{counts[0]} +{begins[1]},{counts[1]} @@\n{body}"


def _split(content: bytes) -> list[str]:
    lines = content.decode().split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _end_line(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def append_item(text: str, name: str, item: Mapping[str, Any], dialect: Dialect) -> str:
    """The file's text with `item` added to its top-level list `name`, which is created if it is missing.

    The result is parsed: everything else must read as before. Raises InvalidRequest if no such text was found.
    """
    before = read_document(text, "", dialect).root
    wanted: dict[str, Any] = before.read_plain() if before else {}
    wanted = {**wanted, name: [*(wanted.get(name) or []), item]}
    for in_lines in (True, False):
        written = _insert(text, name, item, in_lines=in_lines)
        try:
            read = read_document(written, "", dialect)
        except FlowError:
            continue
        if read.root and not read.problems and read.root.read_plain() == wanted:
            return written
    raise InvalidRequest(f"`{name}` of this file cannot be added to here.", hint="Write it into the file by hand.")


def write_item(item: Mapping[str, Any], *, indent: int, in_lines: bool = True) -> list[str]:
    """The item as lines of a list; with `in_lines`, texts of several lines become block scalars."""
    first, *others = _write_mapping(item, in_lines=in_lines)
    return [f"{' ' * indent}- {first}", *(f"{' ' * (indent + 2)}{line}" if line else "" for line in others)]


def _insert(text: str, name: str, item: Mapping[str, Any], *, in_lines: bool) -> str:
    events: list[Any] = list(parse_events(text))
    start = next(at for at, event in enumerate(events) if isinstance(event, yaml.MappingStartEvent))
    value = _find_value(events, start, name)
    lines_end = "\r\n" if "\r\n" in text else "\n"
    if value is None:
        indent = events[start + 1].start_mark.column
        lines = [f"{' ' * indent}{name}:", *write_item(item, indent=indent + 2, in_lines=in_lines)]
        return _put_lines(text, len(text), lines, lines_end)
    first, last = value
    if not isinstance(events[first], yaml.SequenceStartEvent):  # the list has no value
        indent = events[start + 1].start_mark.column + 2
        return _put_lines(
            text,
            _find_next_line(text, events[first].end_mark),
            write_item(item, indent=indent, in_lines=in_lines),
            lines_end,
        )
    if events[first].flow_style:
        at = _find_offset(text, events[last].start_mark)
        inside = text[:at].rstrip()
        comma = "" if inside.endswith((",", "[")) else ", "
        return f"{text[:at]}{comma}{_write_flow(item)}{text[at:]}"
    end = next(event for event in events[last - 1 : first : -1] if not _is_end_of_block(event))
    lines = write_item(item, indent=events[first].start_mark.column, in_lines=in_lines)
    return _put_lines(text, _find_next_line(text, end.end_mark), lines, lines_end)


def _find_value(events: Sequence[Any], start: int, name: str) -> tuple[int, int] | None:
    """The first and the last event of the value with this name in the mapping that begins at `start`."""
    at = start + 1
    while not isinstance(events[at], yaml.MappingEndEvent):
        value = _find_end(events, at) + 1
        end = _find_end(events, value)
        if isinstance(events[at], yaml.ScalarEvent) and events[at].value == name:
            return value, end
        at = end + 1
    return None


def _find_end(events: Sequence[Any], at: int) -> int:
    depth = 0
    while True:
        depth += isinstance(events[at], yaml.CollectionStartEvent) - isinstance(events[at], yaml.CollectionEndEvent)
        if not depth:
            return at
        at += 1


def _is_end_of_block(event: Any) -> bool:
    """True for the end of a block: its mark is where the next token begins, behind comments and blank lines."""
    start, end = event.start_mark, event.end_mark
    return isinstance(event, yaml.CollectionEndEvent) and (start.line, start.column) == (end.line, end.column)


def _find_offset(text: str, mark: Any) -> int:
    breaks = [0, *(found.end() for found in _LINE_BREAK.finditer(text))]
    return int(breaks[mark.line] + mark.column)


def _find_next_line(text: str, mark: Any) -> int:
    """The offset of the next line's begin; of the mark itself if it begins a line."""
    at = _find_offset(text, mark)
    if not mark.column:
        return at
    found = _LINE_BREAK.search(text, at)
    return found.end() if found else len(text)


def _put_lines(text: str, at: int, lines: Sequence[str], lines_end: str) -> str:
    before = text[:at]
    gap = lines_end if before and not _LINE_BREAK.fullmatch(before[-1]) else ""
    return f"{before}{gap}{''.join(f'{line}{lines_end}' for line in lines)}{text[at:]}"


def _write_mapping(item: Mapping[str, Any], *, in_lines: bool) -> Iterator[str]:
    for key, value in item.items():
        name = _write_flow(key)
        flow = f"{name}: {_write_flow(value)}"
        if isinstance(value, str) and in_lines and _fits_lines(value):
            yield f"{name}: |-"
            yield from (f"  {line}" if line else "" for line in value.split("\n"))
        elif isinstance(value, Mapping) and value and (len(flow) > _LINE_CHARS or _has_lines(value)):
            yield f"{name}:"
            yield from (f"  {line}" if line else "" for line in _write_mapping(value, in_lines=in_lines))
        else:
            yield flow


def _has_lines(value: Any) -> bool:
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return (isinstance(value, str) and "\n" in value) or any(map(_has_lines, inside))


def _fits_lines(text: str) -> bool:
    """Whether the text can be a block scalar as it is."""
    return "\n" in text and not text[0].isspace() and not text[-1].isspace() and not _NOT_IN_LINES.search(text)


def _write_flow(value: Any) -> str:
    """The value in one line: JSON, without quotes around plain words."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS:
            return value
        return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_write_flow(key)}: {_write_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_write_flow, value))}]"
    return json.dumps(value)
