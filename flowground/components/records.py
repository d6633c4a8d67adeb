"""Components for records: made from text, changed, split, and written as text. Pure, in time linear in the records."""

import asyncio
import json
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import orjson

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.schemas import read_json_text
from flowground.components.template import LONGEST_TEMPLATE, RecordTemplate, find_template_mistakes, parse_template
from flowground.core.errors import RunError
from flowground.core.values import LONGEST, MOST_RECORDS, Record, Value, ValueKind, check_length, measure, write_text
from flowground.core.words import list_names, show
from flowground.knowledge.split import split_text

_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]{1,9})\]")
_Operation = Literal[
    "Select Keys",
    "Remove Keys",
    "Rename Keys",
    "Append or Update",
    "Path Selection",
    "Add Column",
    "Filter",
    "Sort",
    "Head",
    "Tail",
    "Drop Duplicates",
    "Concatenate",
]
_FilterOperator = Literal[
    "equals", "not equals", "contains", "not contains", "starts with", "ends with", "greater than", "less than"
]
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": operator.eq,
    "not equals": operator.ne,
    "contains": operator.contains,
    "starts with": str.startswith,
    "ends with": str.endswith,
    "greater than": operator.gt,
    "greater than or equal": operator.ge,
    "less than": operator.lt,
    "less than or equal": operator.le,
}
"""By the names that a Filter and an If-Else have for them."""
_OF_ROWS = frozenset({"Add Column", "Filter", "Sort", "Head", "Tail", "Drop Duplicates", "Concatenate"})
_NEEDS: Mapping[str, str] = {
    "Select Keys": "select_keys_input",
    "Remove Keys": "remove_keys_input",
    "Rename Keys": "rename_keys_input",
    "Append or Update": "append_update_data",
    "Path Selection": "selected_key",
    "Add Column": "new_column_name",
    "Filter": "column_name",
    "Sort": "column_name",
    "Concatenate": "right_dataframe",
}
"""The field that each operation needs."""
_TEXTS = frozenset({"selected_key", "new_column_name", "column_name"})
"""Those of these fields that the file always determines, as they are texts, connected or not."""
_PORTS: Mapping[str, tuple[str, ValueKind]] = {
    "Message": ("message_output", "text"),
    "JSON": ("data_output", "data"),
    "Table": ("dataframe_output", "records"),
}
"""Langflow's names for kinds of values: the output of each, and the kind here."""
_PAUSE_EVERY = 5_000
"""The event loop serves others after so many records, or filled parts of templates."""
MOST_PASSAGES = 10_000
_PAUSE_CHARS = 200_000
"""Texts from so many characters are split in another thread: a million takes a few dozen milliseconds."""


def require_keys(records: Sequence[Record], keys: Collection[str]) -> Mapping[str, None]:
    """The keys, each once. Raises RunError where no record has one of them, unless there are no records."""
    known = {key for record in records for key in record}
    wanted = dict.fromkeys(keys)
    if missing := [key for key in wanted if records and key not in known]:
        raise RunError(f"No record has {show(missing[0])}; there are {list_names(sorted(known)) or 'no keys at all'}.")
    return wanted


def rename_keys(records: Sequence[Record], names: Mapping[str, str]) -> list[Record]:
    """Each record with some keys renamed."""
    check_growth(sum(len(names[key]) for record in records for key in record if key in names))
    return [{names.get(key, key): value for key, value in record.items()} for record in records]


def append_keys(records: Sequence[Record], added: Mapping[str, Any]) -> list[Record]:
    """Each record with these keys added, which replace its own."""
    check_growth(len(write_text(added, "data")) * len(records))
    return [{**record, **added} for record in records]


def select_path(value: Any, path: str) -> Any:
    """The value at a path such as `.orders[0].id`. Raises RunError with the part that leads nowhere."""
    steps = read_path(path)
    if not steps:
        raise RunError(describe_bad_path(path))
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


def make_filter(comparison: str, wanted: str) -> Callable[[Any], bool]:
    """A test of values against a text: as numbers where both are numbers, else as texts."""
    compare, is_not = COMPARISONS[comparison.removeprefix("not ")], comparison.startswith("not ")
    is_order, is_equality = comparison in ("greater than", "less than"), comparison.endswith("equals")
    number = _read_number(wanted)

    def fits(value: Any) -> bool:
        if value is None:
            return is_not
        own = _read_number(value)
        if is_order and (own is None) != (number is None):
            return False
        if own is not None and number is not None and (is_order or (is_equality and not isinstance(value, str))):
            return compare(own, number) != is_not
        return compare(write_text(value, "data"), wanted) != is_not

    return fits


def sort_records(records: Sequence[Record], column: str, *, is_ascending: bool) -> list[Record]:
    """Sorts by a column, stably: numbers, then everything else as text, then records without a value."""
    filled = [record for record in records if record.get(column) is not None]
    filled.sort(key=lambda record: _place(record[column]), reverse=not is_ascending)
    return [*filled, *(record for record in records if record.get(column) is None)]


def drop_duplicates(records: Sequence[Record], column: str | None) -> list[Record]:
    """The first of records that are equal in a column, or in all columns; records without the column stay."""
    first: dict[bytes | int, Record] = {}
    for number, record in enumerate(records):
        alike = record if not column else record.get(column)
        first.setdefault(number if alike is None else _spell(alike), record)
    return [*first.values()]


def _spell(value: Value) -> bytes:
    """JSON that equal values have alike."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # whole numbers beyond 64 bits, half surrogate pairs
        return json.dumps(value, sort_keys=True).encode()


def read_path(path: str) -> list[str | int]:
    """The keys and positions of a path; empty where the text is no path."""
    steps: list[str | int] = []
    end = 0
    while found := _STEP.match(path, end):
        steps.append(found[1] if found[1] is not None else int(found[2]))
        end = found.end()
    return steps if end == len(path) else []


def describe_bad_path(path: str) -> str:
    """The error sentence for a path that `read_path` cannot read."""
    return f"{show(path)} is no path: write `.key`, `.list[0]`, or several of them."


def check_growth(characters: int) -> None:
    """Raises RunError for too many characters: a value in every record is in memory once, but written once for each
    record."""
    if characters > LONGEST:
        raise RunError(f"The component makes a value of over {LONGEST:,} bytes.")


class DataOperations(Component):
    """Changes records, or an object, in one way: keys of each, or which records there are.

    Those of keys, from `Select Keys` to `Path Selection`, give data; the others give records, and take one object for a
    list of one.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"data_output": "data", "dataframe_output": "records"}
    waits: ClassVar[bool] = False

    data: dict[str, Any] | list[dict[str, Any]] = declare(
        ..., "Data", "Records or an object, usually a reference.", kind="data"
    )
    operation: _Operation = declare(..., "Operation", "What is done; also decides the one output.", fixed=True)
    select_keys_input: list[str] | None = declare(None, "Select Keys", "`Select Keys`: what is kept.", kind="data")
    remove_keys_input: list[str] | None = declare(None, "Remove Keys", "`Remove Keys`: what is left out.", kind="data")
    rename_keys_input: dict[str, str] | None = declare(
        None, "Rename Keys", "`Rename Keys`: the key -> its new name.", kind="data"
    )
    append_update_data: dict[str, Any] | None = declare(
        None, "Append or Update", "`Append or Update`: keys and values that are put into each.", kind="data"
    )
    selected_key: str | None = declare(
        None, "Select Path", "`Path Selection`: a path, such as `.orders[0].id`.", max_length=1_000
    )
    column_name: str | None = declare(
        None, "Column Name", "`Filter`, `Sort`: the key; `Drop Duplicates`: the key, or all when left out."
    )
    filter_operator: _FilterOperator = declare(
        "equals", "Filter Operator", "`Filter`: the comparison; numbers compare as numbers."
    )
    filter_value: str = declare("", "Filter Value", "`Filter`: what the value is compared with.")
    ascending: bool = declare(True, "Sort Ascending", "`Sort`: least first; records without a value come last.")
    new_column_name: str | None = declare(None, "New Column Name", "`Add Column`: the key.")
    new_column_value: str = declare("", "New Column Value", "`Add Column`: its text.", multiline=True)
    num_rows: int = declare(5, "Number of Rows", "`Head` and `Tail`: how many.", ge=0, le=MOST_RECORDS)
    right_dataframe: list[dict[str, Any]] | None = declare(
        None, "Right Table", "`Concatenate`: the records that follow.", kind="records"
    )

    def list_outputs(self) -> Mapping[str, ValueKind]:
        if self.operation in _OF_ROWS:
            return {"dataframe_output": "records"}
        return {"data_output": "data"}

    def list_mistakes(self) -> Iterator[Mistake]:
        """A missing text that the operation needs, and a path that cannot be read."""
        needed = _NEEDS.get(self.operation, "")
        if needed in _TEXTS and getattr(self, needed) is None:
            yield Mistake("operation", f"`{self.operation}` needs `{needed}`.", missing=needed)
        if self.operation == "Path Selection" and self.selected_key and not read_path(self.selected_key):
            yield Mistake("selected_key", describe_bad_path(self.selected_key))

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        needed = _NEEDS.get(self.operation)
        if needed is not None and getattr(self, needed) is None:
            raise RunError(f"`{self.operation}` needs `{needed}`.")
        records = [self.data] if isinstance(self.data, Mapping) else self.data
        if len(records) > MOST_RECORDS or len(self.right_dataframe or ()) > MOST_RECORDS:
            raise RunError(f"There are more than {MOST_RECORDS:,} records.")
        if self.operation in _OF_ROWS:
            return Output({"dataframe_output": self._change_rows(records)})
        if self.operation == "Path Selection":
            return Output({"data_output": select_path(self.data, self.selected_key or "")})
        changed = self._change_keys(records)
        return Output({"data_output": changed[0] if isinstance(self.data, Mapping) else changed})

    def _change_keys(self, records: Sequence[Record]) -> list[Record]:
        match self.operation:
            case "Select Keys":
                kept = require_keys(records, self.select_keys_input or ())
                return [{key: value for key, value in record.items() if key in kept} for record in records]
            case "Remove Keys":
                removed = frozenset(self.remove_keys_input or ())
                return [{key: value for key, value in record.items() if key not in removed} for record in records]
            case "Rename Keys":
                return rename_keys(records, self.rename_keys_input or {})
        return append_keys(records, self.append_update_data or {})

    def _change_rows(self, records: Sequence[Record]) -> list[Record]:
        match self.operation:
            case "Filter":
                (column,) = require_keys(records, (self.column_name or "",))
                fits = make_filter(self.filter_operator, self.filter_value)
                return [record for record in records if fits(record.get(column))]
            case "Sort":
                (column,) = require_keys(records, (self.column_name or "",))
                return sort_records(records, column, is_ascending=self.ascending)
            case "Head":
                return [*records[: self.num_rows]]
            case "Tail":
                return [*records[max(0, len(records) - self.num_rows) :]]
            case "Drop Duplicates":
                return drop_duplicates(records, self.column_name)
            case "Concatenate":
                return [*records, *(self.right_dataframe or ())]
        return append_keys(records, {self.new_column_name or "": self.new_column_value})


class TypeConverter(Component):
    """A text that holds JSON, as data or records: what a model or a person wrote.

    The JSON may stand between lines of three backticks.
    """

    title: ClassVar[str] = "Type Convert"
    outputs: ClassVar[Mapping[str, ValueKind]] = dict(_PORTS.values())
    waits: ClassVar[bool] = False

    input_data: str = declare(..., "Input", "The text, usually a reference.", multiline=True)
    output_type: Literal["Message", "JSON", "Table"] = declare(
        "JSON", "Output Type", "The one output: `JSON` data, `Table` records, `Message` the text itself.", fixed=True
    )
    auto_parse: bool = declare(True, "Auto Parse", "False: the JSON is not read; the text is the `text` of one object.")

    def list_outputs(self) -> Mapping[str, ValueKind]:
        return dict((_PORTS[self.output_type],))

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        (port, kind) = _PORTS[self.output_type]
        if kind == "text":
            return Output({port: self.input_data})
        value = read_json_text(self.input_data) if self.auto_parse else {"text": self.input_data}
        return Output({port: _make_records(value) if kind == "records" else value})


class Parser(Component):
    """Records as one text: a template filled with each, or all of them as JSON."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"parsed_text": "text"}
    waits: ClassVar[bool] = False

    input_data: list[dict[str, Any]] = declare(..., "Data", "The records, usually a reference.", kind="records")
    mode: Literal["Parser", "Stringify"] = declare(
        "Parser", "Mode", "`Parser` fills the template with each record, `Stringify` writes each as JSON."
    )
    template: str = declare(
        "{text}",
        "Template",
        "How one record is written; `{name}` is its value of that name, or nothing.",
        multiline=True,
        template=True,
        max_length=LONGEST_TEMPLATE,
    )
    sep: str = declare("\n", "Separator", "What stands between two records.", multiline=True)

    def list_mistakes(self) -> Iterator[Mistake]:
        """A template with too many variables."""
        return find_template_mistakes(self.template, "template")

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        parsed, is_filled = parse_template(self.template), self.mode == "Parser"
        template = RecordTemplate(parsed)
        parts, size, work = [], 0, 0
        for record in self.input_data:
            work += 10 + len(parsed.parts)
            if work >= _PAUSE_EVERY:
                work = 0
                await asyncio.sleep(0)
            parts.append(template.fill(record) if is_filled else write_text(record, "data"))
            size += len(parts[-1]) + len(self.sep)
            check_length(size)
        note = template.note_unmatched() if parts and is_filled else ""
        return Output({"parsed_text": self.sep.join(parts)}, note=note)


class SplitText(Component):
    """Passages of a text, or of each record's `text`, with the record's other values and where they `start` and `end`.

    They end at headings, paragraphs and sentences, or at `separator` where one is given.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"dataframe": "records"}

    input_value: str = declare("", "Text", "One text that is split.", multiline=True)
    data_inputs: list[dict[str, Any]] | None = declare(None, "Records", "Records that are split.", kind="records")
    chunk_size: int = declare(1000, "Chunk Size", "Longest passage, in characters.", ge=10, le=100_000)
    chunk_overlap: int = declare(
        200,
        "Chunk Overlap",
        "How much of a passage's end the next repeats; half of `chunk_size` at most.",
        ge=0,
        le=50_000,
    )
    separator: str = declare("", "Separator", "Where passages may end; headings and sentences when left out.")

    def list_mistakes(self) -> Iterator[Mistake]:
        """An overlap that is too long."""
        if self.chunk_overlap * 2 > self.chunk_size:
            yield Mistake("chunk_overlap", "`chunk_overlap` is half of `chunk_size` at most.")

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        if self.chunk_overlap * 2 > self.chunk_size:
            raise RunError("`chunk_overlap` is half of `chunk_size` at most.")
        records: list[Record] = [*([{"text": self.input_value}] if self.input_value else []), *(self.data_inputs or [])]
        passages: list[Record] = []
        size = 0
        for record in records:
            text = record.get("text")
            if not isinstance(text, str):
                raise RunError("A record that is to be split has no `text`.")
            is_long = size % _PAUSE_CHARS + len(text) > _PAUSE_CHARS
            passages += await asyncio.to_thread(self._split, record, text) if is_long else self._split(record, text)
            size += len(text)
            check_length(size)
            if len(passages) > MOST_PASSAGES:
                raise RunError(f"The text has more than {MOST_PASSAGES:,} passages: a larger `chunk_size` makes fewer.")
        return Output({"dataframe": passages})

    def _split(self, record: Record, text: str) -> list[Record]:
        cut = split_text(text, size=self.chunk_size, overlap=self.chunk_overlap, separator=self.separator)
        if others := {key: value for key, value in record.items() if key != "text"}:
            check_growth(measure(others) * len(cut))
        return [{**record, "text": text[one.start : one.end], "start": one.start, "end": one.end} for one in cut]


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


def _make_records(value: Any) -> list[Mapping[str, Any]]:
    records = value if isinstance(value, list) else [value]
    for number, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            raise RunError(f"Records are wanted, a list of objects; the text's item {number} is {show(record)}.")
    return records
