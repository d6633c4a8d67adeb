"""Data Operations: records or an object, changed in one way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.records import (
    append_keys,
    drop_duplicates,
    make_filter,
    read_path,
    rename_keys,
    require_keys,
    say_no_path,
    select_path,
    sort_records,
)
from flowground.errors import RunError
from flowground.values import MOST_RECORDS, Record, ValueKind

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
_OF_ROWS = frozenset({"Add Column", "Filter", "Sort", "Head", "Tail", "Drop Duplicates", "Concatenate"})
_OF_SOME_ROWS = frozenset({"Filter", "Sort", "Head", "Tail", "Drop Duplicates"})
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
"""The field without which an operation says nothing."""
_TEXTS = frozenset({"selected_key", "new_column_name", "column_name"})
"""Those of them that are known when the file is read, connected or not."""


class DataOperations(Component):
    """Changes records, or an object, in one way: keys of each, or which records there are.

    Those of keys (from `Select Keys` to `Path Selection`) give data, an object where an object is given; the others
    give records. One object counts as a list of one then.
    """

    type_name: ClassVar[str] = "DataOperations"
    title: ClassVar[str] = "Data Operations"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"data_output": "data", "dataframe_output": "records"}
    waits: ClassVar[bool] = False
    records_field: ClassVar[str | None] = "data"

    data: dict[str, Any] | list[dict[str, Any]] = declare(
        ..., "Data", "The records, or an object, usually a reference.", kind="data"
    )
    operation: _Operation = declare(..., "Operation", "What is done, and with it the one output.", fixed=True)
    select_keys_input: list[str] | None = declare(None, "Select Keys", "`Select Keys`: what is kept.", kind="data")
    remove_keys_input: list[str] | None = declare(None, "Remove Keys", "`Remove Keys`: what is left out.", kind="data")
    rename_keys_input: dict[str, str] | None = declare(
        None, "Rename Keys", "`Rename Keys`: the key -> its new name.", kind="data"
    )
    append_update_data: dict[str, Any] | None = declare(
        None, "Append or Update", "`Append or Update`: what is put into each, over what is there.", kind="data"
    )
    selected_key: str | None = declare(
        None, "Select Path", "`Path Selection`: what is taken out, such as `.orders[0].id`.", max_length=1_000
    )
    column_name: str | None = declare(
        None, "Column Name", "`Filter` and `Sort`: the key that is looked at; `Drop Duplicates`: all when left out."
    )
    filter_operator: _FilterOperator = declare(
        "equals", "Filter Operator", "`Filter`: how it is compared; numbers as numbers, all else as text."
    )
    filter_value: str = declare("", "Filter Value", "`Filter`: what it is compared with.")
    ascending: bool = declare(True, "Sort Ascending", "`Sort`: the least first; records without a value come last.")
    new_column_name: str | None = declare(None, "New Column Name", "`Add Column`: the key.")
    new_column_value: str = declare("", "New Column Value", "`Add Column`: its text, in each record.", multiline=True)
    num_rows: int = declare(5, "Number of Rows", "`Head` and `Tail`: how many.", ge=0, le=MOST_RECORDS)
    right_dataframe: list[dict[str, Any]] | None = declare(
        None, "Right Table", "`Concatenate`: the records that come behind, usually a reference.", kind="records"
    )

    def list_outputs(self) -> Mapping[str, ValueKind]:
        if self.operation in _OF_ROWS:
            return {"dataframe_output": "records"}
        return {"data_output": "data"}

    def find_record_names(self, port: str, taken: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002 - the contract's
        """Those it takes, where it only chooses among records."""
        return taken if self.operation in _OF_SOME_ROWS else None

    def list_mistakes(self) -> Iterator[Mistake]:
        """A text that the operation needs, and a path that cannot be read."""
        needed = _NEEDS.get(self.operation, "")
        if needed in _TEXTS and getattr(self, needed) is None:
            yield Mistake("operation", f"`{self.operation}` needs `{needed}`.", missing=needed)
        if self.operation == "Path Selection" and self.selected_key and not read_path(self.selected_key):
            yield Mistake("selected_key", say_no_path(self.selected_key))

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
