"""Adding an item to a list of a YAML file, by which no other character of the file changes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from flowground.errors import FlowError, InvalidRequest
from flowground.yaml_file.reader import WORDS, Dialect, parse_events, read_document

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""As YAML counts lines."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?: [A-Za-z0-9_-]+)*")
_WORDS = {*WORDS, *("y", "n", "yes", "no", "on", "off")}
"""Texts that others may not take for texts."""
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What JSON leaves as it is, and YAML does not read, or takes for a line's end."""
_NOT_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f]|{_ESCAPED.pattern}")
_LINE_CHARS = 100


def append_item(text: str, name: str, item: Mapping[str, Any], dialect: Dialect) -> str:
    """The file's text with `item` at the end of the list `name` of its top level, which is made where there is none.

    What is read from it is the same as before but for that. Raises InvalidRequest where that cannot be done.
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
    """The item as lines of a list; texts of several lines as they are where `in_lines`."""
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
    if not isinstance(events[first], yaml.SequenceStartEvent):  # nothing stands behind the name
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
    """The first and the last event of what stands behind this name of the mapping that begins at `start`."""
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
    """Such an end stands where the next thing begins, behind comments and blank lines."""
    start, end = event.start_mark, event.end_mark
    return isinstance(event, yaml.CollectionEndEvent) and (start.line, start.column) == (end.line, end.column)


def _find_offset(text: str, mark: Any) -> int:
    breaks = [0, *(found.end() for found in _BREAK.finditer(text))]
    return int(breaks[mark.line] + mark.column)


def _find_next_line(text: str, mark: Any) -> int:
    """Where the line after this place begins; the place itself where a line begins there."""
    at = _find_offset(text, mark)
    if not mark.column:
        return at
    found = _BREAK.search(text, at)
    return found.end() if found else len(text)


def _put_lines(text: str, at: int, lines: Sequence[str], lines_end: str) -> str:
    before = text[:at]
    gap = lines_end if before and not _BREAK.fullmatch(before[-1]) else ""
    return f"{before}{gap}{''.join(f'{line}{lines_end}' for line in lines)}{text[at:]}"


def _write_mapping(given: Mapping[str, Any], *, in_lines: bool) -> Iterator[str]:
    for key, value in given.items():
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
    """Whether the text can stand there as it is, in lines of its own."""
    return "\n" in text and not text[0].isspace() and not text[-1].isspace() and not _NOT_IN_LINES.search(text)


def _write_flow(value: Any) -> str:
    """In one line: JSON, but without quotes where none are needed."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
            return value
        return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_write_flow(key)}: {_write_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_write_flow, value))}]"
    return json.dumps(value)
