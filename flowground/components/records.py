"""What Data Operations does to records: pure, in a time that grows with them, and no larger than a value may be."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from flowground.errors import RunError
from flowground.values import LONGEST, Record, write_text
from flowground.words import list_names, show

_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]{1,9})\]")


def require_keys(records: Sequence[Record], keys: Collection[str]) -> Mapping[str, None]:
    """The keys, each once. Raises RunError where there are records, and none has one of them."""
    known = {key for record in records for key in record}
    wanted = dict.fromkeys(keys)
    if missing := [key for key in wanted if records and key not in known]:
        raise RunError(f"No record has {show(missing[0])}; there are {list_names(sorted(known)) or 'no keys at all'}.")
    return wanted


def rename_keys(records: Sequence[Record], names: Mapping[str, str]) -> list[Record]:
    """Each record with other names for some keys."""
    check_growth(sum(len(names[key]) for record in records for key in record if key in names))
    return [{names.get(key, key): value for key, value in record.items()} for record in records]


def append_keys(records: Sequence[Record], added: Mapping[str, Any]) -> list[Record]:
    """Each record with these keys over its own."""
    check_growth(len(write_text(added, "data")) * len(records))
    return [{**record, **added} for record in records]


def select_path(value: Any, path: str) -> Any:
    """What stands at a path, such as `.orders[0].id`. Raises RunError with the part that leads nowhere."""
    steps = read_path(path)
    if not steps:
        raise RunError(say_no_path(path))
    for step in steps:
        is_there = (
            isinstance(value, Mapping) and step in value
            if isinstance(step, str)
            else isinstance(value, list | tuple) and step < len(value)
        )
        if is_there:
            value = value[step]
        else:
            has = (
                f"there are {list_names(value)}" if isinstance(value, Mapping) and value else f"there is {show(value)}"
            )
            raise RunError(f"`{path}` leads nowhere: no {show(step)}; {has}.")
    return value


def make_filter(operator: str, wanted: str) -> Callable[[Any], bool]:
    """Whether a value compares like this with a text; numbers as numbers where both are, all else as text."""
    number = _read_number(wanted)

    def compare(value: Any) -> bool:
        if operator == "not equals":
            return not _is_equal(value, wanted, number)
        if operator == "not contains":
            return value is None or wanted not in write_text(value, "data")
        if value is None:
            return False
        if operator == "equals":
            return _is_equal(value, wanted, number)
        if operator in ("greater than", "less than"):
            difference = _compare(value, wanted, number)
            return difference > 0 if operator == "greater than" else difference < 0
        text = write_text(value, "data")
        if operator == "contains":
            return wanted in text
        return text.startswith(wanted) if operator == "starts with" else text.endswith(wanted)

    return compare


def sort_records(records: Sequence[Record], column: str, *, is_ascending: bool) -> list[Record]:
    """By a column, alike ones as they stood: numbers, then all else as text, then those without a value."""
    given = [record for record in records if record.get(column) is not None]
    given.sort(key=lambda record: _place(record[column]), reverse=not is_ascending)
    return [*given, *(record for record in records if record.get(column) is None)]


def drop_duplicates(records: Sequence[Record], column: str | None) -> list[Record]:
    """The first of those that are alike in a column, or in all; those without it stay."""
    first: dict[str | int, Record] = {}
    for number, record in enumerate(records):
        alike = record if not column else record.get(column)
        first.setdefault(number if alike is None else json.dumps(alike, sort_keys=True), record)
    return [*first.values()]


def _is_equal(value: Any, wanted: str, number: float | None) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool) and number is not None:
        return value == number
    return value is not None and write_text(value, "data") == wanted


def _compare(value: Any, wanted: str, number: float | None) -> int:
    """Above 0 where the value is greater; 0 too where one of the two is a number and the other is none."""
    own = _read_number(value)
    if own is not None and number is not None:
        return (own > number) - (own < number)
    if own is not None or number is not None:
        return 0
    text = write_text(value, "data")
    return (text > wanted) - (text < wanted)


def _place(value: Any) -> tuple[int, float, str]:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    return (0, number, "") if number is not None else (1, 0, write_text(value, "data"))


def _read_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def read_path(path: str) -> list[str | int]:
    """The keys and positions of a path; none where it is no path."""
    steps: list[str | int] = []
    end = 0
    while found := _STEP.match(path, end):
        steps.append(found[1] if found[1] is not None else int(found[2]))
        end = found.end()
    return steps if end == len(path) else []


def say_no_path(path: str) -> str:
    """The sentence that refuses what `read_path` cannot read."""
    return f"{show(path)} is no path: write `.key`, `.list[0]`, or several of them."


def check_growth(characters: int) -> None:
    """What is put into every record stands once in memory, and would be written as often as there are records."""
    if characters > LONGEST:
        raise RunError(f"The component makes a value of over {LONGEST:,} bytes.")
