"""Retrieve: the passages of a knowledge that a question is about."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from flowground.citations import NumberedPassage, write_source
from flowground.components import variables
from flowground.components.base import Component, Context, Mistake, Output, declare
from flowground.errors import RunError
from flowground.knowledge import read_filters
from flowground.values import Record, ValueKind
from flowground.words import Schema

_REFERENCE = re.compile(r"\$\{[^{}]+\}")
_NO_KEYS = ("source", "page")
"""Filters that are patterns and numbers: nothing is filled into them."""


class Retrieve(Component):
    """Looks a question up in files, and gives the passages that fit it best.

    They are records, the best first, with `number`, `text`, `source`, `start`, `end` and `score`, which is from 0 to 1;
    where there are some, with `page`, `title` (the headings above, else the key `title`) and `keys` of the file. An
    answer cites a passage by its number, `[1]`. `${id.passages}` is the same as text: each passage below its number and
    place.

    `knowledge:` of the flow file, or of config.yaml, says of which files. Without a question nothing is found.
    `filters: {client: Acme, source: "**/*.md"}` takes passages of those files alone that say `client: Acme` between two
    lines of `---` at their beginning, which only Markdown files can; of a list one value is enough. Each `{name}` in
    the value of a key is a variable, which a field of that name gives, as text or reference, else the model of an
    agent. It is compared letter by letter, whatever it holds; a key whose value is empty then does not count.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    type_name: ClassVar[str] = "Retrieve"
    title: ClassVar[str] = "Retrieve"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"search_results": "records", "passages": "text"}
    calls_out: ClassVar[bool] = True
    is_tool: ClassVar[bool] = True
    tool_port: ClassVar[str | None] = "passages"
    filled_inside: ClassVar[Collection[str]] = ("filters",)
    needs_as_tool: ClassVar[Collection[str]] = ("search_query",)

    search_query: str = declare("", "Search Query", "What is looked for.", multiline=True, model_may_set=True)
    knowledge: str = declare(..., "Knowledge", "A name under `knowledge:`.", fixed=True, max_length=100)
    top_k: int = declare(4, "Number of Results", "How many passages at most.", ge=1, le=50)
    threshold: float = declare(0, "Score Threshold", "The least score of a passage.", ge=0, le=1)
    filters: dict[str, Any] | None = declare(
        None,
        "Filters",
        "Of these files only: `source`, a pattern such as `**/*.pdf`; `page`, one or the first and the last, such as "
        "`[3, 5]`, of PDFs; all else is a key of Markdown files and its value, such as `client: Acme`. A list, such as "
        "`client: [Acme, Ajax]`, means one of its values.",
        kind="data",
        protected=True,
    )

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:
        """Those of the filters."""
        keys = _list_keys(fields.get("filters"))
        return variables.describe_all(cls, [keys], None, "{} of what is looked for, exactly as it is written.")

    def list_mistakes(self) -> Iterator[Mistake]:
        """A knowledge without a name, filters that are none, and variables that nobody gives."""
        if not self.knowledge:
            yield Mistake("knowledge", "`knowledge` is a name under `knowledge:`.")
        keys = _list_keys(self.filters)
        texts = (text for value in keys.values() for text in (value if isinstance(value, list) else [value]))
        if found := next((found for text in texts if (found := _REFERENCE.search(str(text)))), None):
            says = (
                f"`{found[0]}` is no value of a filter: write `{{name}}` there and `name: {found[0]}` beside `filters`."
            )
            yield Mistake("filters", says)
        else:
            try:
                read_filters(self.filters or {})
            except RunError as error:
                yield Mistake("filters", error.message)
            yield from variables.find_mistakes(self, {"filters": keys}, self.__pydantic_extra__)

    def list_written_filters(self) -> Mapping[str, Any]:
        """The filters that are the same in each run."""
        keys, filters = _list_keys(self.filters), self.filters or {}
        return {name: value for name, value in filters.items() if not any(variables.list_names(keys.get(name)))}

    def fill_filters(self) -> Mapping[str, Any]:
        """The filters with their variables filled in; without those that are empty then."""
        filled, given = dict(self.filters or {}), self.__pydantic_extra__
        for name, value in _list_keys(self.filters).items():
            names = set(variables.list_names(value))
            if not names or not names <= given.keys():  # what a reference brings is no template of the author's
                continue
            says = variables.fill(value, given)
            filled[name] = [one for one in says if one != ""] if isinstance(says, list) else says
            if not filled[name]:
                del filled[name]
        return filled

    async def run(self, context: Context) -> Output:
        if not self.search_query.strip():
            return Output({"search_results": [], "passages": ""})
        found = await context.look_up(
            self.knowledge,
            self.search_query,
            top_k=self.top_k,
            threshold=self.threshold,
            filters=self.fill_filters(),
        )
        passages = "\n\n".join(f"{write_source(_read_passage(record))}\n{record['text']}" for record in found.records)
        return Output({"search_results": found.records, "passages": passages}, note=found.note)


def _list_keys(filters: Any) -> dict[str, Any]:
    """The filters that are keys of files, with their values."""
    given = filters if isinstance(filters, dict) else {}
    return {name: value for name, value in given.items() if name not in _NO_KEYS}


def _read_passage(record: Record) -> NumberedPassage:
    return NumberedPassage(record["number"], "", record["source"], record.get("page"), record.get("title", ""))
