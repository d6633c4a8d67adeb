"""Components that read files: Retrieve finds passages, File reads whole files."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.components.template import (
    VariablesTool,
    describe_variables,
    fill_variables,
    find_variable_mistakes,
    list_variables_inside,
)
from flowground.core.citations import NumberedPassage, write_source
from flowground.core.errors import RunError
from flowground.core.media_types import explain_pattern
from flowground.core.values import FileReference, Record, ValueKind
from flowground.core.words import Schema
from flowground.knowledge.extraction import Extracted
from flowground.knowledge.searching import read_filters

_REFERENCE = re.compile(r"\$\{[^{}]+\}")
_NO_KEYS = ("source", "page")
"""Filters with patterns and numbers, which hold no variables."""


class Retrieve(VariablesTool):
    """Looks a question up in files, and gives the passages that fit it best.

    They are records, the best first, with `number`, `text`, `source`, `start`, `end` and a `score` from 0 to 1; where
    there are some, with `page`, `title` and `keys` of the file. An answer cites a passage by its number, `[1]`.
    `${id.passages}` is their text below numbers and places. `filters` leaves out files; a `{name}` in the value of a
    key is a variable.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"search_results": "records", "passages": "text"}
    calls_out: ClassVar[bool] = True
    filled_inside: ClassVar[Collection[str]] = ("filters",)

    search_query: str = declare("", "Search Query", "What is looked for.", multiline=True, model_must_set=True)
    knowledge: str = declare(..., "Knowledge", "A name under `knowledge:`.", fixed=True, max_length=100)
    top_k: int = declare(4, "Number of Results", "How many passages at most.", ge=1, le=50)
    threshold: float = declare(0, "Score Threshold", "The least score of a passage.", ge=0, le=1)
    filters: dict[str, Any] | None = declare(
        None,
        "Filters",
        "Only these files: `source`, a pattern such as `**/*.pdf`; `page`, such as `[3, 5]`, of PDFs; any other "
        "key is one of a Markdown file, such as `client: Acme` or `client: [Acme, Ajax]`.",
        kind="data",
        protected=True,
    )

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:
        """The variables in the filters."""
        keys = _list_keys(fields.get("filters"))
        return describe_variables(cls, [keys], None, "{} of what is looked for, exactly as it is written.")

    def list_mistakes(self) -> Iterator[Mistake]:
        """An empty name of a knowledge, wrong filters, and variables without a value."""
        if not self.knowledge:
            yield Mistake("knowledge", "`knowledge` is a name under `knowledge:`.")
        keys = _list_keys(self.filters)
        if reference := _REFERENCE.search(str(keys)):
            instead = f"write `{{name}}` there and `name: {reference[0]}` beside `filters`."
            yield Mistake("filters", f"`{reference[0]}` is no value of a filter: {instead}")
            return
        try:
            read_filters(self.filters or {})
        except RunError as error:
            yield Mistake("filters", error.message)
        yield from find_variable_mistakes(self, {"filters": keys})

    def list_written_filters(self) -> Mapping[str, Any]:
        """The filters without variables, which are the same in each run."""
        keys, filters = _list_keys(self.filters), self.filters or {}
        return {name: value for name, value in filters.items() if not any(list_variables_inside(keys.get(name)))}

    def fill_filters(self) -> Mapping[str, Any]:
        """The filters with their variables filled in; keys whose value is then empty are left out."""
        filled, given = dict(self.filters or {}), self.__pydantic_extra__
        for name, value in _list_keys(self.filters).items():
            names = {variable.name for variable in list_variables_inside(value)}
            if not names or not names <= given.keys():  # a value without variables, or one that a reference brought
                continue
            says = fill_variables(value, given)
            filled[name] = [one for one in says if one != ""] if isinstance(says, list) else says
            if not filled[name]:
                del filled[name]
        return filled

    def show_result(self, output: Output) -> Output:
        """The passages as text."""
        return replace(output, values={"passages": output.values["passages"]})

    async def run(self, context: Context) -> Output:
        if not self.search_query.strip():
            return Output({"search_results": [], "passages": ""})
        found = await context.look_up(
            self.knowledge, self.search_query, top_k=self.top_k, threshold=self.threshold, filters=self.fill_filters()
        )
        passages = "\n\n".join(f"{write_source(_read_passage(record))}\n{record['text']}" for record in found.records)
        return Output({"search_results": found.records, "passages": passages}, note=found.note)


class File(Component):
    """Reads the text of PDF, DOCX, HTML, CSV, JSON, Markdown and plain text files.

    It reads the uploaded files that a tweak names, `{"File": {"path": …}}`; else those of `files`, such as
    `${ChatInput.files}`; else those of `path`. `${id}` is their text, `${id.dataframe}` records with `text` and
    `source`, of a PDF one a page with its `page`.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"message": "text", "dataframe": "records"}
    calls_out: ClassVar[bool] = True

    path: str | list[str] = declare(
        "",
        "Path",
        "Files below the flows folder, such as `samples/invoice.pdf`: one or a list. A tweak names uploaded files.",
        kind="data",
        fixed=True,
        max_length=100,
    )
    files: list[Any] | None = declare(None, "Files", "Files of a message.", kind="files")
    separator: str = declare("\n\n", "Separator", "What stands between several texts.", max_length=1_000)

    def list_paths(self) -> list[str]:
        """The author's files."""
        return [path for path in ([self.path] if isinstance(self.path, str) else self.path) if path]

    def list_mistakes(self) -> Iterator[Mistake]:
        """Paths that lead out of the flows folder."""
        for path in self.list_paths():
            if wrong := explain_pattern(path):
                yield Mistake("path", f"`{path}` in `path`: a path {wrong}.")

    async def run(self, context: Context) -> Output:
        given: list[FileReference | str] = [*(context.files or self.files or self.list_paths())]
        if not given and self.files is None:
            raise RunError("There is no file to read.", hint="Send one, or name one in `path` of the File.")
        read = [(file, await context.outside.read_file(file)) for file in given]
        records = [record for file, found in read for record in _list_records(file, found)]
        return Output({"message": self.separator.join(_write(found) for _, found in read), "dataframe": records})


def _list_keys(filters: Any) -> dict[str, Any]:
    """The filters by keys of files, with their values."""
    given = filters if isinstance(filters, dict) else {}
    return {name: value for name, value in given.items() if name not in _NO_KEYS}


def _read_passage(record: Record) -> NumberedPassage:
    return NumberedPassage(record["number"], "", record["source"], record.get("page"), record.get("title", ""))


def _write(found: Extracted) -> str:
    return f"{found.text}\n[Cut: the file has more text.]" if found.is_cut else found.text


def _list_records(file: FileReference | str, found: Extracted) -> Iterator[Record]:
    source = file.name if isinstance(file, FileReference) else file
    if not found.pages:
        yield {"text": _write(found), "source": source}
        return
    for page, (start, end) in enumerate(zip(found.pages, (*found.pages[1:], None), strict=True), 1):
        yield {"text": found.text[start:end].strip(), "source": source, "page": page}
